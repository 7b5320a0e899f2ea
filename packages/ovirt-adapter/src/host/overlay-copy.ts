/**
 * A copy of a running VM by overlays: libvirt lets the guest write to a new file per disk while the old ones are read, and
 * commits them back. Only by request (`host_path_method snapshot`), for hosts whose QEMU has no pull-mode backup: neither the
 * engine nor vdsm knows of the overlays, so a VM that dies meanwhile starts from its old files. Then nothing is deleted.
 *
 * @see libvirt.org/kbase/live_full_disk_backup.html
 * @module
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import { runDetached } from './detached.ts'
import { copyableDisks, expectIdleDomain, notFrozen } from './host-copy.ts'
import type { Frozen, HostCopy, HostCopyOptions, HostDisk } from './host-copy.ts'
import type { OverlayIntent } from './intents.ts'
import { hasToken, setToken } from './live-token.ts'
import type { ProgramResult } from './run-program.ts'
import { createScratchFolder, planScratchFolder, startWatch, vmGone } from './scratch.ts'
import { settleOverlays } from './settle-overlays.ts'
import { buildOrUndo } from './undo-stack.ts'
import type { UndoStack } from './undo-stack.ts'
import { openVolume } from './volume.ts'

/**
 * Puts overlays over the disks of a running VM and opens what lies below.
 * Closing it commits the overlays back and deletes each one once the pivot was seen.
 *
 * @throws GranaryError as `openPullCopy`. Closing it throws `GRANARY_REMOTE` when an overlay could not be proven committed:
 * it is kept, and the error names it, its base and the commands to decide
 */
export const openOverlayCopy = async (options: HostCopyOptions): Promise<HostCopy> =>
  await buildOrUndo(async stack => {
    const { libvirt, domain, scratch, journal, onStep, signal } = options
    await expectIdleDomain(options, { signal })
    const all = (await libvirt.domain(domain, { signal })).disks
    const copied = copyableDisks(all, options.only)
    const folder = await planScratchFolder(scratch)
    const disks = copied.map(({ target, path }) => ({ target, base: path, overlay: join(folder, `${target}.qcow2`) }))
    const intent: OverlayIntent = { kind: 'host-overlay', domain, uri: libvirt.uri, folder, token: randomUUID(), disks }
    onStep?.('intend')
    const settle = await journal.intend(intent, { signal })
    stack.defer(async () => {
      onStep?.('end')
      await settleOverlays(libvirt, intent)
      onStep?.('settle')
      await settle()
    })

    await createScratchFolder(folder)
    await setToken(libvirt, domain, intent.token, { signal })
    onStep?.('begin')
    const isOverlaid = new Set(disks.map(disk => disk.target))
    const parameters = [
      ...disks.flatMap(({ target, overlay }) => ['--diskspec', `${target},snapshot=external,file=${overlay}`]),
      ...all.flatMap(({ target }) => (isOverlaid.has(target) ? [] : ['--diskspec', `${target},snapshot=no`])),
    ]
    const frozen = await snapshot(options, folder, parameters)
    return await openBases(options, { stack, intent, frozen, copied })
  })

/** One call that freezes, switches and thaws inside libvirt, and that our end does not end. */
const snapshot = async (
  { libvirt, domain, requireConsistency }: HostCopyOptions,
  folder: string,
  parameters: readonly string[],
): Promise<Frozen> => {
  const create = async (...how: readonly string[]): Promise<ProgramResult> => {
    const command = ['snapshot-create-as', domain, '--no-metadata', '--disk-only', '--atomic', ...how, ...parameters]
    return await runDetached(libvirt.commandLine(...command), folder)
  }
  const quiesced = await create('--quiesce')
  if (quiesced.code === 0) return 'yes'
  if (!/agent|freeze|quiesce/i.test(quiesced.stderr)) throw refused(domain, quiesced)
  if (requireConsistency === true) throw notFrozen(domain, quiesced.stderr.trim())
  const plain = await create()
  if (plain.code !== 0) throw refused(domain, plain)
  return 'no'
}

const refused = (domain: string, { stderr }: ProgramResult): GranaryError =>
  new GranaryError('GRANARY_REMOTE', `libvirt did not put overlays over the disks: ${stderr.trim()}`, {
    detail: { domain },
  })

interface OverlaidDisks {
  readonly stack: UndoStack
  readonly intent: OverlayIntent
  readonly frozen: Frozen
  readonly copied: ReturnType<typeof copyableDisks>
}

const openBases = async (
  { libvirt, domain, scratch, clock, onStep, signal }: HostCopyOptions,
  { stack, intent, frozen, copied }: OverlaidDisks,
): Promise<HostCopy> => {
  onStep?.('open')
  const files = intent.disks.map(disk => disk.overlay)
  const isAlive = async (): Promise<boolean> => await hasToken(libvirt, domain, intent.token)
  const watch = startWatch(files, scratch, { clock, isAlive })
  stack.defer(watch.stop)
  const disks: HostDisk[] = []
  for (const { target, serial, path, format } of copied) {
    const disk = await openVolume(path, format, { signal })
    stack.defer(async () => await disk[Symbol.asyncDispose]())
    disks.push({ name: target, diskId: serial, path, disk })
  }
  onStep?.('reading')
  return {
    disks,
    frozen,
    signal: watch.signal,
    async verify() {
      watch.signal.throwIfAborted()
      if (!(await isAlive())) throw vmGone()
    },
    [Symbol.asyncDispose]: stack.undo,
  }
}
