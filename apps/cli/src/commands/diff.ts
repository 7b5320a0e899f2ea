import { formatBytes } from '@granary/core'
import { diffSnapshots, resolveSnapshotId } from '@granary/dedup-store'
import type { Command } from '../command.ts'
import { textArgument } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'

export const diff: Command = {
  name: 'diff',
  summary: 'show the ranges that changed between two snapshots, disk by disk',
  arguments: [
    { name: '<ID>', description: 'the earlier snapshot' },
    { name: '<OTHER>', description: 'the later one' },
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const [before, after] = await Promise.all(
      [0, 1].map(
        async place => await resolveSnapshotId(repository.context, textArgument(invocation, place), { signal }),
      ),
    )
    for await (const { disk, beforeBytes, afterBytes, ranges } of diffSnapshots(
      repository,
      before as string,
      after as string,
      { signal },
    )) {
      if (beforeBytes === undefined || afterBytes === undefined) {
        terminal.emit({ type: 'disk', v: 1, disk, change: beforeBytes === undefined ? 'added' : 'removed' })
        terminal.say(`${disk}: ${beforeBytes === undefined ? 'added' : 'removed'}`)
        continue
      }
      let changedBytes = 0
      for await (const { offset, length } of ranges) {
        changedBytes += length
        terminal.emit({ type: 'range', v: 1, disk, offset, length })
        terminal.say(`${disk}  ${String(offset).padStart(16)}  ${formatBytes(length)}`)
      }
      terminal.say(`${disk}: ${formatBytes(changedBytes)} of ${formatBytes(afterBytes)} changed`)
    }
    return 0
  },
}
