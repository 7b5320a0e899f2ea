/**
 * Copies that are kept and not trusted: they carry a label that says why, are no base, and move no last good checkpoint.
 *
 * @see docs/ovirt-adapter.md, "Copies that are marked"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { INCONSISTENT_LABEL } from '@granary/dedup-store'
import type { Snapshot } from '@granary/dedup-store'
import type { Engine } from '../engine/engine.ts'
import { findVm } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'

export const isInconsistent = ({ labels }: Pick<Snapshot, 'labels'>): boolean =>
  labels[INCONSISTENT_LABEL] !== undefined

export interface Mark {
  readonly labels: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}

/**
 * Asked when all is read: a machine that ran and is paused now has most likely filled its storage domain (CONTRACT §4.3), and
 * what the host could still keep for the backup is not known.
 *
 * @param vm as it was when the backup began
 */
export const markIfPaused = async (engine: Engine, vm: Vm, options: AbortOptions): Promise<Mark> => {
  if (vm.status !== 'up') return { labels: {}, warnings: [] }
  const now = await findVm(engine, vm.id, options)
  if (now?.status !== 'paused') return { labels: {}, warnings: [] }
  const reason = `${vm.name} was paused during its backup`
  const advice = 'the copy is marked inconsistent and no backup starts from it; see whether a storage domain is full'
  return { labels: { [INCONSISTENT_LABEL]: reason }, warnings: [`${reason}: ${advice}`] }
}
