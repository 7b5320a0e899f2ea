/** Checkpoints: the moments incremental backups can start from. @module */
import { isGranaryError } from '@granary/core'
import type { CallOptions, Engine } from '../engine.ts'
import { itemsOf, neededText, textOf, timeOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface Checkpoint {
  readonly id: string
  readonly parentId: string | undefined
  readonly isValid: boolean
  /**
   * Engines that tell a checkpoint's state remove any one, also of a machine that is down; those before 4.4.7 only the oldest,
   * of one that runs (CONTRACT §4.4).
   */
  readonly hasState: boolean
  /** The backup's. */
  readonly description: string
  readonly creationMs: number | undefined
}

const decodeCheckpoint = (json: Json): Checkpoint => ({
  id: neededText(json, 'id'),
  parentId: textOf(json, 'parent_id'),
  isValid: textOf(json, 'state') !== 'invalid',
  hasState: textOf(json, 'state') !== undefined,
  description: textOf(json, 'description') ?? '',
  creationMs: timeOf(json, 'creation_date'),
})

/** Oldest first. */
export const listCheckpoints = async (
  engine: Engine,
  vmId: string,
  options: CallOptions = {},
): Promise<readonly Checkpoint[]> =>
  itemsOf(await engine.find(`/vms/${vmId}/checkpoints`, options), 'checkpoint').map(decodeCheckpoint)

/** The ids of the disks a checkpoint knows. */
export const listCheckpointDisks = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<readonly string[]> =>
  itemsOf(await engine.find(`/vms/${vmId}/checkpoints/${id}/disks`, options), 'disk').map(disk =>
    neededText(disk, 'id'),
  )

/** @returns false when it wasn't there, which engines say with a 400 (CONTRACT §4.4) */
export const removeCheckpoint = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<boolean> => {
  try {
    return await engine.remove(`/vms/${vmId}/checkpoints/${id}`, options)
  } catch (error) {
    if (!isGranaryError(error) || error.detail['status'] !== 400) throw error
    const { signal } = options
    if ((await listCheckpoints(engine, vmId, { signal })).some(checkpoint => checkpoint.id === id)) throw error
    return false
  }
}
