import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, formatBytes, formatDuration, fromSystemError } from '@granary/core'
import type { CopyCounts } from '@granary/core'
import { openDisk, resolveSnapshotId } from '@granary/dedup-store'
import type { Repository, Snapshot } from '@granary/dedup-store'
import { isGiven, textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { isNbdAddress } from '../disks/disk-address.ts'
import { TARGET_OPTIONS, compressionOf } from '../disks/target-options.ts'
import { COPY_TUNING, writeTarget } from '../disks/write-target.ts'
import { readSnapshotToUse } from '../doubtful-snapshot.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId } from '../snapshot-output.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const restore: Command = {
  name: 'restore',
  summary: 'write disks of a snapshot to files, devices or standard output',
  arguments: [
    { name: '<ID[/DISK]>', description: 'a snapshot, a unique beginning of its id, or "latest"; and one of its disks' },
    {
      name: '<TARGET>',
      description: 'raw:FILE, qcow2:FILE, a device, an NBD URI or - for one disk; a folder for several',
    },
  ],
  options: TARGET_OPTIONS,
  examples: [
    'granary restore latest raw:/vm/web.raw',
    'granary restore 1f2e3d4c/db-data /dev/vg/db-data --overwrite-different',
    'granary restore 1f2e3d4c - | ssh host "cat > /vm/web.raw"',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const [, snapshotText = '', diskName] =
      /^([^/]*)(?:\/(.+))?$/s.exec(textArgument(invocation, 0).replace(/^granary:/, '')) ?? []
    const id = await resolveSnapshotId(repository.context, snapshotText, { signal })
    const snapshot = await readSnapshotToUse(repository, id, invocation)
    const target = textArgument(invocation, 1)
    for (const { disk, path } of await placeDisks(snapshot, diskName, target)) {
      await restoreDisk(invocation, repository, { snapshot, disk, target: path })
    }
    for (const warning of snapshot.warnings) terminal.warn(`the snapshot was made with a warning: ${warning}`)
    return terminal.warnings > 0 ? 3 : 0
  },
}

/** One disk goes where the target says; several, or any into a folder, as `DISK.raw`. */
const placeDisks = async (
  snapshot: Snapshot,
  diskName: string | undefined,
  target: string,
): Promise<{ disk: string; path: string }[]> => {
  const all = snapshot.disks.map(disk => disk.name)
  const disks = diskName === undefined ? all : [diskName]
  if (!disks.every(disk => all.includes(disk))) {
    throw new GranaryError('GRANARY_NOT_FOUND', `snapshot ${shortId(snapshot.id)} has no disk "${diskName ?? ''}"`, {
      detail: { snapshot: snapshot.id, disks: all.join(', ') },
      hint: `choose one of: ${all.join(', ')}`,
    })
  }
  const isFolder =
    target.endsWith('/') ||
    (await stat(target).then(
      stats => stats.isDirectory(),
      () => false,
    ))
  if (disks.length === 1 && !isFolder) return [{ disk: disks[0] as string, path: target }]
  if (
    !isFolder &&
    (target === '-' ||
      /^(raw|qcow2):/.test(target) ||
      isNbdAddress(target) ||
      (await stat(target).then(
        () => true,
        () => false,
      )))
  ) {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `snapshot ${shortId(snapshot.id)} has ${disks.length} disks, and ${target} is no folder`,
      {
        detail: { disks: disks.join(', ') },
        hint: `give a folder, or one disk: ${shortId(snapshot.id)}/${disks[0] ?? 'DISK'}`,
      },
    )
  }
  try {
    await mkdir(target, { recursive: true })
  } catch (error) {
    throw fromSystemError(error, `making the folder ${target}`)
  }
  return disks.map(disk => ({ disk, path: `raw:${join(target, `${disk}.raw`)}` }))
}

const restoreDisk = async (
  invocation: Invocation,
  repository: Repository,
  { snapshot, disk, target }: { snapshot: Snapshot; disk: string; target: string },
): Promise<void> => {
  const { terminal, signal } = invocation
  await using stored = await openDisk(repository, snapshot.id, { disk, signal, ...COPY_TUNING })
  const progress = startProgress(terminal)
  const startMs = performance.now()
  const counts: CopyCounts = await writeTarget(stored, target, {
    terminal,
    signal,
    overwriteDifferent: isGiven(invocation, 'overwriteDifferent'),
    compression: compressionOf(invocation),
    onProgress: ({ doneBytes, totalBytes, limitedBy }) =>
      progress.show({ what: disk, doneBytes, totalBytes, limitedBy }),
  }).finally(() => progress.end())
  if (target === '-') return // Standard output is the disk.
  const seconds = (performance.now() - startMs) / 1000
  terminal.emit({
    type: 'restored',
    v: 1,
    snapshot: snapshot.id,
    disk,
    target,
    sizeBytes: stored.sizeBytes,
    ...counts,
    seconds: Number(seconds.toFixed(3)),
  })
  terminal.say(
    `${disk} of ${shortId(snapshot.id)} to ${target}: ${formatBytes(stored.sizeBytes)}, ${formatBytes(counts.writtenBytes)} written, ` +
      `${formatBytes(counts.unchangedBytes)} left as it was, in ${formatDuration(seconds)}`,
  )
}
