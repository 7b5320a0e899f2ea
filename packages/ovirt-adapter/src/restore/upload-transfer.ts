/** Uploads: opened, found again after a break, and ended so that the disk is `ok`. Never cancelled: that deletes the disk. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import type { Json } from '../engine/json.ts'
import { findDisk } from '../engine/resources/disks.ts'
import type { Disk } from '../engine/resources/disks.ts'
import { actOnTransfer, addTransfer, findTransfer, isFinished, listTransfers } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { waitFor } from '../engine/wait-for.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import type { RestoreSettings } from './context.ts'

export interface UploadRequest extends AbortOptions {
  readonly diskId: string
  /** As the journal knows it. */
  readonly transferId: string | undefined
  /** Ids of transfers that were there before we asked: not ours. None of a disk that we made. */
  readonly foreign: readonly string[]
  /** `nbd`: the disk as the guest sees it; `file`: its volume as it is stored. */
  readonly mechanism: 'nbd' | 'file'
  readonly settings: RestoreSettings
  /** Called before a new one is asked for, and when its id is known. */
  learn(transferId: string): Promise<void>
}

/**
 * An upload that is `transferring`: the one we have, if it can go on, or a new one.
 *
 * @throws GranaryError `GRANARY_TIMEOUT` when it does not begin; `GRANARY_REMOTE` when the engine ends it
 */
export const ensureUpload = async (engine: Engine, request: UploadRequest): Promise<ImageTransfer> => {
  const { transferId, signal } = request
  const known =
    transferId === undefined ? await findOpen(engine, request) : await findTransfer(engine, transferId, { signal })
  if (known !== undefined && !hasEnded(known)) {
    if (known.id !== transferId) await request.learn(known.id)
    return await bringUp(engine, known, request)
  }
  const find = async (): Promise<Json | undefined> => {
    const open = await findOpen(engine, request)
    return open === undefined ? undefined : await engine.find(`/imagetransfers/${open.id}`, { signal })
  }
  const made = await addTransfer(engine, bodyOf(request), { find, conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
  await request.learn(made.id)
  return await bringUp(engine, made, request)
}

/** The open upload that was not there before we asked is ours, whether we heard its id or not. */
const findOpen = async (
  engine: Engine,
  { diskId, foreign, signal }: Pick<UploadRequest, 'diskId' | 'foreign' | 'signal'>,
): Promise<ImageTransfer | undefined> =>
  (await listOpenUploads(engine, diskId, { signal })).find(({ id }) => !foreign.includes(id))

export const listOpenUploads = async (
  engine: Engine,
  diskId: string,
  options: AbortOptions,
): Promise<ImageTransfer[]> =>
  (await listTransfers(engine, options)).filter(
    transfer => transfer.diskId === diskId && transfer.direction === 'upload' && !hasEnded(transfer),
  )

const hasEnded = (transfer: ImageTransfer): boolean =>
  isFinished(transfer) || transfer.phase.startsWith('cancelled') || transfer.phase.startsWith('finalizing')

const bodyOf = ({ diskId, mechanism, settings }: UploadRequest): Json => ({
  disk: { id: diskId },
  direction: 'upload',
  ...(mechanism === 'nbd' ? { format: 'raw' } : {}),
  inactivity_timeout: settings.transferInactivitySeconds,
  timeout_policy: 'pause',
})

/** Resumes what is paused, as often as it pauses, until it is transferring. Time the engine was away does not count. */
const bringUp = async (
  engine: Engine,
  { id }: ImageTransfer,
  { settings, signal }: UploadRequest,
): Promise<ImageTransfer> => {
  const { clock } = engine
  let awayMs = 0
  const read = async (): Promise<ImageTransfer | undefined> => {
    const startMs = clock.now()
    const transfer = await findTransfer(engine, id, { signal })
    if (transfer?.phase.startsWith('paused') === true) await resume(engine, id, { signal })
    awayMs += clock.now() - startMs
    return transfer
  }
  const wait = async (timeoutMs: number): Promise<ImageTransfer | undefined> =>
    await waitFor(read, {
      clock,
      timeoutMs,
      what: `upload ${id} is transferring`,
      isDone: transfer => transfer === undefined || transfer.phase === 'transferring' || hasEnded(transfer),
      describe: transfer => transfer?.phase ?? 'gone',
      signal,
    })
  const found = await wait(settings.transferStartMs).catch(async (error: unknown) => {
    if (!isGranaryError(error) || error.code !== 'GRANARY_TIMEOUT' || awayMs === 0) throw error
    return await wait(Math.min(awayMs, settings.transferStartMs))
  })
  if (found?.phase === 'transferring') return found
  throw new GranaryError('GRANARY_REMOTE', `upload ${id} did not begin: it is ${found?.phase ?? 'gone'}`, {
    detail: { transfer: id, phase: found?.phase ?? 'gone' },
    retryable: true,
  })
}

/** A transfer that is no longer paused refuses with 409: its phase tells. */
const resume = async (engine: Engine, id: string, options: AbortOptions): Promise<void> => {
  try {
    await actOnTransfer(engine, id, 'resume', options)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
}

const isRefusal = (error: unknown): boolean =>
  isGranaryError(error) && [400, 404, 409].includes(Number(error.detail['status']))

/** So that a break leaves it where it is. It pauses by itself, too, when nobody uses it. */
export const pauseUpload = async (engine: Engine, id: string, options: AbortOptions = {}): Promise<void> => {
  try {
    await actOnTransfer(engine, id, 'pause', options)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
}

export type UploadEnd =
  | { readonly kind: 'uploaded' }
  /** The engine found the disk wrong, and removed it. */
  | { readonly kind: 'rejected'; readonly phase: string }

/**
 * Ends an upload and waits until its disk is `ok`; connections must be closed.
 *
 * @throws GranaryError `GRANARY_TIMEOUT`
 */
export const finalizeUpload = async (
  engine: Engine,
  { transferId, diskId }: { readonly transferId: string; readonly diskId: string },
  { settings, signal }: AbortOptions & { readonly settings: RestoreSettings },
): Promise<UploadEnd> => {
  let phase = 'gone'
  let polls = 0
  const read = async (): Promise<{ transfer: ImageTransfer | undefined; disk: Disk | undefined }> => {
    const transfer = await findTransfer(engine, transferId, { signal })
    phase = transfer?.phase ?? phase
    // A request that met the engine at a bad moment is made again.
    if (transfer !== undefined && !hasEnded(transfer) && polls++ % 10 === 0)
      await finalize(engine, transferId, { signal })
    return { transfer, disk: await findDisk(engine, diskId, { signal }) }
  }
  const { disk } = await waitFor(read, {
    clock: engine.clock,
    timeoutMs: settings.transferFinalizeMs + settings.uploadStallMs,
    what: `upload ${transferId} is finished and its disk ok`,
    isDone: found => isSettled(found),
    describe: found => `${found.transfer?.phase ?? 'gone'}, the disk ${found.disk?.status ?? 'gone'}`,
    signal,
  })
  return disk?.status === 'ok' ? { kind: 'uploaded' } : { kind: 'rejected', phase }
}

/** After the end of a transfer, older engines know nothing of it: the disk tells. */
const isSettled = ({ transfer, disk }: { transfer: ImageTransfer | undefined; disk: Disk | undefined }): boolean => {
  const isOver = transfer === undefined || isFinished(transfer)
  return isOver && disk?.status !== 'locked'
}

/** Refused when it ended meanwhile; asked of a paused one, it must be resumed first. */
const finalize = async (engine: Engine, id: string, options: AbortOptions): Promise<void> => {
  try {
    await actOnTransfer(engine, id, 'finalize', options)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
}
