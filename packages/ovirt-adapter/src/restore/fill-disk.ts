/**
 * Fills a disk of the platform through an upload, until all is durable. A break of whatever kind opens the transfer again and goes
 * on from the last acknowledged flush.
 *
 * @module
 */
import { GranaryError, copyDisk, formatBytes, isGranaryError } from '@granary/core'
import type { AbortOptions, CopyCounts, DiskReader, DiskWriter } from '@granary/core'
import { createQcow2, openQcow2Writer } from '@granary/qcow2'
import type { RestoreContext } from './context.ts'
import { copyFrom } from './copy-from.ts'
import type { DiskState } from './disk-state.ts'
import { ensureUpload } from './upload-transfer.ts'
import { volumeFile } from './volume-file.ts'

export interface FillJob {
  readonly alias: string
  readonly diskId: string
  readonly reader: DiskReader
  /** Transfers of the disk that are not ours. */
  readonly foreign: readonly string[]
  readonly mechanism: 'nbd' | 'file'
  /** The volume holds a qcow2 image of a disk of this size, which is written as it is stored. */
  readonly qcow2Bytes?: number
  /** What was never written is known to be zero. */
  readonly readsZero: boolean
  /** Compare first, write what differs. */
  readonly differencesOnly: boolean
  state(): DiskState
  learnTransfer(id: string): Promise<void>
  learnWatermark(bytes: number): Promise<void>
  /** Before the first byte is written. */
  onWrite(): Promise<void>
}

const FIRST_WAIT_MS = 2000
const LONGEST_WAIT_MS = 30_000

/** Attempts in a row that moved bytes and got no further than those before: a full storage domain stays full. */
const MOST_IN_VAIN = 20

/** What will not go away by trying again: the copy itself is damaged, the caller left, or what we ask for is wrong. */
const FATAL = new Set<string>([
  'GRANARY_CORRUPT',
  'GRANARY_AUTHENTICATION',
  'GRANARY_ABORTED',
  'GRANARY_INVALID_ARGUMENT',
  'GRANARY_UNSUPPORTED',
  'GRANARY_SIZE',
  'GRANARY_LIMIT',
])

/** @throws GranaryError `GRANARY_TIMEOUT` when nothing has moved for `uploadStallMs`, or it breaks at the same place again and again;
 * what will not pass */
export const fillDisk = async (
  context: RestoreContext,
  job: FillJob,
  { signal }: AbortOptions,
): Promise<CopyCounts | undefined> => {
  const { clock } = context.engine
  const { uploadStallMs } = context.settings
  let movedMs = clock.now()
  let furthestBytes = 0
  let attemptsInVain = 0
  let waitMs = FIRST_WAIT_MS
  for (;;) {
    const startMs = movedMs
    const startBytes = furthestBytes
    const onMove = (doneBytes: number): void => {
      movedMs = clock.now()
      furthestBytes = Math.max(furthestBytes, doneBytes)
    }
    try {
      return await fillOnce(context, job, { onMove, signal })
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error) || FATAL.has(error.code)) throw error
      if (furthestBytes > startBytes) [waitMs, attemptsInVain] = [FIRST_WAIT_MS, 0]
      else if (movedMs > startMs) attemptsInVain++
      if (clock.now() - movedMs >= uploadStallMs || attemptsInVain >= MOST_IN_VAIN)
        throw stalled(error, job, furthestBytes)
      await clock.sleep(waitMs, signal)
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)
    }
  }
}

const stalled = (error: GranaryError, { alias }: FillJob, furthestBytes: number): GranaryError =>
  new GranaryError(
    'GRANARY_TIMEOUT',
    `disk "${alias}" does not get beyond ${formatBytes(furthestBytes)}, however often it is tried: ${error.message}`,
    { detail: { ...error.detail, disk: alias }, cause: error, retryable: true },
  )

const fillOnce = async (
  { engine, settings, openUpload, onEvent }: RestoreContext,
  job: FillJob,
  { onMove, signal }: AbortOptions & { readonly onMove: (doneBytes: number) => void },
): Promise<CopyCounts> => {
  const transfer = await ensureUpload(engine, {
    diskId: job.diskId,
    transferId: job.state().transferId,
    foreign: job.foreign,
    mechanism: job.mechanism,
    settings,
    learn: async id => await job.learnTransfer(id),
    signal,
  })
  const connections = settings.limits.connectionsPerTransfer
  await using image = await openUpload({
    transferUrl: transfer.transferUrl,
    proxyUrl: transfer.proxyUrl,
    ca: await engine.imageioCa({ signal }),
    connections,
    readsZero: job.readsZero,
    signal,
  })
  await job.onWrite()
  const { reader, alias } = job
  const moved = (doneBytes: number): void => {
    onMove(doneBytes)
    onEvent?.({ type: 'disk-progress', disk: alias, doneBytes, totalBytes: reader.sizeBytes })
  }
  if (job.qcow2Bytes !== undefined)
    return await fillWithQcow2(job, image, { sizeBytes: job.qcow2Bytes, onProgress: moved, signal })
  const counts = await copyFrom(reader, image, {
    startBytes: job.state().watermarkBytes,
    differencesOnly: job.differencesOnly,
    concurrency: connections,
    onDurable: async watermarkBytes => {
      onMove(watermarkBytes)
      await job.learnWatermark(watermarkBytes)
    },
    onProgress: moved,
    signal,
  })
  const tailBytes = image.sizeBytes - reader.sizeBytes
  if (tailBytes === 0 || image.readsZero || job.differencesOnly) return counts
  await image.zero(reader.sizeBytes, tailBytes, { punch: true, signal })
  await image.flush({ signal })
  return counts
}

/** A volume that breaks off halfway is begun again: the tables of an image are scattered over it. */
const fillWithQcow2 = async (
  { reader }: FillJob,
  volume: DiskReader & DiskWriter,
  {
    sizeBytes,
    onProgress,
    signal,
  }: AbortOptions & { readonly sizeBytes: number; readonly onProgress: (doneBytes: number) => void },
): Promise<CopyCounts> => {
  const file = volumeFile(volume)
  await createQcow2(file, { sizeBytes })
  const writer = await openQcow2Writer(file, { workers: 0 })
  try {
    return await copyDisk(reader, writer, { signal, onProgress: ({ doneBytes }) => onProgress(doneBytes) })
  } finally {
    await writer[Symbol.asyncDispose]()
    await file.finish()
  }
}
