/** Disks made of few tiles: cheap to describe, to read, to compare, and full of what others have, too. */
import type { Bytes, DiskReader, Extent } from '@granary/core'
import { markDirty } from '@granary/core'
import { seededBytes } from '@granary/testing/simulation'

export const TILE_BYTES = 32_768

/** Contents a tile may have; 0 is nothing. */
export const PALETTE = 14

const palette: readonly Bytes[] = Array.from({ length: PALETTE }, (_, i) =>
  i === 0 ? new Uint8Array(TILE_BYTES) : seededBytes(TILE_BYTES, 4000 + i),
)

/** What a disk holds: at each place (a multiple of a tile) one of the palette. */
export interface TileDisk {
  readonly sizeBytes: number
  /** Tile numbers, ascending. */
  readonly places: readonly number[]
  readonly tiles: readonly number[]
}

/**
 * Small ones have one window, the large one has its second tile at the end of a window and its third in the next. What lies between
 * is long enough to end a chunk, so that a tile's chunks stay when another one changes.
 */
export const SHAPES: readonly Omit<TileDisk, 'tiles'>[] = [
  { sizeBytes: 7 * TILE_BYTES, places: [0, 2, 5] },
  { sizeBytes: 8 * TILE_BYTES - 5000, places: [0, 3, 4, 7] },
  { sizeBytes: 1027 * TILE_BYTES, places: [0, 1023, 1026] },
]

const bytesOf = ({ sizeBytes }: TileDisk, place: number): number => Math.min(TILE_BYTES, sizeBytes - place * TILE_BYTES)

/** The disk as a source. With `since`, it knows what changed. */
export const readTiles = (disk: TileDisk, since?: TileDisk): DiskReader => {
  const extents = async function* (): AsyncGenerator<Extent, void, undefined> {
    let end = 0
    for (const [i, place] of disk.places.entries()) {
      const offset = place * TILE_BYTES
      if (offset > end) yield { offset: end, length: offset - end, kind: 'hole' }
      end = offset + bytesOf(disk, place)
      yield { offset, length: end - offset, kind: disk.tiles[i] === 0 ? 'zero' : 'data' }
    }
    if (end < disk.sizeBytes) yield { offset: end, length: disk.sizeBytes - end, kind: 'hole' }
  }
  const dirty = disk.places
    .map((place, i) => ({ offset: place * TILE_BYTES, length: bytesOf(disk, place), i }))
    .filter(({ i }) => disk.tiles[i] !== since?.tiles[i])
  return {
    sizeBytes: disk.sizeBytes,
    blockBytes: 4096,
    read: async (offset, target) => copyTiles(disk, offset, target),
    extents: () => (since === undefined ? extents() : markDirty(extents(), dirty)),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

const copyTiles = (disk: TileDisk, offset: number, target: Bytes): void => {
  target.fill(0)
  for (const [i, place] of disk.places.entries()) {
    const start = place * TILE_BYTES
    const from = Math.max(start, offset)
    const to = Math.min(start + bytesOf(disk, place), offset + target.length)
    if (from < to)
      target.set((palette[disk.tiles[i] as number] as Bytes).subarray(from - start, to - start), from - offset)
  }
}

/** Ranges that show every difference: each tile, and what lies right beside it. */
const rangesOf = (disk: TileDisk): { offset: number; length: number }[] =>
  disk.places.map(place => {
    const offset = Math.max(0, place * TILE_BYTES - 4096)
    return { offset, length: Math.min(disk.sizeBytes - offset, TILE_BYTES + 8192) }
  })

/** Compares a disk with what it should hold. @returns the first offset that differs, or undefined */
export const findDifference = async (
  expected: TileDisk,
  disk: Pick<DiskReader, 'sizeBytes' | 'read'>,
): Promise<number | undefined> => {
  if (disk.sizeBytes !== expected.sizeBytes) return -1
  for (const { offset, length } of rangesOf(expected)) {
    const [found, wanted] = [new Uint8Array(length), new Uint8Array(length)]
    await disk.read(offset, found)
    copyTiles(expected, offset, wanted)
    if (Buffer.compare(found, wanted) !== 0) return offset + found.findIndex((byte, i) => byte !== wanted[i])
  }
  return undefined
}
