/** Takes files out of a machine's drive again, and everything that was made for them. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { changeCdrom, readCdrom } from '../engine/resources/cdroms.ts'
import { findDisk, removeDisk } from '../engine/resources/disks.ts'
import { actOnTransfer, listTransfers, isFinished } from '../engine/resources/transfers.ts'
import { findVm } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import { waitFor } from '../engine/wait-for.ts'
import type { Undo } from '../clean/undo.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { CONFLICT_TIMEOUT_MS } from '../restore/context.ts'
import { isRunning } from './choose-target.ts'
import type { FilesContext } from './context.ts'
import { removeFile } from './make-disc.ts'
import { FILES_KIND, isFilesEntry, readFilesState } from './state.ts'
import type { AttachedFiles, FilesState } from './state.ts'

const FREE_MS = 600_000

/** Answers that mean "not in this state", or "no longer there": what was in the drive before may be gone. */
const REFUSALS = [400, 404, 409]

export interface EjectResult {
  readonly files: AttachedFiles
  /** What was in the drive before and couldn't come back, as people read it. */
  readonly warnings: readonly string[]
}

/**
 * The drive first, then what is stored for the next start, then the disk: the engine can't start a machine whose disc is gone.
 *
 * @returns what couldn't come back
 */
export const takeOut = async (
  engine: Engine,
  entry: JournalEntry,
  { signal }: AbortOptions = {},
): Promise<readonly string[]> => {
  const state = readFilesState(entry.pending)
  const warnings: string[] = []
  const vm = await settledVm(engine, state, { signal })
  if (vm !== undefined) {
    for (const isCurrent of isRunning(vm) ? [true, false] : [false]) {
      const warning = await putBack(engine, state, { isCurrent, signal })
      if (warning !== undefined) warnings.push(warning)
    }
  }
  await removeDisc(engine, state, { signal })
  return warnings
}

/** The machine, once it neither starts nor stops nor moves: in between nobody knows what its drive holds. */
const settledVm = async (
  engine: Engine,
  { files: { vmId, vmName } }: FilesState,
  { signal }: AbortOptions,
): Promise<Vm | undefined> => {
  const vm = await waitFor(async () => await findVm(engine, vmId, { signal }), {
    clock: engine.clock,
    timeoutMs: FREE_MS,
    what: `machine "${vmName}" runs or is stopped`,
    isDone: found => found === undefined || isRunning(found) || ['down', 'suspended'].includes(found.status),
    describe: found => found?.status ?? 'gone',
    signal,
  })
  if (vm?.status !== 'suspended') return vm
  throw new GranaryError('GRANARY_LOCKED', `machine "${vmName}" is suspended, with the files in its drive`, {
    detail: { vm: vmId },
    retryable: true,
    hint: 'resume or stop it, and eject them then',
  })
}

/** Changes the drive only while it holds our disc: whoever has put in another one meanwhile keeps it. */
const putBack = async (
  engine: Engine,
  state: FilesState,
  { isCurrent, signal }: AbortOptions & { readonly isCurrent: boolean },
): Promise<string | undefined> => {
  const { vmId, vmName, disc } = state.files
  const found = await readCdrom(engine, vmId, { isCurrent, signal })
  if (found !== disc) return undefined
  // A machine that was stopped has been started with the files instead of what it would have been started with.
  const previous = isCurrent && state.files.isCurrent ? state.previousCurrent : state.previousStored
  try {
    await changeCdrom(engine, vmId, previous, { isCurrent, signal })
    return undefined
  } catch (error) {
    if (!isRefusal(error)) throw error
    if (previous === undefined) throw error
    await changeCdrom(engine, vmId, undefined, { isCurrent, signal })
    return `${previous} could not be put back into the drive of "${vmName}": it is empty`
  }
}

const isRefusal = (error: unknown): boolean =>
  isGranaryError(error) && REFUSALS.includes(Number(error.detail['status']))

const removeDisc = async (
  engine: Engine,
  { files: { disc }, path }: FilesState,
  { signal }: AbortOptions,
): Promise<void> => {
  if (path !== undefined) return await removeFile(path)
  for (const transfer of (await listTransfers(engine, { signal })).filter(
    one => one.diskId === disc && !isFinished(one),
  ))
    await actOnTransfer(engine, transfer.id, 'cancel', { signal }).catch((error: unknown) => {
      if (!isRefusal(error)) throw error
    })
  await waitFor(async () => (await findDisk(engine, disc, { signal }))?.status, {
    clock: engine.clock,
    timeoutMs: FREE_MS,
    what: 'the disk of the files is free',
    isDone: status => status !== 'locked',
    describe: status => status ?? 'gone',
    signal,
  })
  await removeDisk(engine, disc, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
}

/** Files in drives, of runs that have ended, oldest first. */
export const listFiles = async ({
  engine,
  journal,
}: Pick<FilesContext, 'engine' | 'journal'>): Promise<readonly AttachedFiles[]> => {
  const all: AttachedFiles[] = []
  for (const run of await journal.abandoned()) {
    await using held = run
    for (const entry of held.entries)
      if (isFilesEntry(entry) && entry.pending.engine === engine.base) all.push(readFilesState(entry.pending).files)
  }
  return all
}

/**
 * Ejects files by their id: what was in the drive comes back, the setting for the next start too, and the disk goes.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when the journal has none of this id
 */
export const ejectFiles = async (
  { engine, journal, onEvent }: Pick<FilesContext, 'engine' | 'journal' | 'onEvent'>,
  id: string,
  options: AbortOptions = {},
): Promise<EjectResult> => {
  for (const run of await journal.abandoned()) {
    await using held = run
    const entry = held.entries.find(
      one => isFilesEntry(one) && one.pending.engine === engine.base && readFilesState(one.pending).files.id === id,
    )
    if (entry === undefined) continue
    const files = readFilesState(entry.pending).files
    onEvent?.({ type: 'step', step: 'eject', what: files.vmName })
    const warnings = await takeOut(engine, entry, options)
    await entry.end()
    return { files, warnings }
  }
  throw new GranaryError('GRANARY_NOT_FOUND', `no files with the id ${id} are in a drive of this engine`, {
    detail: { id },
    hint: '`granary ovirt files list` shows them; those of a run that still works end with it',
  })
}

/** Files that a run had not put into the drive yet, or whose time is up, go; others stay until somebody ejects them. */
const undoFiles: Undo = async ({ engine, entry, isDry, signal }) => {
  const { id, vmName, isAttached, ejectAtMs = Infinity } = readFilesState(entry.pending).files
  if (isAttached && engine.clock.now() < ejectAtMs)
    return {
      kind: 'left',
      text: `files are in the drive of "${vmName}"`,
      hint: `\`granary ovirt files eject ${id}\` takes them out`,
    }
  const warnings = isDry ? [] : await takeOut(engine, entry, { signal })
  return { kind: 'undone', text: [`the files for "${vmName}" are ejected and removed`, ...warnings].join('; ') }
}

export const FILES_UNDO = { [FILES_KIND]: undoFiles } as const
