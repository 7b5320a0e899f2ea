/** An image of a transfer as a disk to read. @module */
import { Semaphore, checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import type { ExtentList } from './extent-list.ts'
import type { AddressKind } from './image-address.ts'
import { openLink } from './image-link.ts'
import type { ImageLink } from './image-link.ts'
import { MAX_REQUEST_BYTES, settingsOf } from './image-settings.ts'
import type { ImageOptions } from './image-settings.ts'
import { readExtents } from './read-extents.ts'
import { readRange, readSize } from './read-range.ts'

/** Imageio reads sectors; unaligned ranges work, too. */
const BLOCK_BYTES = 512
/** A large read goes over several connections in pieces of at least this, bytes. */
const PIECE_BYTES = 8 * 1024 * 1024

export interface OpenImageDiskOptions extends ImageOptions {
  /** Let extents tell what changed since the checkpoint of the backup. @default false */
  readonly isDirty?: boolean
}

/** An image of imageio. */
export interface ImageDisk extends DiskReader {
  /** Which way its bytes come. */
  readonly way: AddressKind
}

/**
 * Opens the image of a transfer that is `transferring`.
 *
 * Breaks are repeated from the last byte on. What ends it: `GRANARY_PERMISSION` when the ticket is refused (ask the engine
 * for the phase), `GRANARY_SIZE` when the image has another size than at first, `GRANARY_IO`, `GRANARY_TIMEOUT` or
 * `GRANARY_REMOTE` after several attempts that moved nothing.
 *
 * @throws GranaryError as above; `GRANARY_AUTHENTICATION` when no certificate of `ca` stands behind the host's;
 *   `GRANARY_UNSUPPORTED` when `isDirty` is asked of a ticket that cannot tell; `GRANARY_PROTOCOL` for answers that cannot be
 */
export const openImageDisk = async ({ isDirty = false, ...options }: OpenImageDiskOptions): Promise<ImageDisk> => {
  const { signal, transferUrl, proxyUrl } = options
  const link = await openLink({ transferUrl, proxyUrl, settings: settingsOf(options), signal })
  try {
    const sizeBytes = await readSize(link, { signal })
    const extents = isDirty ? await readExtents(link, { sizeBytes, isDirty, signal }) : undefined
    return new LinkedDisk(link, sizeBytes, extents)
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
}

export class LinkedDisk implements ImageDisk {
  readonly sizeBytes: number
  readonly blockBytes = BLOCK_BYTES
  readonly #link: ImageLink
  readonly #readers: Semaphore
  #extents: Promise<ExtentList> | undefined

  constructor(link: ImageLink, sizeBytes: number, extents?: ExtentList) {
    this.#link = link
    this.sizeBytes = sizeBytes
    this.#readers = new Semaphore(Math.min(link.settings.connections, link.features.maxReaders))
    if (extents !== undefined) this.#extents = Promise.resolve(extents)
  }

  get way(): AddressKind {
    return this.#link.way
  }

  async read(offset: number, target: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, target.length, this.sizeBytes)
    const share = Math.ceil(target.length / this.#readers.capacity / BLOCK_BYTES) * BLOCK_BYTES
    const pieceBytes = Math.min(MAX_REQUEST_BYTES, Math.max(PIECE_BYTES, share))
    await inPieces(target, pieceBytes, signal, async (at, piece, pieceSignal) => {
      const options = { sizeBytes: this.sizeBytes, signal: pieceSignal }
      await this.#readers.run(() => readRange(this.#link, offset + at, piece, options), { signal: pieceSignal })
    })
  }

  async *extents(options: ExtentOptions = {}): AsyncGenerator<Extent, void, undefined> {
    const { offset = 0, length = this.sizeBytes - offset, signal } = options
    checkRange(offset, length, this.sizeBytes)
    signal?.throwIfAborted()
    yield* (await orAborted(this.#list(), signal)).in({ offset, length })
  }

  /** Asked once for all: who leaves early takes nothing from the others. A failure is asked again by the next one. */
  #list(): Promise<ExtentList> {
    const known = this.#extents
    if (known !== undefined) return known
    const asked = readExtents(this.#link, { sizeBytes: this.sizeBytes, isDirty: false })
    this.#extents = asked
    asked.catch(() => {
      if (this.#extents === asked) this.#extents = undefined
    })
    return asked
  }

  /** The image has changed: what it said of itself is old. */
  forgetExtents(): void {
    this.#extents = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }
}

/** What a promise gives, or the signal's reason if that is first. */
const orAborted = async <Result>(promise: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> => {
  if (signal === undefined) return await promise
  let leave = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason as Error)
  })
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Works on the pieces of some bytes at once, and settles when nobody touches them any more. The first failure ends the others. */
export const inPieces = async (
  bytes: Bytes,
  pieceBytes: number,
  signal: AbortSignal | undefined,
  work: (at: number, piece: Bytes, signal: AbortSignal | undefined) => Promise<void>,
): Promise<void> => {
  if (bytes.length === 0) return
  if (bytes.length <= pieceBytes) return await work(0, bytes, signal)
  const failing = new AbortController()
  const common = signal === undefined ? failing.signal : AbortSignal.any([signal, failing.signal])
  const pieces: Promise<void>[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = work(at, bytes.subarray(at, at + pieceBytes), common)
    piece.catch((error: unknown) => failing.abort(error))
    pieces.push(piece)
  }
  await Promise.allSettled(pieces)
  common.throwIfAborted()
}
