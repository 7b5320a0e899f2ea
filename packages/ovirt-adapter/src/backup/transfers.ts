/** Image transfers of one machine's backup: opened with the journal's knowledge, closed so that nothing stays locked. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import type { Json } from '../engine/json.ts'
import { actOnTransfer, addTransfer, findTransfer, isFinished, listTransfers } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { waitFor } from '../engine/wait-for.ts'
import type { JournalEntry } from '../journal/journal.ts'
import type { Journal } from '../journal/journal.ts'
import { CONFLICT_TIMEOUT_MS } from './settings.ts'
import type { TransferSettings } from './settings.ts'

export interface OpenTransfer {
  readonly transfer: ImageTransfer
  readonly entry: JournalEntry
}

export interface DownloadOptions extends AbortOptions {
  readonly vmId: string
  readonly diskId: string
  /** None: the disk as it is, which must not be in use. */
  readonly backupId?: string | undefined
  readonly settings: TransferSettings
  /** How it is looked at while it starts. @default by its id */
  readonly find?: FindTransfer
}

/** Looks at one transfer; undefined when the engine does not know it any more. */
export type FindTransfer = (id: string, options: AbortOptions) => Promise<ImageTransfer | undefined>

/**
 * Creates a download and waits until it is `transferring`.
 *
 * @throws GranaryError `GRANARY_TIMEOUT`, `GRANARY_REMOTE` when the engine breaks it off, and what it refuses with
 */
export const openDownload = async (
  { engine, journal }: { engine: Engine; journal: Journal },
  { vmId, diskId, backupId, settings, find: look = byId(engine), signal }: DownloadOptions,
): Promise<OpenTransfer> => {
  // A transfer that is there already is not the one whose answer was lost.
  const before = (await listTransfers(engine, { signal })).filter(ofDisk(diskId)).map(({ id }) => id)
  const facts = {
    vm: vmId,
    disk: diskId,
    direction: 'download',
    before,
    ...(backupId === undefined ? {} : { backup: backupId }),
  }
  const entry = await journal.begin('transfer', engine.base, facts)
  const body = {
    disk: { id: diskId },
    ...(backupId === undefined ? {} : { backup: { id: backupId } }),
    direction: 'download',
    format: 'raw',
    inactivity_timeout: settings.transferInactivitySeconds,
    timeout_policy: 'cancel',
  }
  const find = async (): Promise<Json | undefined> => {
    const ours = await findLost(engine, { diskId, before }, { signal })
    return ours === undefined ? undefined : await engine.find(`/imagetransfers/${ours.id}`, { signal })
  }
  const posted = await addTransfer(engine, body, { find, conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal }).catch(
    async (error: unknown) => {
      if (isGranaryError(error) && [400, 403, 404, 409].includes(Number(error.detail['status']))) await entry.end()
      throw error
    },
  )
  await entry.learn({ transfer: posted.id })
  const timeoutMs = settings.transferStartMs
  return { transfer: await waitUntilTransferring(engine, posted, { timeoutMs, find: look, signal }), entry }
}

const byId =
  (engine: Engine): FindTransfer =>
  async (id, options) =>
    await findTransfer(engine, id, options)

const ofDisk =
  (diskId: string) =>
  (transfer: ImageTransfer): boolean =>
    transfer.diskId === diskId && transfer.direction === 'download' && !isFinished(transfer)

/** The one transfer of this disk that wasn't there before; with two, nobody can tell which is ours. */
export const findLost = async (
  engine: Engine,
  { diskId, before }: { readonly diskId: string; readonly before: readonly string[] },
  options: AbortOptions = {},
): Promise<ImageTransfer | undefined> => {
  const found = (await listTransfers(engine, options)).filter(ofDisk(diskId)).filter(({ id }) => !before.includes(id))
  if (found.length <= 1) return found[0]
  throw new GranaryError(
    'GRANARY_LOCKED',
    `disk ${diskId} has ${found.length} new transfers: which is ours is not known`,
    {
      detail: { disk: diskId, transfers: found.map(({ id }) => id).join(', ') },
      hint: 'see who else reads this disk; the transfers end by themselves when nobody uses them',
    },
  )
}

interface WaitForTransfer extends AbortOptions {
  readonly timeoutMs: number
  readonly find: FindTransfer
}

const waitUntilTransferring = async (
  engine: Engine,
  posted: ImageTransfer,
  { timeoutMs, find, signal }: WaitForTransfer,
): Promise<ImageTransfer> => {
  const { id } = posted
  const found = await waitFor<ImageTransfer | undefined>(async () => await find(id, { signal }), {
    clock: engine.clock,
    timeoutMs,
    what: `transfer ${id} is transferring`,
    isDone: transfer => !['initializing', 'resuming', 'unknown'].includes(transfer?.phase ?? 'gone'),
    describe: transfer => transfer?.phase ?? 'gone',
    known: posted,
    signal,
  })
  if (found?.phase === 'transferring') {
    const hasUrl = found.transferUrl !== undefined || found.proxyUrl !== undefined
    return hasUrl ? found : ((await findTransfer(engine, id, { signal })) ?? found)
  }
  throw new GranaryError('GRANARY_REMOTE', `transfer ${id} did not begin: it is ${found?.phase ?? 'gone'}`, {
    detail: { transfer: id, phase: found?.phase ?? 'gone' },
    retryable: true,
  })
}

/**
 * Asks for the end of a download; connections must be closed. A refusal is judged by the phase: engines end downloads that were
 * read to the last byte by themselves.
 */
export const finalizeDownload = async (engine: Engine, id: string, options: AbortOptions = {}): Promise<void> => {
  try {
    await actOnTransfer(engine, id, 'finalize', options)
  } catch (error) {
    if (!isGranaryError(error) || ![400, 404, 409, 500].includes(Number(error.detail['status']))) throw error
  }
}

/**
 * Waits until a transfer holds nothing any more.
 *
 * @throws GranaryError `GRANARY_TIMEOUT`
 */
export const waitUntilFinished = async (
  engine: Engine,
  id: string,
  { timeoutMs, find = byId(engine), signal }: Omit<WaitForTransfer, 'find'> & { readonly find?: FindTransfer },
): Promise<void> => {
  let polls = 0
  const read = async (): Promise<ImageTransfer | undefined> => {
    const transfer = await find(id, { signal })
    // A request that met the engine at a bad moment is made again.
    if (transfer?.phase === 'transferring' && ++polls % 10 === 0) await finalizeDownload(engine, id, { signal })
    return transfer
  }
  await waitFor(read, {
    clock: engine.clock,
    timeoutMs,
    what: `transfer ${id} is finished`,
    isDone: transfer => transfer === undefined || isFinished(transfer),
    describe: transfer => transfer?.phase ?? 'gone',
    signal,
  })
}

/** Finalizes, waits, and ends the entry. What takes too long stays in the journal. */
export const closeDownload = async (
  engine: Engine,
  { transfer, entry }: OpenTransfer,
  options: AbortOptions & { readonly timeoutMs: number },
): Promise<void> => {
  await finalizeDownload(engine, transfer.id, options)
  await waitUntilFinished(engine, transfer.id, options)
  await entry.end()
}
