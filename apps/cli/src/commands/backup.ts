import { GranaryError, formatBytes, formatDuration } from '@granary/core'
import { backup as backUp, readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import type { DiskInput, DiskProgress, Snapshot } from '@granary/dedup-store'
import { parseLabels, parseWorkers } from '../backup-options.ts'
import { FILE_LIST_OPTION, recordFilesAfterBackup } from '../catalog/record-files.ts'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { openSource } from '../disks/open-source.ts'
import type { OpenSource } from '../disks/open-source.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId, snapshotObject, sumOf } from '../snapshot-output.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'back disks up into one snapshot',
  arguments: [
    {
      name: '<DISK...>',
      description:
        'raw:PATH, qcow2:PATH, granary:ID/DISK, nbd://HOST/EXPORT, -, or a path ending in .raw, .img, .qcow2',
    },
  ],
  options: [
    { flags: '--name <NAME>', description: 'the series, usually the machine (default: the name of the first disk)' },
    {
      flags: '--disk-name <NAME>',
      description: 'name of a disk, in the order of the disks (default: the file name)',
      isRepeated: true,
    },
    {
      flags: '--parent <ID>',
      description: 'auto (default: the last of the series), none, or a snapshot',
      values: ['auto', 'none'],
    },
    { flags: '--label <KEY=VALUE>', description: 'a label to keep with the snapshot', isRepeated: true },
    { flags: '--workers <N>', description: 'threads that read, compress and seal; 0 for none beside the main one' },
    FILE_LIST_OPTION,
    ...IMAGE_OPTIONS,
  ],
  examples: [
    'granary backup /vm/web.qcow2 --repo /backup/repo --key-file /root/granary.key',
    'granary backup raw:/dev/vg/db-root raw:/dev/vg/db-data --name db --label tier=gold',
    'ssh host cat /vm/old.raw | granary backup - --name old',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const names = invocation.arguments[0] as readonly string[]
    await using repository = await openRepositoryOf(invocation)
    const sources: OpenSource[] = []
    try {
      for (const name of names)
        sources.push(await openSource(name, { ...sourceOptions(invocation), openRepository: async () => repository }))
      const disks = nameDisks(sources, listOption(invocation, 'diskName'))
      const progress = startProgress(terminal)
      const totals = new Map<string, DiskProgress>()
      const startMs = performance.now()
      const parentText = textOption(invocation, 'parent') ?? 'auto'
      const parent =
        parentText === 'auto' || parentText === 'none'
          ? parentText
          : await resolveSnapshotId(repository.context, parentText, { signal })
      const snapshot = await backUp(repository, disks, {
        name: textOption(invocation, 'name') ?? (disks[0] as DiskInput).name,
        labels: parseLabels(listOption(invocation, 'label')),
        parent,
        workers: parseWorkers(textOption(invocation, 'workers')),
        signal,
        onProgress: event => {
          totals.set(event.disk, event)
          progress.show(progressOf(event, [...totals.values()], disks))
        },
      }).finally(() => progress.end())
      await report(
        invocation,
        await readSnapshot(repository.context, snapshot.id),
        (performance.now() - startMs) / 1000,
      )
      if (isGiven(invocation, 'fileList')) await recordFilesAfterBackup(terminal, repository, snapshot.id, signal)
      return 0
    } finally {
      for (const { disk } of sources) await disk[Symbol.asyncDispose]()
    }
  },
}

const sourceOptions = (invocation: Invocation): Omit<Parameters<typeof openSource>[1], 'openRepository'> => ({
  terminal: invocation.terminal,
  signal: invocation.signal,
  ...imageOptionsOf(invocation),
})

type OpenInput = DiskInput & Pick<OpenSource, 'disk'>

const nameDisks = (sources: readonly OpenSource[], given: readonly string[]): OpenInput[] => {
  if (given.length > sources.length) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${given.length} disk names for ${sources.length} disks`)
  }
  const disks = sources.map(({ disk, name, source, fileDescriptor }, i) => ({
    disk,
    name: given[i] ?? name,
    source,
    ...(fileDescriptor === undefined ? {} : { fileDescriptor }),
  }))
  const names = new Set(disks.map(disk => disk.name))
  if (names.size === disks.length) return disks
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `two disks have one name: ${disks.map(disk => disk.name).join(', ')}`,
    {
      hint: 'name them with --disk-name, once for each disk in their order',
    },
  )
}

const progressOf = (
  event: DiskProgress,
  all: readonly DiskProgress[],
  disks: readonly OpenInput[],
): Parameters<ReturnType<typeof startProgress>['show']>[0] => {
  const sum = (field: 'doneBytes' | 'newBytes' | 'storedBytes'): number =>
    all.reduce((total, disk) => total + disk[field], 0)
  const sizes = disks.map(({ disk }) => disk.sizeBytes)
  const isKnown = sizes.every(size => size !== undefined)
  return {
    what: event.disk,
    doneBytes: sum('doneBytes'),
    totalBytes: isKnown ? sizes.reduce<number>((total, size) => total + (size ?? 0), 0) : undefined,
    newBytes: sum('newBytes'),
    storedBytes: sum('storedBytes'),
    limitedBy: event.limitedBy,
  }
}

const report = async ({ terminal }: Invocation, snapshot: Snapshot, seconds: number): Promise<void> => {
  terminal.emit({ ...snapshotObject(snapshot), seconds: Number(seconds.toFixed(3)) })
  const size = snapshot.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0)
  terminal.say(
    `snapshot ${shortId(snapshot.id)} of ${snapshot.name} (${snapshot.backupKind}): ${snapshot.disks.length} ${snapshot.disks.length === 1 ? 'disk' : 'disks'}, ${formatBytes(size)}, ` +
      `${formatBytes(sumOf(snapshot, 'dataBytes'))} of data, ${formatBytes(sumOf(snapshot, 'newBytes'))} new, ` +
      `${formatBytes(sumOf(snapshot, 'storedBytes'))} stored, in ${formatDuration(seconds)}`,
  )
}
