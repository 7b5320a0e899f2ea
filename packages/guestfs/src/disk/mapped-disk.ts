/**
 * A disk put together from pieces of others: partitions, logical volumes, arrays, and the files in a file system
 * are all this, and differ only in `locate`.
 *
 * @module
 */
import { checkRange } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import { corrupt } from '../errors.ts'

/** Where the bytes from one offset on come from, for `length` bytes. */
export type Piece =
  | { readonly kind: 'disk'; readonly length: number; readonly disk: DiskReader; readonly offset: number }
  /** Allocated or not, reads as zeros. */
  | { readonly kind: 'zero' | 'hole'; readonly length: number }
  /** The content itself, from its first byte on. */
  | { readonly kind: 'bytes'; readonly length: number; readonly bytes: Bytes }
  /** Content that is made when it is read, as by decompressing. */
  | { readonly kind: 'made'; readonly length: number; readonly make: (options: AbortOptions) => Promise<Bytes> }
  /** The exclusive or of several places: what is left of a striped set with parity and one member gone. */
  | { readonly kind: 'xor'; readonly length: number; readonly parts: readonly DiskPlace[] }
  /** Not there: reading it fails with the reason. */
  | { readonly kind: 'missing'; readonly length: number; readonly reason: () => Error }

export interface DiskPlace {
  readonly disk: DiskReader
  readonly offset: number
}

export interface MappedDiskOptions {
  readonly sizeBytes: number
  readonly blockBytes: number
  /** @param offset 0 to `sizeBytes` - 1 */
  locate(offset: number, options: AbortOptions): Promise<Piece> | Piece
  /** Ask the disks below for their own holes. False for files: what is allocated there is data. @default true */
  readonly asksBelow?: boolean
  /** A listing of extents with more data than this is a loop in the metadata. @default no limit */
  readonly maxDataBytes?: number
  /** Names the disk in errors. */
  readonly where: string
}

/** Disposing it leaves the disks below open. */
export const mappedDisk = (options: MappedDiskOptions): DiskReader => {
  const { sizeBytes, blockBytes, where } = options
  const pieceAt = async (offset: number, length: number, abort: AbortOptions): Promise<Piece> => {
    const piece = await options.locate(offset, abort)
    if (!(piece.length > 0)) throw corrupt(where, `a piece of some length at ${offset}`, piece.length)
    return piece.length > length ? cut(piece, length) : piece
  }

  return {
    sizeBytes,
    blockBytes,
    async read(offset, target, { signal } = {}) {
      signal?.throwIfAborted()
      checkRange(offset, target.length, sizeBytes)
      for (let done = 0; done < target.length;) {
        const piece = await pieceAt(offset + done, target.length - done, { signal })
        await readPiece(piece, target.subarray(done, done + piece.length), { signal })
        done += piece.length
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset, signal }: ExtentOptions = {}) {
      checkRange(offset, length, sizeBytes)
      let dataBytes = 0
      for (let at = offset; at < offset + length;) {
        signal?.throwIfAborted()
        const piece = await pieceAt(at, offset + length - at, { signal })
        if (piece.kind === 'disk') dataBytes += piece.length
        if (dataBytes > (options.maxDataBytes ?? Infinity))
          throw corrupt(where, `at most ${options.maxDataBytes} bytes allocated`, dataBytes)
        yield* pieceExtents(piece, at, options.asksBelow ?? true, { signal })
        at += piece.length
      }
    },
    async [Symbol.asyncDispose]() {},
  }
}

const cut = (piece: Piece, length: number): Piece => ({ ...piece, length })

const readPiece = async (piece: Piece, target: Bytes, options: AbortOptions): Promise<void> => {
  switch (piece.kind) {
    case 'disk':
      return await piece.disk.read(piece.offset, target, options)
    case 'zero':
    case 'hole':
      target.fill(0)
      return
    case 'bytes':
      target.set(piece.bytes.subarray(0, target.length))
      return
    case 'made':
      target.set((await piece.make(options)).subarray(0, target.length))
      return
    case 'xor':
      return await readXor(piece.parts, target, options)
    case 'missing':
      throw piece.reason()
  }
}

const readXor = async (parts: readonly DiskPlace[], target: Bytes, options: AbortOptions): Promise<void> => {
  target.fill(0)
  const other = new Uint8Array(target.length)
  for (const { disk, offset } of parts) {
    await disk.read(offset, other, options)
    for (let i = 0; i < other.length; i++) target[i] = (target[i] as number) ^ (other[i] as number)
  }
}

async function* pieceExtents(
  piece: Piece,
  at: number,
  asksBelow: boolean,
  { signal }: AbortOptions,
): AsyncGenerator<Extent, void, undefined> {
  const { length } = piece
  if (piece.kind === 'zero' || piece.kind === 'hole') yield { offset: at, length, kind: piece.kind }
  else if (piece.kind === 'disk' && asksBelow) {
    for await (const { kind, ...below } of piece.disk.extents({ offset: piece.offset, length, signal })) {
      yield { offset: at + below.offset - piece.offset, length: below.length, kind }
    }
  } else yield { offset: at, length, kind: 'data' }
}

/** A part of a disk. What lies beyond the end of the disk below fails when it is read. */
export const sliceDisk = (disk: DiskReader, offset: number, sizeBytes: number, where: string): DiskReader =>
  mappedDisk({
    sizeBytes,
    blockBytes: disk.blockBytes,
    where,
    locate: at => {
      const left = disk.sizeBytes - (offset + at)
      if (left > 0) return { kind: 'disk', length: Math.min(left, sizeBytes - at), disk, offset: offset + at }
      return {
        kind: 'missing',
        length: sizeBytes - at,
        reason: () => corrupt(where, `a disk of at least ${offset + sizeBytes} bytes`, disk.sizeBytes),
      }
    },
  })
