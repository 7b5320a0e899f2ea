/**
 * A copy of a running VM by libvirt's pull-mode backup, without a checkpoint: QEMU keeps what the guest overwrites in scratch
 * files and serves the moment over NBD. If anything dies, no data is at risk: the disks are written to as ever.
 *
 * @see libvirt.org/formatbackup.html
 * @module
 */
import { join } from 'node:path'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { connectNbd } from '@granary/nbd'
import { escapeXml } from './domain-xml.ts'
import type { DomainDisk } from './domain-xml.ts'
import { beginFrozen } from './frozen-begin.ts'
import { copyableDisks, expectIdleDomain, notFrozen } from './host-copy.ts'
import type { HostCopy, HostCopyOptions, HostDisk } from './host-copy.ts'
import type { PullIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import { createScratchFolder, planScratchFolder, removeScratchFolder, startWatch } from './scratch.ts'
import { buildOrUndo } from './undo-stack.ts'
import type { UndoStack } from './undo-stack.ts'

type CopiedDisk = DomainDisk & { readonly path: string }

/**
 * Begins a pull-mode backup and opens its disks.
 *
 * @throws GranaryError `GRANARY_LOCKED` (retryable) when another job is under way, `GRANARY_NO_SPACE` when there is no room
 * for scratch files, `GRANARY_REMOTE` when the VM does not run, libvirt refuses, or `requireConsistency` cannot be had
 */
export const openPullCopy = async (options: HostCopyOptions): Promise<HostCopy> =>
  await buildOrUndo(async stack => {
    const { libvirt, domain, scratch, journal, clock, onStep, signal } = options
    await expectIdleDomain(options, { signal })
    const all = (await libvirt.domain(domain, { signal })).disks
    const copied = copyableDisks(all, options.only)
    const folder = await planScratchFolder(scratch)
    onStep?.('intend')
    const settle = await journal.intend({ kind: 'host-pull', domain, uri: libvirt.uri, folder }, { signal })
    stack.defer(async () => {
      onStep?.('end')
      await endPull(libvirt, { domain, folder }, clock)
      await removeScratchFolder(folder)
      onStep?.('settle')
      await settle()
    })

    await createScratchFolder(folder)
    signal?.throwIfAborted()
    onStep?.('begin')
    const begun = await beginFrozen(libvirt, { domain, folder, xml: backupXml(folder, all, copied) })
    if (options.requireConsistency === true && begun.frozen !== 'yes') throw notFrozen(domain, begun.words)
    return await openCopy(options, { stack, folder, copied, frozen: begun.frozen })
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
  // A full scratch file would give the guest write errors: the job ends first, whatever its reader does.
  watch.signal.addEventListener('abort', () => void endPull(libvirt, { domain, folder }, clock).catch(() => undefined))

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
    verify: async () => watch.signal.throwIfAborted(),
    [Symbol.asyncDispose]: stack.undo,
  }
}

const socketOf = (folder: string): string => join(folder, 'nbd.sock')

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

/** True while the job that runs is the one with our socket. */
const isOurs = async (libvirt: Libvirt, domain: string, folder: string, options: AbortOptions = {}): Promise<boolean> =>
  (await libvirt.backupXml(domain, options))?.includes(escapeXml(socketOf(folder))) === true

/** Ends the job if it is there and ours, and waits until it is gone. */
export const endPull = async (
  libvirt: Libvirt,
  { domain, folder }: Pick<PullIntent, 'domain' | 'folder'>,
  clock: Clock,
): Promise<void> => {
  for (let attempt = 1; await isOurs(libvirt, domain, folder); attempt++) {
    if (attempt > MOST_ATTEMPTS)
      throw new GranaryError('GRANARY_TIMEOUT', 'libvirt does not end our backup job', {
        detail: { domain, folder },
        retryable: true,
        hint: `end it by hand: virsh domjobabort ${domain}`,
      })
    await libvirt.abortJob(domain).catch((error: unknown) => {
      // It may have ended by itself, or by another of our calls: the next look tells.
      if (!isGranaryError(error) || error.code !== 'GRANARY_REMOTE') throw error
    })
    await clock.sleep(ATTEMPT_MS)
  }
}

const ATTEMPT_MS = 100
const MOST_ATTEMPTS = 300
