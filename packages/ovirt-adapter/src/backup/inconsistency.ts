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
 * Asked when all is read: whether something happened to the machine that makes its copy doubtful.
 *
 * @param vm as it was when the backup began
 * @param options `isOfSnapshot`: a snapshot of the engine kept still what was read
 */
export const markIfDisturbed = async (
  engine: Engine,
  vm: Vm,
  { isOfSnapshot, signal }: AbortOptions & { readonly isOfSnapshot: boolean },
): Promise<Mark> => {
  const now = await findVm(engine, vm.id, { signal })
  if (vm.status === 'up' && now?.status === 'paused') {
    // It has most likely filled its storage domain (CONTRACT §4.3): what the host could still keep for the backup is not known.
    return mark(`${vm.name} was paused during its backup`, 'see whether a storage domain is full')
  }
  if (vm.status === 'down' && !isOfSnapshot && now !== undefined && wasStarted(vm, now)) {
    return mark(`${vm.name} was started while its disks were read`, 'back it up again')
  }
  return { labels: {}, warnings: [] }
}

/** A stopped machine whose snapshot is taken is `image_locked`, and still stopped. */
const STOPPED = new Set(['down', 'image_locked'])

/** `stop_time` moves when it was started and stopped again meanwhile. */
const wasStarted = (before: Vm, now: Vm): boolean =>
  !STOPPED.has(now.status) || now.json['stop_time'] !== before.json['stop_time']

const mark = (reason: string, advice: string): Mark => ({
  labels: { [INCONSISTENT_LABEL]: reason },
  warnings: [`${reason}: the copy is marked inconsistent and no backup starts from it; ${advice}`],
})
