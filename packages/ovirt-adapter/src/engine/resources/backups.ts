/** Backups of machines, as the engine runs them. @module */
import type { CallOptions, CreateOptions, Engine } from '../engine.ts'
import { itemsOf, neededText, referenceOf, textOf, timeOf } from '../json.ts'
import type { Json } from '../json.ts'
import { decodeDisk } from './disks.ts'
import type { Disk } from './disks.ts'

export interface Backup {
  readonly id: string
  /** `initializing`, `starting`, `ready`, `finalizing`, `succeeded`, `failed`. */
  readonly phase: string
  readonly description: string
  readonly fromCheckpointId: string | undefined
  /** Absent until `ready`, and for ever without a qcow2 disk. */
  readonly toCheckpointId: string | undefined
  /** Of the hybrid engine only. */
  readonly snapshotId: string | undefined
  readonly hostId: string | undefined
  readonly creationMs: number | undefined
}

export const decodeBackup = (json: Json): Backup => ({
  id: neededText(json, 'id'),
  phase: textOf(json, 'phase') ?? 'initializing',
  description: textOf(json, 'description') ?? '',
  fromCheckpointId: textOf(json, 'from_checkpoint_id'),
  toCheckpointId: textOf(json, 'to_checkpoint_id'),
  snapshotId: referenceOf(json, 'snapshot'),
  hostId: referenceOf(json, 'host'),
  creationMs: timeOf(json, 'creation_date'),
})

export const listBackups = async (
  engine: Engine,
  vmId: string,
  options: CallOptions = {},
): Promise<readonly Backup[]> => itemsOf(await engine.find(`/vms/${vmId}/backups`, options), 'backup').map(decodeBackup)

export const findBackup = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<Backup | undefined> => {
  const json = await engine.find(`/vms/${vmId}/backups/${id}`, options)
  return json === undefined ? undefined : decodeBackup(json)
}

export const addBackup = async (
  engine: Engine,
  vmId: string,
  body: object,
  options: CreateOptions = {},
): Promise<Backup> => decodeBackup(await engine.create(`/vms/${vmId}/backups`, body, options))

/** The disks the engine took into the backup: it drops some without a word. */
export const listBackupDisks = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<readonly Disk[]> =>
  itemsOf(await engine.get(`/vms/${vmId}/backups/${id}/disks`, options), 'disk').map(decodeDisk)

/** The end of a backup, and the only way to break one off. */
export const finalizeBackup = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<void> => {
  await engine.act(`/vms/${vmId}/backups/${id}/finalize`, {}, options)
}
