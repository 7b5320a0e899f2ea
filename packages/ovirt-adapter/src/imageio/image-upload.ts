/** An image of an upload as a disk to write. CONTRACT §6.3, §6.4 @module */
import { GranaryError, Semaphore, checkRange, isGranaryError, zeros } from '@granary/core'
import type { AbortOptions, Bytes, DiskWriter, Extent, ExtentOptions, Range, ZeroOptions } from '@granary/core'
import type { AddressKind } from './image-address.ts'
import { LinkedDisk, inPieces } from './image-disk.ts'
import type { ImageDisk } from './image-disk.ts'
import { openLink } from './image-link.ts'
import type { ImageLink, LinkRequest } from './image-link.ts'
import { settingsOf } from './image-settings.ts'
import type { ImageOptions } from './image-settings.ts'
import { readSize } from './read-range.ts'

/** Bytes of one PUT: what breaks is sent again from its start. */
const PUT_BYTES = 8 * 1024 * 1024
/** Zeroing goes in pieces of this: some storage writes the zeros. */
const ZERO_BYTES = 1024 * 1024 * 1024

export interface OpenImageUploadOptions extends ImageOptions {
  /** The disk is new and thin: what is never written reads as zeros. @default false */
  readonly readsZero?: boolean
}

/** An image of imageio that is written, and can be read as well. */
export interface ImageUpload extends ImageDisk, DiskWriter {
  /** What was written since the last acknowledged flush, as one range around it: after a failure all of it must be sent again. */
  readonly unflushed: Range | undefined
  /** Flushes that were acknowledged. */
  readonly flushes: number
}

/**
 * Opens the image of an upload. Nothing is durable before `flush`.
 *
 * A broken connection is no loss: the request is sent again. A server that fails with 500 may have lost what was not
 * flushed, so everything here fails from then on (`GRANARY_REMOTE`): open the image again, and write what `unflushed` tells.
 *
 * @throws GranaryError as `openImageDisk`; `GRANARY_PERMISSION` when the ticket allows no writing
 */
export const openImageUpload = async ({
  readsZero = false,
  ...options
}: OpenImageUploadOptions): Promise<ImageUpload> => {
  const { signal, transferUrl, proxyUrl } = options
  const link = await openLink({ transferUrl, proxyUrl, settings: settingsOf(options), signal })
  try {
    if (!link.features.isWritable)
      throw new GranaryError('GRANARY_PERMISSION', 'imageio: the ticket allows no writing', {
        hint: 'the transfer must have been made with direction upload',
      })
    return new LinkedUpload(link, await readSize(link, { signal }), readsZero)
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
}

class LinkedUpload implements ImageUpload {
  readonly readsZero: boolean
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #disk: LinkedDisk
  readonly #link: ImageLink
  readonly #writers: Semaphore
  #unflushed: Range | undefined
  #flushes = 0
  #failure: unknown

  constructor(link: ImageLink, sizeBytes: number, readsZero: boolean) {
    this.#disk = new LinkedDisk(link, sizeBytes)
    this.#link = link
    this.sizeBytes = sizeBytes
    this.blockBytes = this.#disk.blockBytes
    this.readsZero = readsZero
    this.#writers = new Semaphore(Math.min(link.settings.connections, link.features.maxWriters))
  }

  get way(): AddressKind {
    return this.#disk.way
  }

  get unflushed(): Range | undefined {
    return this.#unflushed
  }

  get flushes(): number {
    return this.#flushes
  }

  async read(offset: number, target: Bytes, options?: AbortOptions): Promise<void> {
    await this.#disk.read(offset, target, options)
  }

  extents(options?: ExtentOptions): AsyncIterable<Extent> {
    return this.#disk.extents(options)
  }

  async write(offset: number, bytes: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, bytes.length, this.sizeBytes)
    this.#changing({ offset, length: bytes.length })
    await inPieces(bytes, PUT_BYTES, signal, async (at, piece, pieceSignal) => {
      await this.#send({
        method: 'PUT',
        suffix: this.#link.features.hasFlush ? '?flush=n' : '',
        what: `writing ${offset + at}+${piece.length}`,
        headers: { 'content-range': `bytes ${offset + at}-${offset + at + piece.length - 1}/*` },
        body: piece,
        timeoutMs: this.#link.settings.stallTimeoutMs,
        signal: pieceSignal,
      })
    })
  }

  async zero(offset: number, length: number, { signal }: ZeroOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, length, this.sizeBytes)
    if (!this.#link.features.hasZero) return await this.#writeZeros(offset, length, signal)
    this.#changing({ offset, length })
    for (let at = offset; at < offset + length; at += ZERO_BYTES) {
      const size = Math.min(ZERO_BYTES, offset + length - at)
      await this.#patch({ op: 'zero', offset: at, size, flush: false }, `zeroing ${at}+${size}`, signal)
    }
  }

  async flush({ signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#expectNoFailure()
    const flushed = this.#unflushed
    this.#unflushed = undefined
    try {
      // Without the feature every PUT is flushed by itself.
      if (this.#link.features.hasFlush) await this.#patch({ op: 'flush' }, 'flushing', signal)
      this.#flushes++
    } catch (error) {
      this.#unflushed = around(flushed, this.#unflushed)
      throw error
    }
  }

  async #writeZeros(offset: number, length: number, signal: AbortSignal | undefined): Promise<void> {
    for (let at = offset; at < offset + length;) {
      const piece = zeros(offset + length - at)
      await this.write(at, piece, { signal })
      at += piece.length
    }
  }

  async #patch(message: object, what: string, signal: AbortSignal | undefined): Promise<void> {
    const timeoutMs = this.#link.settings.longTimeoutMs
    await this.#send({ method: 'PATCH', what, body: JSON.stringify(message), timeoutMs, signal })
  }

  async #send(request: LinkRequest): Promise<void> {
    const { signal } = request
    await this.#writers.run(
      async () =>
        await this.#link.persist(
          async () => {
            this.#expectNoFailure()
            try {
              await this.#link.once(request)
            } catch (error) {
              throw this.#judge(error)
            }
          },
          { signal },
        ),
      { signal },
    )
  }

  /** §6.7: after a 500 nobody knows what became of what was not flushed. */
  #judge(error: unknown): unknown {
    if (!isGranaryError(error) || Number(error.detail['status'] ?? 0) < 500) return error
    this.#failure = new GranaryError('GRANARY_REMOTE', `${error.message}; what was not flushed may be lost`, {
      detail: {
        ...error.detail,
        unflushedOffset: this.#unflushed?.offset ?? 0,
        unflushedBytes: this.#unflushed?.length ?? 0,
      },
      cause: error,
      hint: 'open the upload again, and write again what was not flushed',
    })
    return this.#failure
  }

  #expectNoFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #changing(range: Range): void {
    if (range.length > 0) this.#unflushed = around(this.#unflushed, range)
    this.#disk.forgetExtents()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]()
  }
}

const around = (left: Range | undefined, right: Range | undefined): Range | undefined => {
  if (left === undefined || right === undefined) return left ?? right
  const offset = Math.min(left.offset, right.offset)
  return { offset, length: Math.max(left.offset + left.length, right.offset + right.length) - offset }
}
