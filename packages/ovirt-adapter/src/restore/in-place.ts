/**
 * Restores in place: an existing, stopped machine gets back what its disks held, and only what differs is written. The transfers on
 * all disks are open before the first write, so the machine cannot start midway. They are never cancelled: that deletes the disk.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError, isGranaryError, mapOrdered } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { isOwn } from '../backup/ownership.ts'
import { pruneCheckpoints } from '../backup/prune-checkpoints.ts'
import { IN_PLACE_KIND, STALE_FACT, VM_FACT } from '../backup/stale-checkpoints.ts'
import type { Engine } from '../engine/engine.ts'
import { listCheckpoints } from '../engine/resources/checkpoints.ts'
import type { Checkpoint } from '../engine/resources/checkpoints.ts'
import { findTransfer } from '../engine/resources/transfers.ts'
import { factOf, factsOf } from '../journal/entry.ts'
import type { Journal, JournalEntry } from '../journal/journal.ts'
import type { ReadableSource, RestoreContext, RestoreSettings } from './context.ts'
import { diskFacts, readDiskState } from './disk-state.ts'
import type { DiskState } from './disk-state.ts'
import { fillDisk } from './fill-disk.ts'
import type { InPlaceDisk, InPlacePlan } from './in-place-plan.ts'
import { limitSource } from './limit-source.ts'
import { ensureUpload, finalizeUpload, listOpenUploads, pauseUpload } from './upload-transfer.ts'

export interface InPlaceReport {
  readonly restoreId: string
  readonly vmId: string
  readonly name: string
  readonly disks: readonly { readonly id: string; readonly alias: string; readonly writtenBytes: number }[]
  readonly removedCheckpoints: readonly string[]
  readonly warnings: readonly string[]
}

export interface InPlaceOptions extends AbortOptions {
  /** Kept with the journal, for whoever resumes. */
  readonly note?: string
}

/**
 * Does what a plan says.
 *
 * @throws GranaryError what stopped it. Nothing written yet: the disks are as they were, and free again. Otherwise the transfers are
 *   left paused, the disks are mixed, and `detail.restore` names what to resume
 */
export const restoreInPlace = async (
  context: RestoreContext,
  source: ReadableSource,
  plan: InPlacePlan,
  { note = '', signal }: InPlaceOptions = {},
): Promise<InPlaceReport> => {
  const entry = await context.journal.begin(IN_PLACE_KIND, context.engine.base, {
    restore: randomBytes(4).toString('hex'),
    snapshot: plan.snapshotId,
    [VM_FACT]: plan.vmId,
    plan: JSON.stringify(plan),
    note,
    ...Object.assign({}, ...plan.disks.map(({ diskId }, index) => diskFacts(index, { id: diskId }))),
  })
  return await resumeInPlace(context, source, entry, { signal })
}

/** Goes on where a restore in place broke off: the same code begins it. */
export const resumeInPlace = async (
  context: RestoreContext,
  source: ReadableSource,
  entry: JournalEntry,
  { signal }: AbortOptions = {},
): Promise<InPlaceReport> => {
  const { engine, settings, journal } = context
  const plan = inPlacePlanOf(entry)
  if (plan.snapshotId !== source.snapshotId)
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `restore ${restoreIdOf(entry)} is of snapshot ${plan.snapshotId}`,
    )
  const limited = limitSource(context, source)
  try {
    await openAll(context, plan, entry, { signal })
    const write = async (index: number, diskSignal: AbortSignal): Promise<void> =>
      await writeDisk(
        context,
        limited,
        { entry, index, disk: plan.disks[index] as InPlaceDisk },
        { signal: diskSignal },
      )
    const writes = mapOrdered(plan.disks.keys(), write, { concurrency: settings.limits.transfersPerVm, signal })
    for await (const _ of writes); // Each disk tells of itself.
  } catch (error) {
    throw await leave(context, plan, entry, error)
  }
  const report = reportOf(plan, entry) // With its end, the entry forgets.
  const { removed, warnings } = await finishInPlace(engine, journal, entry, { settings, signal })
  return { ...report, removedCheckpoints: removed, warnings: [...report.warnings, ...warnings] }
}

const reportOf = (plan: InPlacePlan, entry: JournalEntry): InPlaceReport => ({
  restoreId: restoreIdOf(entry),
  vmId: plan.vmId,
  name: plan.vmName,
  disks: plan.disks.map(({ diskId, alias }, index) => ({
    id: diskId,
    alias,
    writtenBytes: Number(entry.pending.facts[`disk${index}.written`] ?? 0),
  })),
  removedCheckpoints: [],
  warnings: plan.warnings,
})

export const restoreIdOf = ({ pending }: JournalEntry): string => factOf(pending, 'restore') ?? pending.run

/** @throws GranaryError `GRANARY_CORRUPT` */
export const inPlacePlanOf = ({ pending }: JournalEntry): InPlacePlan => {
  try {
    const plan = JSON.parse(factOf(pending, 'plan') ?? '') as Partial<InPlacePlan>
    if (Array.isArray(plan.disks) && typeof plan.vmId === 'string') return plan as InPlacePlan
  } catch {
    // Told below.
  }
  throw new GranaryError('GRANARY_CORRUPT', `restore ${pending.run}: its journal holds no plan`)
}

const hasWritten = ({ pending }: JournalEntry): boolean => pending.facts['hasData'] === true

const stateOf = (entry: JournalEntry, index: number): DiskState => readDiskState(entry.pending, index)

const foreignOf = ({ pending }: JournalEntry, index: number): readonly string[] =>
  factsOf(pending, `disk${index}.foreign`)

/** Every disk is locked by its transfer before one byte is written. */
const openAll = async (
  { engine, settings }: RestoreContext,
  plan: InPlacePlan,
  entry: JournalEntry,
  { signal }: AbortOptions,
): Promise<void> => {
  for (const [index, { diskId }] of plan.disks.entries()) {
    const { transferId, isUploaded, isFinalizing } = stateOf(entry, index)
    if (isUploaded || isFinalizing) continue
    if (transferId === undefined && entry.pending.facts[`disk${index}.foreign`] === undefined) {
      const open = await listOpenUploads(engine, diskId, { signal })
      await entry.learn(diskFacts(index, { foreign: open.map(({ id }) => id) }))
    }
    await ensureUpload(engine, {
      diskId,
      transferId,
      foreign: foreignOf(entry, index),
      mechanism: 'nbd',
      settings,
      learn: async transfer => await entry.learn(diskFacts(index, { transfer })),
      signal,
    })
  }
}

const writeDisk = async (
  context: RestoreContext,
  source: ReadableSource,
  { entry, index, disk }: { readonly entry: JournalEntry; readonly index: number; readonly disk: InPlaceDisk },
  { signal }: AbortOptions,
): Promise<void> => {
  const { isUploaded, isFinalizing } = stateOf(entry, index)
  if (isUploaded || isFinalizing) return
  context.onEvent?.({ type: 'step', step: 'disk', what: disk.alias })
  await using reader = await source.openDisk(disk.name, { signal })
  const counts = await fillDisk(
    context,
    {
      alias: disk.alias,
      diskId: disk.diskId,
      reader,
      foreign: foreignOf(entry, index),
      mechanism: 'nbd',
      readsZero: false,
      differencesOnly: true,
      state: () => stateOf(entry, index),
      learnTransfer: async transfer => await entry.learn(diskFacts(index, { transfer })),
      learnWatermark: async watermark => await entry.learn(diskFacts(index, { watermark })),
      async onWrite() {
        if (!hasWritten(entry)) await entry.learn({ hasData: true })
      },
    },
    { signal },
  )
  const writtenBytes = (counts?.writtenBytes ?? 0) + (counts?.zeroedBytes ?? 0)
  await entry.learn(diskFacts(index, { copied: true, written: writtenBytes }))
}

/** What happens to the disks when it breaks off. */
const leave = async (
  { engine, settings }: RestoreContext,
  plan: InPlacePlan,
  entry: JournalEntry,
  error: unknown,
): Promise<unknown> => {
  const names = plan.disks.map(({ alias }) => `"${alias}"`).join(', ')
  if (!hasWritten(entry)) {
    await releaseAll(engine, entry, { settings })
    await entry.end()
    return error
  }
  for (const index of plan.disks.keys()) {
    const { transferId, isUploaded } = stateOf(entry, index)
    if (transferId !== undefined && !isUploaded) await pauseUpload(engine, transferId).catch(() => undefined)
  }
  if (!isGranaryError(error)) return error
  const restore = restoreIdOf(entry)
  return new GranaryError(error.code, `${error.message}; the disks ${names} are mixed: part old, part restored`, {
    detail: { ...error.detail, restore, mixed: true },
    cause: error,
    retryable: true,
    hint: `do not start the machine; \`granary ovirt restore --resume ${restore}\` goes on`,
  })
}

/** Ends uploads into which nothing was written: the disks stay as they are. */
export const releaseAll = async (
  engine: Engine,
  entry: JournalEntry,
  options: AbortOptions & { readonly settings: RestoreSettings },
): Promise<void> => {
  for (const [index, { diskId }] of inPlacePlanOf(entry).disks.entries()) {
    // Where an answer was lost, the one that was not there before is ours.
    const known = stateOf(entry, index).transferId
    const isAsked = entry.pending.facts[`disk${index}.foreign`] !== undefined
    const lost = known === undefined && isAsked ? await listOpenUploads(engine, diskId, options) : []
    const transferId = known ?? lost.find(({ id }) => !foreignOf(entry, index).includes(id))?.id
    if (transferId !== undefined) await endUpload(engine, { transferId, diskId }, options)
  }
}

/** A paused upload is resumed before it can be finalized. */
const endUpload = async (
  engine: Engine,
  { transferId, diskId }: { readonly transferId: string; readonly diskId: string },
  { settings, signal }: AbortOptions & { readonly settings: RestoreSettings },
): Promise<void> => {
  const transfer = await findTransfer(engine, transferId, { signal })
  if (transfer?.phase.startsWith('paused') === true)
    await ensureUpload(engine, {
      diskId,
      transferId,
      foreign: [],
      mechanism: 'nbd',
      settings,
      learn: async () => undefined,
      signal,
    })
  const end = await finalizeUpload(engine, { transferId, diskId }, { settings, signal })
  if (end.kind === 'uploaded') return
  throw new GranaryError('GRANARY_REMOTE', `upload ${transferId} of disk ${diskId} ended badly: ${end.phase}`, {
    detail: { transfer: transferId, disk: diskId, phase: end.phase },
    hint: "the engine's events say why",
  })
}

interface FinishedInPlace {
  /** False: the entry stays open. */
  readonly isOver: boolean
  /** Checkpoints. */
  readonly removed: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Frees the disks, and drops the checkpoints of this installation: they need not know what was written, so the next backup is
 * a full one, in whatever repository.
 *
 * @returns what was removed; the entry stays open as long as one remains, so that no backup starts from it and the next start
 *   tries again
 */
export const finishInPlace = async (
  engine: Engine,
  journal: Journal,
  entry: JournalEntry,
  { settings, signal }: AbortOptions & { readonly settings: RestoreSettings },
): Promise<FinishedInPlace> => {
  const { disks, vmId } = inPlacePlanOf(entry)
  if (entry.pending.facts[STALE_FACT] === undefined) {
    const own = (await listCheckpoints(engine, vmId, { signal })).filter(one =>
      isOwn(journal, undefined, one.description),
    )
    await entry.learn({ [STALE_FACT]: own.map(({ id }) => id) })
  }
  for (const [index, { diskId }] of disks.entries()) {
    const { transferId, isUploaded } = stateOf(entry, index)
    if (isUploaded || transferId === undefined) continue
    await entry.learn(diskFacts(index, { finalizing: true }))
    await endUpload(engine, { transferId, diskId }, { settings, signal })
    await entry.learn(diskFacts(index, { uploaded: true }))
  }
  const stale = new Set(factsOf(entry.pending, STALE_FACT))
  const { removed, warnings } = await pruneCheckpoints(engine, { vmId, isUnwanted: ({ id }) => stale.has(id), signal })
  const remaining = await listCheckpoints(engine, vmId, { signal })
  const left = remaining.filter(({ id }) => stale.has(id))
  if (left.length === 0) {
    await entry.end()
    const foreign = remaining.filter(({ description }) => !isOwn(journal, undefined, description))
    return { isOver: true, removed, warnings: [...warnings, ...foreignWarnings(foreign)] }
  }
  const text = `checkpoints from before the restore are still there (${left.map(({ id }) => id).join(', ')}): no backup starts from them, and the next start tries again to remove them`
  return { isOver: false, removed, warnings: [...warnings, text] }
}

const foreignWarnings = ({ length }: readonly Checkpoint[]): readonly string[] =>
  length === 0
    ? []
    : [`${length} checkpoints of other products or installations stay: let their next backup be a full one`]
