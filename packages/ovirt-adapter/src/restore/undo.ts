/** Takes back what a restore has made, and nothing else: its transfers, its disks, its machine. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { detachDisk, findDisk, listDisks, removeDisk } from '../engine/resources/disks.ts'
import { actOnTransfer, findTransfer, isFinished, listTransfers } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { findVm, listVms, removeVm, updateVm } from '../engine/resources/vms.ts'
import { waitFor } from '../engine/wait-for.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import { diskMark } from './create-disk.ts'
import type { RestoreState } from './restore-state.ts'

const TRANSFER_END_MS = 600_000

/**
 * Undoes a restore of a machine. The last made goes first.
 *
 * @throws GranaryError what the engine refuses with: what is left stays in the journal
 */
export const undoRestore = async (engine: Engine, state: RestoreState, options: AbortOptions = {}): Promise<void> => {
  const vmId = await findVmId(engine, state, options)
  if (vmId !== undefined && (await isFinishedMachine(engine, state, vmId, options))) return
  for (const index of [...state.plan.disks.keys()].toReversed()) await undoDisk(engine, state, { index, vmId }, options)
  if (vmId === undefined) return
  await updateVm(engine, vmId, { delete_protected: false }, { ...options, conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
  await removeVm(engine, vmId, { ...options, keepDisks: true, conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
}

/** The mark goes last: a machine without it is whole, and only the note of that is missing. One that was started is in use. */
const isFinishedMachine = async (
  engine: Engine,
  { mark }: RestoreState,
  vmId: string,
  options: AbortOptions,
): Promise<boolean> => {
  const vm = await findVm(engine, vmId, options)
  return vm !== undefined && (vm.description !== mark || !['down', 'image_locked'].includes(vm.status))
}

/** By its id, or, when its answer was lost, by name and mark. */
const findVmId = async (engine: Engine, state: RestoreState, options: AbortOptions): Promise<string | undefined> => {
  const { vmId, vmName, mark } = state
  if (vmId !== undefined) return (await findVm(engine, vmId, options))?.id
  if (vmName === undefined) return undefined
  const search = /^[\w.-]+$/.test(vmName) ? `name=${vmName}` : `name="${vmName.replaceAll('"', '')}"`
  return (await listVms(engine, { ...options, search })).find(vm => vm.name === vmName && vm.description === mark)?.id
}

const undoDisk = async (
  engine: Engine,
  state: RestoreState,
  { index, vmId }: { readonly index: number; readonly vmId: string | undefined },
  options: AbortOptions,
): Promise<void> => {
  const { id, transferId } = state.disk(index)
  if (id === undefined) return
  const disk = (await findDisk(engine, id, options)) ?? (await findMarked(engine, state, index, options))
  const diskId = disk?.id ?? id
  for (const transfer of await openTransfers(engine, { diskId, transferId }, options))
    await cancel(engine, transfer, options)
  if ((await findDisk(engine, diskId, options)) === undefined) return
  if (vmId !== undefined) await detachDisk(engine, vmId, diskId, { ...options, conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
  await removeDisk(engine, diskId, { ...options, conflictTimeoutMs: CONFLICT_TIMEOUT_MS })
}

/** On an engine that chose another id than ours. */
const findMarked = async (
  engine: Engine,
  state: RestoreState,
  index: number,
  options: AbortOptions,
): Promise<{ readonly id: string } | undefined> =>
  (await listDisks(engine, options)).find(({ description }) => description === diskMark(state, index))

/** All uploads to a disk that we made are ours. */
const openTransfers = async (
  engine: Engine,
  { diskId, transferId }: { readonly diskId: string; readonly transferId: string | undefined },
  options: AbortOptions,
): Promise<ImageTransfer[]> =>
  (await listTransfers(engine, options)).filter(
    transfer =>
      !isFinished(transfer) &&
      (transfer.id === transferId || (transfer.diskId === diskId && transfer.direction === 'upload')),
  )

/** Takes its disk along, which is what is wanted here. */
const cancel = async (engine: Engine, { id }: ImageTransfer, options: AbortOptions): Promise<void> => {
  let polls = 0
  const read = async (): Promise<ImageTransfer | undefined> => {
    const transfer = await findTransfer(engine, id, options)
    if (
      transfer !== undefined &&
      /^(transferring|paused|resuming|initializing)/.test(transfer.phase) &&
      polls++ % 10 === 0
    )
      await actOnTransfer(engine, id, 'cancel', options).catch((error: unknown) => {
        if (!isGranaryError(error) || ![400, 404, 409].includes(Number(error.detail['status']))) throw error
      })
    return transfer
  }
  await waitFor(read, {
    clock: engine.clock,
    timeoutMs: TRANSFER_END_MS,
    what: `upload ${id} is cancelled`,
    isDone: transfer => transfer === undefined || isFinished(transfer),
    describe: transfer => transfer?.phase ?? 'gone',
    signal: options.signal,
  })
}
