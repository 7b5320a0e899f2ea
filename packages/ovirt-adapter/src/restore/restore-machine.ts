/**
 * Restores a machine: the steps of a plan, each of which looks first what an earlier run has done. So a restore that broke off
 * goes on by the same code that began it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError, isGranaryError, mapOrdered } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { readVm } from '../engine/resources/vms.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { ensureAttached } from './attach-disks.ts'
import type { ReadableSource, RestoreContext } from './context.ts'
import { ensureMachine } from './create-machine.ts'
import { ensureNics } from './create-nics.ts'
import { describeDisks, finishMachine } from './finish-machine.ts'
import { limitSource } from './limit-source.ts'
import type { RestorePlan } from './plan.ts'
import { RESTORE_KIND, RestoreState } from './restore-state.ts'
import { undoRestore } from './undo.ts'
import { ensureUploaded, pauseUploads } from './upload-disk.ts'

export interface RestoreMachineOptions extends AbortOptions {
  /** Start the machine when all is done. @default false */
  readonly start?: boolean
  /** Kept with the journal, for whoever resumes: which repository it was, and what else is needed. */
  readonly note?: string
}

export interface RestoreReport {
  /** What `--resume` takes; of use only while it isn't finished. */
  readonly restoreId: string
  /** None when only disks were asked for. */
  readonly vmId?: string
  readonly name: string
  readonly cluster: string
  readonly disks: readonly { readonly id: string; readonly alias: string; readonly sizeBytes: number }[]
  readonly nics: readonly string[]
  /** What was there and isn't here, each by name. */
  readonly notRestored: readonly string[]
  readonly warnings: readonly string[]
  readonly isStarted: boolean
}

/**
 * Does what a plan says.
 *
 * @throws GranaryError what stopped it. Before the first byte was uploaded, everything it made is removed again; afterwards it is
 *   left to be resumed, and `detail.restore` names it
 */
export const restoreMachine = async (
  context: RestoreContext,
  source: ReadableSource,
  plan: RestorePlan,
  options: RestoreMachineOptions = {},
): Promise<RestoreReport> => {
  const { engine, journal } = context
  const restore = randomBytes(4).toString('hex')
  const entry = await journal.begin(RESTORE_KIND, engine.base, {
    restore,
    snapshot: plan.snapshotId,
    mark: `granary ${journal.installation} restore ${restore}`,
    plan: JSON.stringify(plan),
    starts: options.start ?? false,
    note: options.note ?? '',
  })
  return await runRestore(context, source, entry, options)
}

/** Goes on with a restore that broke off. The source must be the same snapshot. */
export const resumeRestore = async (
  context: RestoreContext,
  source: ReadableSource,
  entry: JournalEntry,
  options: AbortOptions = {},
): Promise<RestoreReport> => {
  const state = new RestoreState(entry)
  if (state.plan.snapshotId !== source.snapshotId) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `restore ${state.id} is of snapshot ${state.plan.snapshotId}`, {
      detail: { restore: state.id, expected: state.plan.snapshotId, found: source.snapshotId },
    })
  }
  return await runRestore(context, source, entry, { ...options, start: entry.pending.facts['starts'] === true })
}

const runRestore = async (
  context: RestoreContext,
  source: ReadableSource,
  entry: JournalEntry,
  options: RestoreMachineOptions,
): Promise<RestoreReport> => {
  const state = new RestoreState(entry)
  try {
    const report = await runSteps(context, state, limitSource(context, source), options)
    await state.end()
    return report
  } catch (error) {
    if (state.hasData) {
      await pauseUploads(context, state)
      throw resumable(error, state)
    }
    // Whoever left is not waited for; what was made is still put away. Where that fails, the next start does it.
    const isUndone = await undoRestore(context.engine, state).then(
      () => true,
      () => false,
    )
    if (isUndone) await state.end()
    throw error
  }
}

const resumable = (error: unknown, { id }: RestoreState): unknown => {
  if (!isGranaryError(error)) return error
  return new GranaryError(error.code, error.message, {
    detail: { ...error.detail, restore: id },
    cause: error,
    retryable: true,
    hint: `what was uploaded is kept: \`granary ovirt restore --resume ${id}\` goes on, \`granary ovirt clean\` removes it`,
  })
}

const runSteps = async (
  context: RestoreContext,
  state: RestoreState,
  source: ReadableSource,
  { start = false, signal }: RestoreMachineOptions,
): Promise<RestoreReport> => {
  const { onEvent } = context
  const { machine } = state.plan
  if (machine.way === 'none') {
    await uploadAll(context, state, source, { signal })
    await describeDisks(context, state, { signal })
    return reportOf(state, { isStarted: false })
  }
  onEvent?.({ type: 'step', step: 'machine', what: machine.name })
  const vmId = await ensureMachine(context, state, source, { signal })
  const name = state.vmName ?? machine.name
  onEvent?.({ type: 'step', step: 'nics', what: name })
  await ensureNics(context, state, vmId, { signal })
  await uploadAll(context, state, source, { signal })
  onEvent?.({ type: 'step', step: 'attach', what: name })
  await ensureAttached(context, state, vmId, { signal })
  onEvent?.({ type: 'step', step: 'finish', what: name })
  await describeDisks(context, state, { signal })
  await finishMachine(context, state, vmId, { signal })
  if (start) await startMachine(context, { vmId, name }, { signal })
  return reportOf(state, { isStarted: start })
}

const uploadAll = async (
  context: RestoreContext,
  state: RestoreState,
  source: ReadableSource,
  { signal }: AbortOptions,
): Promise<void> => {
  const { disks } = state.plan
  const upload = async (index: number, diskSignal: AbortSignal): Promise<void> => {
    context.onEvent?.({ type: 'step', step: 'disk', what: disks[index]?.alias ?? '' })
    await ensureUploaded(context, state, source, index, { signal: diskSignal })
  }
  const concurrency = context.settings.limits.transfersPerVm
  for await (const _ of mapOrdered(disks.keys(), upload, { concurrency, signal })); // Each disk tells of itself.
}

const startMachine = async (
  { engine, settings, onEvent }: RestoreContext,
  { vmId, name }: { readonly vmId: string; readonly name: string },
  { signal }: AbortOptions,
): Promise<void> => {
  onEvent?.({ type: 'step', step: 'start', what: name })
  const vm = await readVm(engine, vmId, { signal })
  // After a break it may be starting already.
  if (vm.status === 'down')
    await engine.act(`/vms/${vmId}/start`, {}, { signal, conflictTimeoutMs: settings.vmStateMs })
}

const reportOf = (state: RestoreState, { isStarted }: { readonly isStarted: boolean }): RestoreReport => {
  const { plan } = state
  return {
    restoreId: state.id,
    ...(state.vmId === undefined ? {} : { vmId: state.vmId }),
    name: state.vmName ?? plan.machine.name,
    cluster: plan.machine.cluster.name,
    disks: plan.disks.map(({ alias, sizeBytes }, index) => ({ id: state.disk(index).id ?? '', alias, sizeBytes })),
    nics: plan.nics.map(nic => nic.name).filter(nic => !state.skippedNics.includes(nic)),
    notRestored: [...plan.notRestored, ...state.notRestored],
    warnings: [...plan.warnings, ...state.warnings],
    isStarted,
  }
}
