import { formatBytes } from '@granary/core'
import { readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import type { Command } from '../command.ts'
import { textArgument } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, signerOf, snapshotObject } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'

export const show: Command = {
  name: 'show',
  summary: 'show one snapshot',
  arguments: [{ name: '<ID>', description: 'id of a snapshot, a unique beginning of one, or "latest"' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const id = await resolveSnapshotId(repository.context, textArgument(invocation, 0), { signal })
    const snapshot = await readSnapshot(repository.context, id, { signal })
    terminal.emit({
      ...snapshotObject(snapshot),
      prev: snapshot.prev,
      hash: snapshot.hash,
      signer: snapshot.signer,
      suite: snapshot.suite,
      compression: snapshot.compression,
    })
    terminal.say(`snapshot     ${snapshot.id}`)
    terminal.say(`name         ${snapshot.name}`)
    terminal.say(`time         ${formatTime(snapshot.timeMs)} UTC, on ${snapshot.host}`)
    terminal.say(`kind         ${snapshot.backupKind}${snapshot.parent === null ? '' : `, parent ${snapshot.parent}`}`)
    terminal.say(`stored with  ${snapshot.suite}, ${snapshot.compression}`)
    terminal.say(`signed by    ${signerOf(snapshot)}, ${snapshot.signer}`)
    for (const [key, value] of Object.entries(snapshot.labels)) terminal.say(`label        ${key}=${value}`)
    for (const warning of snapshot.warnings) terminal.say(`warning      ${warning}`)
    const rows = snapshot.disks.map(disk => [
      disk.name,
      formatBytes(disk.sizeBytes),
      formatBytes(disk.stats.dataBytes),
      formatBytes(disk.stats.newBytes),
      formatBytes(disk.stats.storedBytes),
      disk.source,
    ])
    terminal.say(formatTable(['DISK', 'SIZE', 'DATA', 'NEW', 'STORED', 'SOURCE'], rows, [1, 2, 3, 4]))
    return 0
  },
}
