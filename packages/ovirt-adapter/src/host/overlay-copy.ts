/**
 * A copy of a running VM by overlays: libvirt lets the guest write to a new file per disk while the old ones are read, and
 * commits them back. Only by request (`host_path_method snapshot`), for hosts whose QEMU has no pull-mode backup: neither the
 * engine nor vdsm knows of the overlays, so a VM that dies meanwhile starts from its old files. Then nothing is deleted.
 *
 * @see libvirt.org/kbase/live_full_disk_backup.html
 * @module
 */
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { beginCopy } from './begin-copy.ts'
import type { DomainDisk } from './domain-xml.ts'
import { copyableDisks, expectIdleDomain } from './host-copy.ts'
import type { Frozen, HostCopy, HostCopyOptions, HostDisk } from './host-copy.ts'
import type { OverlayIntent } from './intents.ts'
import { hasToken, setToken } from './live-token.ts'
import { planScratchFolder, startWatch } from './scratch.ts'
import { buildOrUndo } from './undo-stack.ts'
import type { UndoStack } from './undo-stack.ts'
import { openVolume } from './volume.ts'

/**
 * Puts overlays over the disks of a running VM and opens what lies below.
 * Closing it commits the overlays back and deletes each one once the pivot was seen.
 *
 * @throws GranaryError as `openPullCopy`, and `GRANARY_UNSUPPORTED` for a thin volume on block storage. Closing it throws `GRANARY_REMOTE` when an overlay could not be proven committed:
 * it is kept, and the error names it, its base and the commands to decide
 */
export const openOverlayCopy = async (options: HostCopyOptions): Promise<HostCopy> =>
  await buildOrUndo(async stack => {
    const { libvirt, domain, scratch, signal } = options
    await expectIdleDomain(options, { signal })
    const all = (await libvirt.domain(domain, { signal })).disks
    const copied = copyableDisks(all, options.only)
    for (const disk of copied) await expectRoomBelow(options, disk)
    const folder = await planScratchFolder(scratch)
    const intent: OverlayIntent = {
      kind: 'host-overlay',
      domain,
      uri: libvirt.uri,
      folder,
      scratchInode: (await stat(scratch.folder)).ino,
      token: randomUUID(),
      disks: copied.map(({ target, path, format }) => ({
        target,
        base: path,
        format,
        overlay: join(folder, `${target}.qcow2`),
      })),
    }
    const prepare = async (): Promise<readonly string[]> => {
      await setToken(libvirt, domain, intent.token, { signal })
      return snapshotCommand(intent, all)
    }
    const frozen = await beginCopy(options, stack, { intent, prepare })
    return await openBases(options, { stack, intent, frozen, copied })
  })

/**
 * Committing may have to put more into a volume than it holds. Files grow; a thin volume on block storage is made larger by
 * the platform only, which knows nothing of overlays: the commit would fail, and the VM stay on its overlay.
 */
const expectRoomBelow = async (
  { libvirt, domain, signal }: HostCopyOptions,
  { target, path, format, isDevice }: DomainDisk,
): Promise<void> => {
  if (!isDevice || format === 'raw') return
  const { capacityBytes, physicalBytes } = await libvirt.diskSizes(domain, target, { signal })
  if (physicalBytes >= capacityBytes) return
  throw new GranaryError(
    'GRANARY_UNSUPPORTED',
    `${target} is a thin volume on block storage: no overlay is put over it`,
    {
      detail: { domain, target, path: path ?? '', capacityBytes, physicalBytes },
      hint: 'set host_path_method backup, which needs no room there, or backup_using_ovirt_api yes',
    },
  )
}

const snapshotCommand = ({ domain, disks }: OverlayIntent, all: readonly DomainDisk[]): string[] => {
  const isOverlaid = new Set(disks.map(disk => disk.target))
  return [
    ...['snapshot-create-as', domain, '--no-metadata', '--disk-only', '--atomic'],
    ...disks.flatMap(({ target, overlay }) => ['--diskspec', `${target},snapshot=external,file=${overlay}`]),
    ...all.flatMap(({ target }) => (isOverlaid.has(target) ? [] : ['--diskspec', `${target},snapshot=no`])),
  ]
}

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
  const isAlive = async (watching: AbortOptions): Promise<boolean> =>
    await hasToken(libvirt, domain, intent.token, watching)
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
    verify: watch.look,
    [Symbol.asyncDispose]: stack.undo,
  }
}
