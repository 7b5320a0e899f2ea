/** Puts an image where a machine's drive can take it from: a disk in a data domain, or a file in an ISO domain. @module */
import { open, rename, unlink } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { addDisk, findDisk } from '../engine/resources/disks.ts'
import { waitFor } from '../engine/wait-for.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { CONFLICT_TIMEOUT_MS } from '../restore/context.ts'
import { ensureUpload, finalizeUpload } from '../restore/upload-transfer.ts'
import type { FilesContext, FilesImage } from './context.ts'

/** A preallocated disk on slow storage takes long. */
const CREATION_MS = 600_000

const PIECE_BYTES = 16 * 1024 * 1024

interface DiskJob extends AbortOptions {
  readonly id: string
  readonly alias: string
  readonly storageDomainId: string
}

/**
 * Makes the disk under an id that the journal knows already, and uploads the image into it.
 *
 * @throws GranaryError what the engine and imageio say; the caller puts away what was made
 */
export const makeDisc = async (
  context: FilesContext,
  entry: JournalEntry,
  image: FilesImage,
  job: DiskJob,
): Promise<void> => {
  const { engine, settings, openUpload, onEvent } = context
  const { id, alias, signal } = job
  onEvent?.({ type: 'step', step: 'disk', what: alias })
  await makeDisk(context, image.sizeBytes, job)
  onEvent?.({ type: 'step', step: 'upload', what: alias })
  const learn = async (transfer: string): Promise<void> => await entry.learn({ transfer })
  const request = { diskId: id, transferId: undefined, foreign: [], mechanism: 'nbd' as const, settings, learn, signal }
  const { id: transferId, transferUrl, proxyUrl } = await ensureUpload(engine, request)
  const ca = await engine.imageioCa()
  {
    await using disk = await openUpload({ transferUrl, proxyUrl, ca, connections: 1, readsZero: false, signal })
    let at = 0
    for await (const piece of gather(image.write({ signal }))) {
      await disk.write(at, piece, { signal })
      at += piece.length
      onEvent?.({ type: 'disk-progress', disk: alias, doneBytes: at, totalBytes: image.sizeBytes })
    }
    if (disk.sizeBytes > at) await disk.zero(at, disk.sizeBytes - at, { signal })
    await disk.flush({ signal })
  }
  const end = await finalizeUpload(engine, { transferId, diskId: id }, { settings, signal })
  if (end.kind === 'uploaded') return
  throw new GranaryError('GRANARY_REMOTE', `the engine has rejected disk "${alias}" after its upload: ${end.phase}`, {
    detail: { disk: alias, phase: end.phase },
    hint: "the engine's events say why",
  })
}

const makeDisk = async (
  { engine }: FilesContext,
  sizeBytes: number,
  { id, alias, storageDomainId, signal }: DiskJob,
): Promise<void> => {
  const body = {
    id,
    alias,
    provisioned_size: Math.ceil(sizeBytes / 4096) * 4096,
    format: 'raw',
    sparse: false,
    content_type: 'iso',
    storage_domains: { storage_domain: [{ id: storageDomainId }] },
  }
  const find = async () => await engine.find(`/disks/${id}`, { signal })
  const made = await addDisk(engine, body, { find, conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
  if (made.id !== id) throw new GranaryError('GRANARY_PROTOCOL', `asked for disk ${id}, the engine made ${made.id}`)
  await waitFor(async () => await findDisk(engine, id, { signal }), {
    clock: engine.clock,
    timeoutMs: CREATION_MS,
    what: `disk "${alias}" is made`,
    isDone: disk => disk === undefined || disk.status !== 'locked',
    describe: disk => disk?.status ?? 'gone',
    signal,
  })
}

/** Pieces of one size, in memory of their own. */
async function* gather(pieces: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, undefined> {
  let waiting: Bytes[] = []
  let bytes = 0
  for await (const piece of pieces) {
    waiting.push(piece)
    bytes += piece.length
    if (bytes < PIECE_BYTES) continue
    yield Buffer.concat(waiting)
    waiting = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(waiting)
}

/** Writes the image beside the others under another name, which the engine doesn't show, and gives it its own when it is whole. */
export const copyDisc = async (
  { onEvent }: FilesContext,
  image: FilesImage,
  { path, signal }: AbortOptions & { readonly path: string },
): Promise<void> => {
  const partial = `${path}.part`
  onEvent?.({ type: 'step', step: 'copy', what: path })
  try {
    await using file = await open(partial, 'wx', 0o644)
    let at = 0
    for await (const piece of image.write({ signal })) {
      await file.writeFile(piece)
      at += piece.length
      onEvent?.({ type: 'disk-progress', disk: path, doneBytes: at, totalBytes: image.sizeBytes })
    }
    await file.sync()
    await rename(partial, path)
  } catch (error) {
    signal?.throwIfAborted()
    throw fromSystemError(error, `writing ${path}`)
  }
}

/** Also what was begun of it. */
export const removeFile = async (path: string): Promise<void> => {
  for (const name of [path, `${path}.part`])
    await unlink(name).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw fromSystemError(error, `removing ${name}`)
    })
}
