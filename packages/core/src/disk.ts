/**
 * The one contract of the house: everything is a disk. Raw files, qcow2 images, NBD exports,
 * image transfers and stored disks are all `DiskReader`s, and where it makes sense `DiskWriter`s.
 *
 * @see docs/architecture.md
 * @module
 */
import type { Bytes } from './bytes.ts'

export interface AbortOptions {
  readonly signal?: AbortSignal | undefined
}

/** `zero` and `hole` both read as zeros; `hole` is also unallocated in the whole chain. Anything else is `data`. */
export type ExtentKind = 'data' | 'zero' | 'hole'

/**
 * What is known of a range without reading it. Offsets and lengths are bytes; ranges ascend, touch, and cover what was asked.
 * `data` promises nothing: an NBD hole without the zero bit or a qcow2 cluster that shows its backing file is `data`.
 */
export interface Extent {
  readonly offset: number
  readonly length: number
  readonly kind: ExtentKind
  /** Changed since the base of the changed-block tracking. Only `false` may be skipped; undefined means "not known". */
  readonly dirty?: boolean
  /** How many layers down the backing chain the content is found, 0 for the top. */
  readonly depth?: number
  /** False where no layer of the chain has the range. */
  readonly present?: boolean
  readonly compressed?: boolean
  /** Where the bytes are in the file of their layer, when they stand there as they are. */
  readonly fileOffset?: number
}

export interface ExtentOptions extends AbortOptions {
  /** First byte asked for. @default 0 */
  readonly offset?: number
  /** Bytes asked for. @default up to the end of the disk */
  readonly length?: number
}

/** A disk that can be read at random. Every implementation passes `diskReaderContract`. */
export interface DiskReader extends AsyncDisposable {
  /** Up to 2^53 - 1. */
  readonly sizeBytes: number
  /** Smallest unit of an aligned request, bytes: a power of two. Unaligned requests work, slower. */
  readonly blockBytes: number
  /**
   * Fills the whole of `target` (a view on shared memory is welcome).
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the range is not inside the disk
   */
  read(offset: number, target: Bytes, options?: AbortOptions): Promise<void>
  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the range is not inside the disk */
  extents(options?: ExtentOptions): AsyncIterable<Extent>
}

export interface ZeroOptions extends AbortOptions {
  /** Give the space back where that is possible. @default false */
  readonly punch?: boolean
}

/** A disk that can be written at random. Every implementation passes `diskWriterContract`. */
export interface DiskWriter extends AsyncDisposable {
  readonly sizeBytes: number
  /** True when what was never written is known to read as zeros (a fresh file): only then may copies skip holes instead of calling `zero`. */
  readonly readsZero: boolean
  /** Takes the bytes before it resolves; the caller may reuse them afterwards. */
  write(offset: number, bytes: Bytes, options?: AbortOptions): Promise<void>
  /** Makes the range read as zeros. */
  zero(offset: number, length: number, options?: ZeroOptions): Promise<void>
  /** Resolves when all that was written is durable. */
  flush(options?: AbortOptions): Promise<void>
}
