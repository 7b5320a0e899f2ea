/** The machine of a snapshot, as its manifest has it. @module */
import { GranaryError } from '@granary/core'
import type { MachineRecord } from './machine-record.ts'

/** More than any engine attaches to one machine. */
const MAX_ITEMS = 4096

const LISTS = [
  'disks',
  'notCopied',
  'nics',
  'watchdogs',
  'cdroms',
  'hostDevices',
  'numaNodes',
  'tags',
  'affinityLabels',
  'affinityGroups',
  'permissions',
  'pinnedHosts',
] as const satisfies readonly (keyof MachineRecord)[]

/**
 * Takes `manifest.machine` for what it should be. Manifests are signed, so this guards against other versions, not against forgery.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when the snapshot is of no such machine; `GRANARY_UNSUPPORTED` when a newer version wrote
 *   it; `GRANARY_CORRUPT` when parts are missing
 */
export const readMachineRecord = (machine: unknown): MachineRecord => {
  const record = machine as Partial<MachineRecord> | null | undefined
  if (typeof record !== 'object' || record?.platform !== 'ovirt') {
    throw new GranaryError(
      'GRANARY_NOT_FOUND',
      'the snapshot holds disks, and no machine of an oVirt-family platform',
      {
        hint: 'write its disks to files with `granary restore`',
      },
    )
  }
  if (record.version !== 1) {
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `the machine was recorded in version ${String(record.version)}, this reads 1`,
      {
        hint: 'restore it with a newer granary, or write its disks to files with `granary restore`',
      },
    )
  }
  const missing = [
    ...(['engine', 'dataCenter', 'cluster', 'vm'] as const).filter(key => typeof record[key] !== 'object'),
    ...LISTS.filter(key => !Array.isArray(record[key]) || record[key].length > MAX_ITEMS),
  ]
  if (missing.length === 0) return record as MachineRecord
  throw new GranaryError('GRANARY_CORRUPT', `the machine's record lacks ${missing.join(', ')}`, {
    detail: { missing: missing.join(', ') },
    hint: 'its disks can still be written to files with `granary restore`',
  })
}

/** The machine of a snapshot; undefined when it is of none, or of one that this version can't read. */
export const machineOf = ({ machine }: { readonly machine?: unknown }): MachineRecord | undefined => {
  try {
    return readMachineRecord(machine)
  } catch {
    return undefined
  }
}
