/** An NBD export as a disk. @module */
import { GranaryError, checkRange, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, DiskWriter, Extent, ExtentOptions, ZeroOptions } from '@granary/core'
import { COMMAND, COMMAND_FLAG, CONTEXT, ERRNO, EXPORT_FLAG } from '../protocol/constants.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import { BlockGrid, piecesOf } from './block-grid.ts'
import type { Range } from './block-grid.ts'
import { LinkPool } from './link-pool.ts'
import type { Negotiated } from './negotiate.ts'
import { openNegotiated } from './open-link.ts'
import type { ClientSettings } from './options.ts'
import { RangeLock } from './range-lock.ts'
import type { RequestSpec } from './pending-request.ts'
import { readExtents, readMetaExtents } from './status-reader.ts'
import type { MetaExtent } from './status-reader.ts'
import { WriteJournal } from './write-journal.ts'

/** Pieces of WRITE_ZEROES and TRIM: small enough that a slow server shows signs of life. */
const ZERO_PIECE_BYTES = 256 * 1024 * 1024
const ZEROES_BYTES = 1024 * 1024

/** An export of an NBD server. */
export interface NbdDisk extends DiskReader, DiskWriter {
  /** True when the server allows no writes; they then fail with `GRANARY_PERMISSION`. */
  readonly isReadOnly: boolean
  readonly exportName: string
  readonly description: string | undefined
  /** What was agreed on for replies. */
  readonly replies: ReplyStyle
  /** Names of the meta contexts that were agreed on. */
  readonly metaContexts: readonly string[]
  /** Connections open now. */
  readonly connections: number
  /** Runs of one meta context, with its own flags. @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it was not agreed on */
  metaExtents(context: string, options?: ExtentOptions): AsyncIterable<MetaExtent>
  /** Says that the content is not needed any more: afterwards it is undefined. Does nothing where the server cannot trim. */
  trim(offset: number, length: number, options?: AbortOptions): Promise<void>
}

export class NbdClientDisk implements NbdDisk {
  readonly readsZero = false
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #pool: LinkPool
  readonly #grid: BlockGrid
  readonly #settings: ClientSettings
  readonly #pieceBytes: number
  readonly #locks = new RangeLock()
  readonly #journal: WriteJournal
  #flushing: Promise<void> | undefined

  constructor(first: Negotiated, settings: ClientSettings) {
    this.#settings = settings
    this.#grid = new BlockGrid(first)
    this.sizeBytes = first.sizeBytes
    this.blockBytes = this.#grid.minBytes
    this.#pieceBytes = Math.max(
      this.blockBytes,
      this.#grid.down(Math.min(settings.requestBytes, first.blockSizes.maxBytes)),
    )
    this.#journal = new WriteJournal((first.flags & EXPORT_FLAG.sendFlush) === 0 ? 0 : settings.replayBytes)
    this.#pool = new LinkPool(first, {
      settings,
      open: async signal => openNegotiated(settings, signal),
      hasUnflushed: () => this.#has(EXPORT_FLAG.sendFlush) && this.#journal.hasUnflushed,
      onLoss: () => this.#journal.connectionsLost(),
      onRevival: async link => this.#journal.replay(link),
    })
  }

  get isReadOnly(): boolean {
    return this.#has(EXPORT_FLAG.readOnly)
  }

  get exportName(): string {
    return this.#settings.target.exportName
  }

  get description(): string | undefined {
    return this.#pool.first.description
  }

  get replies(): ReplyStyle {
    return this.#pool.first.style
  }

  get metaContexts(): readonly string[] {
    return [...this.#pool.first.contexts.values()]
  }

  get connections(): number {
    return this.#pool.connections
  }

  async read(offset: number, target: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const range = { offset, length: target.length }
    checkRange(offset, target.length, this.sizeBytes)
    if (this.#grid.isAligned(range)) return await this.#readAligned(range, target, signal)
    const around = this.#grid.around(range)
    const bounce = new Uint8Array(around.length)
    await this.#readAligned(around, bounce, signal)
    target.set(bounce.subarray(offset - around.offset, offset - around.offset + target.length))
  }

  async *extents({ offset = 0, length = this.sizeBytes - offset, signal }: ExtentOptions = {}): AsyncGenerator<Extent> {
    checkRange(offset, length, this.sizeBytes)
    signal?.throwIfAborted()
    const contexts = {
      hasAllocation: this.metaContexts.includes(CONTEXT.allocation),
      hasDepth: this.#settings.hasDepth,
      bitmap: this.#settings.bitmapContext,
    }
    yield* readExtents({ pool: this.#pool, grid: this.#grid }, contexts, { offset, length }, signal)
  }

  async *metaExtents(
    context: string,
    { offset = 0, length = this.sizeBytes - offset, signal }: ExtentOptions = {},
  ): AsyncGenerator<MetaExtent> {
    checkRange(offset, length, this.sizeBytes)
    yield* readMetaExtents({ pool: this.#pool, grid: this.#grid }, context, { offset, length }, signal)
  }

  async write(offset: number, bytes: Bytes, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const range = { offset, length: bytes.length }
    checkRange(offset, bytes.length, this.sizeBytes)
    this.#expectWritable()
    if (bytes.length === 0) return
    await this.#exclusively(range, async () => {
      if (this.#grid.isAligned(range)) await this.#writeAligned(range, bytes, signal)
      else await this.#writeAround(range, target => target.set(bytes), signal)
    })
  }

  async zero(offset: number, length: number, { punch = false, signal }: ZeroOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, length, this.sizeBytes)
    this.#expectWritable()
    if (length === 0) return
    await this.#exclusively({ offset, length }, async () => {
      const inside = this.#grid.inside({ offset, length })
      if (inside.length === 0) return await this.#writeAround({ offset, length }, target => target.fill(0), signal)
      const head = { offset, length: inside.offset - offset }
      const end = inside.offset + inside.length
      const tail = { offset: end, length: offset + length - end }
      for (const edge of [head, tail])
        if (edge.length > 0) await this.#writeAround(edge, target => target.fill(0), signal)
      await this.#zeroAligned(inside, punch ? 0 : COMMAND_FLAG.noHole, signal)
    })
  }

  async trim(offset: number, length: number, { signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    checkRange(offset, length, this.sizeBytes)
    this.#expectWritable()
    const inside = this.#grid.inside({ offset, length })
    if (this.#has(EXPORT_FLAG.sendTrim))
      await this.#changeWithoutPayload({ command: COMMAND.trim, flags: 0, ...inside }, signal)
  }

  async flush({ signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#journal.expectNoLoss()
    if (this.isReadOnly || !this.#has(EXPORT_FLAG.sendFlush)) return
    const number = this.#journal.lastNumber
    await this.#pool.submit({ command: COMMAND.flush, flags: 0, offset: 0, length: 0 }, signal)
    this.#journal.expectNoLoss()
    this.#journal.flushed(number)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close()
  }

  async #readAligned(range: Range, target: Bytes, signal?: AbortSignal): Promise<void> {
    await this.#inPieces(range, async (piece, start) =>
      this.#pool.submit(
        { command: COMMAND.read, flags: 0, ...piece, target: target.subarray(start, start + piece.length) },
        signal,
      ),
    )
  }

  async #writeAligned(range: Range, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    await this.#inPieces(range, async (piece, start) =>
      this.#change(
        { command: COMMAND.write, flags: 0, ...piece, payload: bytes.subarray(start, start + piece.length) },
        signal,
      ),
    )
  }

  /** Changes a part of some blocks: reads them, lets `change` at the part, writes them. */
  async #writeAround(range: Range, change: (target: Bytes) => void, signal?: AbortSignal): Promise<void> {
    const around = this.#grid.around(range)
    const bounce = new Uint8Array(around.length)
    await this.#readAligned(around, bounce, signal)
    change(bounce.subarray(range.offset - around.offset, range.offset - around.offset + range.length))
    await this.#writeAligned(around, bounce, signal)
  }

  async #zeroAligned(range: Range, flags: number, signal?: AbortSignal): Promise<void> {
    if (!this.#has(EXPORT_FLAG.sendWriteZeroes)) return await this.#writeZeroBytes(range, signal)
    await this.#changeWithoutPayload({ command: COMMAND.writeZeroes, flags, ...range }, signal)
  }

  async #writeZeroBytes(range: Range, signal?: AbortSignal): Promise<void> {
    const zeroes = new Uint8Array(Math.min(ZEROES_BYTES, this.#pieceBytes, range.length))
    for (const piece of piecesOf(range, zeroes.length))
      await this.#writeAligned(piece, zeroes.subarray(0, piece.length), signal)
  }

  /**
   * Sends a change that carries no bytes, in long pieces. A server may still refuse a length above its payload limit,
   * and gets shorter ones then.
   *
   * @see doc/proto.md, "Block size constraints"
   */
  async #changeWithoutPayload(spec: RequestSpec, signal?: AbortSignal): Promise<void> {
    for (const piece of piecesOf(spec, ZERO_PIECE_BYTES)) {
      try {
        await this.#change({ ...spec, ...piece }, signal)
      } catch (error) {
        if (!isTooLong(error) || piece.length <= this.#pool.first.blockSizes.maxBytes) throw error
        await this.#inPieces(piece, async part => this.#change({ ...spec, ...part }, signal))
      }
    }
  }

  /** Sends what changes the disk, and keeps what a lost connection would make undone. */
  async #change(spec: RequestSpec, signal?: AbortSignal): Promise<void> {
    await this.#pool.submit(spec, signal)
    this.#journal.add(spec)
    if (!this.#journal.isFull) return
    this.#flushing ??= this.flush().finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  /** Runs one request per piece, and settles when none of them will touch the caller's bytes any more. */
  async #inPieces(range: Range, work: (piece: Range, start: number) => Promise<unknown>): Promise<void> {
    if (range.length <= this.#pieceBytes) {
      if (range.length > 0) await work(range, 0)
      return
    }
    let start = 0
    const pieces: Promise<unknown>[] = []
    for (const piece of piecesOf(range, this.#pieceBytes)) {
      pieces.push(work(piece, start))
      start += piece.length
    }
    for (const result of await Promise.allSettled(pieces))
      if (result.status === 'rejected') throw result.reason as Error
  }

  /** Blocks that are read before they are written must not change in between. */
  async #exclusively(range: Range, work: () => Promise<void>): Promise<void> {
    if (this.blockBytes === 1) await work()
    else await this.#locks.run(this.#grid.around(range), work)
  }

  #has(flag: number): boolean {
    return (this.#pool.first.flags & flag) !== 0
  }

  #expectWritable(): void {
    if (this.isReadOnly)
      throw new GranaryError('GRANARY_PERMISSION', `NBD: the export "${this.exportName}" is read-only`, {
        detail: { exportName: this.exportName },
      })
  }
}

const isTooLong = (error: unknown): boolean =>
  isGranaryError(error) && (error.detail['errno'] === ERRNO.EINVAL || error.detail['errno'] === ERRNO.EOVERFLOW)
