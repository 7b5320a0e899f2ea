import { listSnapshots } from '@granary/dedup-store'
import type { Snapshot } from '@granary/dedup-store'
import type { Command } from '../command.ts'
import { loadAdapter } from '../ovirt/open-ovirt.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, shortId } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'

export const ovirtBackups: Command = {
  name: 'ovirt backups',
  summary: 'list the backups of machines, oldest first',
  arguments: [{ name: '[VM]', description: 'name or id of a machine (default: all)' }],
  examples: ['granary ovirt backups', 'granary ovirt backups web --json'],
  async run(invocation) {
    const { terminal, signal } = invocation
    const { machineOf } = await loadAdapter()
    await using repository = await openRepositoryOf(invocation)
    const snapshots = await listSnapshots(repository.context, {
      signal,
      onDamaged: (sid, error) =>
        terminal.warn(`snapshot ${sid} can't be read: ${error.message}`, { code: error.code, snapshot: sid }),
    })
    const [wanted] = invocation.arguments
    const shown = snapshots.flatMap(snapshot => {
      const machine = machineOf(snapshot)
      if (machine === undefined) return []
      const vmId = String(machine.vm['id'] ?? '')
      const isWanted = wanted === undefined || wanted === snapshot.name || wanted === vmId
      return isWanted ? [{ snapshot, vmId, machine }] : []
    })
    for (const { snapshot, vmId, machine } of shown) {
      terminal.emit({
        type: 'vm-backup',
        v: 1,
        id: snapshot.id,
        reference: snapshot.parent,
        vm: { id: vmId, name: snapshot.name },
        engine: machine.engine.url,
        kind: snapshot.backupKind,
        created: new Date(snapshot.timeMs).toISOString(),
        crypto: snapshot.suite,
        isSigned: true,
        frozen: machine.frozen,
        status: statusOf(snapshot),
        disks: snapshot.disks.map(disk => disk.name),
        notCopied: machine.notCopied,
        warnings: snapshot.warnings,
      })
    }
    const header = ['ID', 'REFERENCE', 'RESOURCE', 'TYPE', 'BACKUP', 'CREATED (UTC)', 'CRYPTO', 'SIGNED', 'STATUS']
    const rows = shown.map(({ snapshot }) => [
      shortId(snapshot.id),
      snapshot.parent === null ? '' : shortId(snapshot.parent),
      snapshot.name,
      'oVirt VM',
      snapshot.backupKind,
      formatTime(snapshot.timeMs),
      snapshot.suite,
      'yes',
      statusOf(snapshot),
    ])
    terminal.say(formatTable(header, rows))
    terminal.say(`${shown.length} ${shown.length === 1 ? 'backup' : 'backups'}`)
    return terminal.warnings > 0 ? 3 : 0
  },
}

/** The signature was verified when the manifest was read; whether all data is there and right, `granary check` tells. */
const statusOf = ({ labels, warnings }: Snapshot): string => {
  if (labels['inconsistent'] !== undefined) return 'inconsistent'
  return warnings.length > 0 ? `ok, ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}` : 'ok'
}
