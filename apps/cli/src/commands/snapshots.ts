import { formatBytes } from '@granary/core'
import { listSnapshots } from '@granary/dedup-store'
import type { Command } from '../command.ts'
import { textOption } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, shortId, signerOf, snapshotObject, sumOf } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'

export const snapshots: Command = {
  name: 'snapshots',
  summary: 'list snapshots, oldest first',
  options: [{ flags: '--name <NAME>', description: 'only of this series' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const all = await listSnapshots(repository.context, {
      signal,
      onDamaged: (sid, error) =>
        terminal.warn(`snapshot ${sid} can't be read: ${error.message}`, { code: error.code, snapshot: sid }),
    })
    const name = textOption(invocation, 'name')
    const shown = name === undefined ? all : all.filter(snapshot => snapshot.name === name)
    for (const snapshot of shown) terminal.emit(snapshotObject(snapshot))
    const rows = shown.map(snapshot => [
      shortId(snapshot.id),
      formatTime(snapshot.timeMs),
      snapshot.name,
      snapshot.backupKind,
      snapshot.disks.map(disk => disk.name).join(', '),
      formatBytes(snapshot.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0)),
      formatBytes(sumOf(snapshot, 'storedBytes')),
      signerOf(snapshot),
    ])
    terminal.say(formatTable(['ID', 'TIME (UTC)', 'NAME', 'KIND', 'DISKS', 'SIZE', 'ADDED', 'SIGNED BY'], rows, [5, 6]))
    terminal.say(`${shown.length} ${shown.length === 1 ? 'snapshot' : 'snapshots'}`)
    const unverified = shown.filter(({ signedBy }) => !signedBy.isVerified).length
    if (unverified > 0) terminal.warn(`${unverified} signed by a key that does not count: granary verify shows which`)
    return terminal.warnings > 0 ? 3 : 0
  },
}
