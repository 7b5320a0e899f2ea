/**
 * A copy of a running VM by libvirt's pull-mode backup, without a checkpoint: QEMU keeps what the guest overwrites in scratch
 * files and serves the moment over NBD. If anything dies, no data is at risk: the disks are written to as ever.
 *
 * @see libvirt.org/formatbackup.html
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '@granary/core'
import { connectNbd } from '@granary/nbd'
import { escapeXml } from './domain-xml.ts'
import { beginCopy } from './begin-copy.ts'
import type { DomainDisk } from './domain-xml.ts'
import { resumeStarved } from './end-copy.ts'
import { endPull, expectShortPath, isOurs, socketOf } from './end-pull.ts'
import { copyableDisks, expectIdleDomain } from './host-copy.ts'
import type { HostCopy, HostCopyOptions, HostDisk } from './host-copy.ts'
import type { PullIntent } from './intents.ts'
import { planScratchFolder, startWatch } from './scratch.ts'
import { buildOrUndo } from './undo-stack.ts'
import type { UndoStack } from './undo-stack.ts'

type CopiedDisk = DomainDisk & { readonly path: string }

/**
 * Begins a pull-mode backup and opens its disks.
 *
 * @throws GranaryError `GRANARY_LOCKED` (retryable) when another job is under way, `GRANARY_NO_SPACE` when there is no room
 * for scratch files, `GRANARY_INVALID_ARGUMENT` when the path of their folder is too long, `GRANARY_REMOTE` when the VM does
 * not run, libvirt refuses, or `requireConsistency` cannot be had
 */
export const openPullCopy = async (options: HostCopyOptions): Promise<HostCopy> =>
  await buildOrUndo(async stack => {
    const { libvirt, domain, scratch, signal } = options
    await expectIdleDomain(options, { signal })
    const all = (await libvirt.domain(domain, { signal })).disks
    const copied = copyableDisks(all, options.only)
    const folder = await planScratchFolder(scratch)
    expectShortPath(folder)
    const intent: PullIntent = { kind: 'host-pull', domain, uri: libvirt.uri, folder }
    const prepare = async (): Promise<readonly string[]> => {
      const description = join(folder, 'backup.xml')
      await writeFile(description, backupXml(folder, all, copied))
      return ['backup-begin', domain, description]
    }
    const frozen = await beginCopy(options, stack, { intent, prepare })
    return await openCopy(options, { stack, folder, copied, frozen })
  })

interface BegunPull {
  readonly stack: UndoStack
  readonly folder: string
  readonly copied: readonly CopiedDisk[]
  readonly frozen: HostCopy['frozen']
}

const openCopy = async (
  { libvirt, domain, scratch, clock, onStep, signal }: HostCopyOptions,
  { stack, folder, copied, frozen }: BegunPull,
): Promise<HostCopy> => {
  onStep?.('open')
  const files = copied.map(({ target }) => scratchFile(folder, target))
  const isAlive = async (watching: AbortOptions): Promise<boolean> => await isOurs(libvirt, domain, folder, watching)
  const watch = startWatch(files, scratch, { clock, isAlive })
  stack.defer(watch.stop)
  // The guest must not suffer from a full scratch folder: the job ends first, whatever its reader does.
  let ending = Promise.resolve()
  watch.signal.addEventListener('abort', () => {
    const end = async (): Promise<void> => await endPull(libvirt, { domain, folder }, clock)
    ending = resumeStarved(libvirt, { domain, folder }, end).catch(() => undefined) // Tried again when the copy is closed.
  })
  stack.defer(async () => await ending)

  const disks: HostDisk[] = []
  for (const { target, serial, path } of copied) {
    const address = { kind: 'unix', path: socketOf(folder) } as const
    const disk = await connectNbd({ address, exportName: target }, signal === undefined ? {} : { signal })
    stack.defer(async () => await disk[Symbol.asyncDispose]())
    disks.push({ name: target, diskId: serial, path, disk })
  }
  onStep?.('reading')
  return {
    disks,
    frozen,
    signal: watch.signal,
    // While the job lives, what NBD gives is the moment itself, and a lost job fails the reads.
    verify: watch.look,
    [Symbol.asyncDispose]: stack.undo,
  }
}

const scratchFile = (folder: string, target: string): string => join(folder, `${target}.qcow2`)

const backupXml = (folder: string, all: readonly DomainDisk[], copied: readonly CopiedDisk[]): string => {
  const isCopied = new Set(copied.map(disk => disk.target))
  const elements = all.map(({ target }) => {
    const name = escapeXml(target)
    if (!isCopied.has(target)) return `<disk name='${name}' backup='no'/>`
    const file = escapeXml(scratchFile(folder, target))
    return `<disk name='${name}' backup='yes' type='file' exportname='${name}'><scratch file='${file}'/></disk>`
  })
  const server = `<server transport='unix' socket='${escapeXml(socketOf(folder))}'/>`
  return `<domainbackup mode='pull'>${server}<disks>${elements.join('')}</disks></domainbackup>`
}
