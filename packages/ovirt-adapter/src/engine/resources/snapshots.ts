/** Snapshots of machines. @module */
import type { CallOptions, Engine } from '../engine.ts'
import { itemsOf, neededText, textOf, timeOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface VmSnapshot {
  readonly id: string
  readonly description: string
  /** `regular`, `active`, `stateless`, `preview`. */
  readonly type: string
  /** `ok`, `locked`, `in_preview`. */
  readonly status: string
  readonly timeMs: number | undefined
}

const decodeSnapshot = (json: Json): VmSnapshot => ({
  id: neededText(json, 'id'),
  description: textOf(json, 'description') ?? '',
  type: textOf(json, 'snapshot_type') ?? 'regular',
  status: textOf(json, 'snapshot_status') ?? 'ok',
  timeMs: timeOf(json, 'date'),
})

/** The active layer among them. */
export const listVmSnapshots = async (
  engine: Engine,
  vmId: string,
  options: CallOptions = {},
): Promise<readonly VmSnapshot[]> =>
  itemsOf(await engine.find(`/vms/${vmId}/snapshots`, options), 'snapshot').map(decodeSnapshot)

/** @returns false when it wasn't there */
export const removeVmSnapshot = async (
  engine: Engine,
  vmId: string,
  id: string,
  options: CallOptions = {},
): Promise<boolean> => await engine.remove(`/vms/${vmId}/snapshots/${id}`, options)
