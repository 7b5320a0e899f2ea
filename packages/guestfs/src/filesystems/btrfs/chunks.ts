/**
 * From logical addresses to places on devices.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "CHUNK_ITEM"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { DiskPlace, Piece } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { lastIndex } from '../../last-index.ts'
import type { Fields } from '../../format/fields.ts'

const PROFILE = {
  raid0: 0x8n,
  raid1: 0x10n,
  dup: 0x20n,
  raid10: 0x40n,
  raid5: 0x80n,
  raid6: 0x100n,
  raid1c3: 0x200n,
  raid1c4: 0x400n,
} as const
const MAX_STRIPES = 1024
const CHUNK_BYTES = 48
const STRIPE_BYTES = 32

export interface Chunk {
  readonly logical: number
  readonly length: number
  readonly stripeBytes: number
  readonly profile: bigint
  readonly subStripes: number
  readonly stripes: readonly { readonly device: bigint; readonly offset: number }[]
}

/** A chunk item at an offset of a structure, and its length. */
export const readChunk = (fields: Fields, offset: number, logical: number): { chunk: Chunk; bytes: number } => {
  const count = fields.u16(offset + 44)
  const chunk: Chunk = {
    logical,
    length: fields.u64(offset),
    stripeBytes: fields.u64(offset + 16),
    profile: fields.big64(offset + 24),
    subStripes: fields.u16(offset + 46),
    stripes: Array.from({ length: Math.min(count, MAX_STRIPES) }, (_, index) => ({
      device: fields.big64(offset + CHUNK_BYTES + index * STRIPE_BYTES),
      offset: fields.u64(offset + CHUNK_BYTES + index * STRIPE_BYTES + 8),
    })),
  }
  const isSound =
    count >= 1 &&
    count <= MAX_STRIPES &&
    chunk.length > 0 &&
    chunk.stripeBytes >= 4096 &&
    Number.isSafeInteger(logical + chunk.length)
  if (!isSound)
    throw corrupt(`${fields.where}, chunk at ${logical}`, 'a chunk', `${count} stripes, ${chunk.length} bytes`)
  return { chunk, bytes: CHUNK_BYTES + count * STRIPE_BYTES }
}

/** Chunks in the order of their addresses. */
export class ChunkMap {
  #chunks: Chunk[] = []

  add(chunk: Chunk): void {
    if (this.#chunks.some(({ logical }) => logical === chunk.logical)) return
    this.#chunks.push(chunk)
    this.#chunks.sort((a, b) => a.logical - b.logical)
  }

  /** The chunk of an address, or undefined. */
  find(logical: number): Chunk | undefined {
    const chunk =
      this.#chunks[lastIndex(this.#chunks.length, index => (this.#chunks[index] as Chunk).logical <= logical)]
    return chunk !== undefined && logical < chunk.logical + chunk.length ? chunk : undefined
  }
}

/** The logical addresses as a disk, read from the devices that are here. */
export const logicalDisk = (chunks: ChunkMap, devices: ReadonlyMap<bigint, DiskReader>): DiskReader =>
  mappedDisk({
    sizeBytes: Number.MAX_SAFE_INTEGER,
    blockBytes: 4096,
    where: 'btrfs address',
    locate(logical) {
      const chunk = chunks.find(logical)
      if (chunk !== undefined) return pieceOf(chunk, logical - chunk.logical, devices)
      const reason = (): Error => corrupt(`btrfs address ${logical}`, 'a chunk', 'none')
      return { kind: 'missing', length: 4096, reason }
    },
  })

/** Stripes that hold an offset of the chunk, any of which will do; where in them, and for how long. */
const placeOf = (
  chunk: Chunk,
  offset: number,
): { stripes: number[]; inStripe: number; length: number; row: number } => {
  const { profile, stripeBytes, stripes, subStripes } = chunk
  const count = stripes.length
  const has = (bits: bigint): boolean => (profile & bits) !== 0n
  const all = stripes.map((_, index) => index)
  if (!has(PROFILE.raid0 | PROFILE.raid10 | PROFILE.raid5 | PROFILE.raid6))
    return { stripes: all, inStripe: offset, length: chunk.length - offset, row: 0 }
  const number = Math.floor(offset / stripeBytes)
  const skip = offset - number * stripeBytes
  const copies = has(PROFILE.raid10) ? Math.max(subStripes, 1) : 1
  const parities = has(PROFILE.raid5) ? 1 : has(PROFILE.raid6) ? 2 : 0
  const width = parities > 0 ? count - parities : Math.floor(count / copies)
  if (width < 1) throw corrupt(`btrfs chunk at ${chunk.logical}`, 'more stripes', count)
  const row = Math.floor(number / width)
  const column = number % width
  const first = parities > 0 ? (row + column) % count : column * copies
  return {
    stripes: Array.from({ length: copies }, (_, index) => first + index),
    inStripe: row * stripeBytes + skip,
    length: Math.min(stripeBytes - skip, chunk.length - offset),
    row,
  }
}

const pieceOf = (chunk: Chunk, offset: number, devices: ReadonlyMap<bigint, DiskReader>): Piece => {
  const { stripes, inStripe, length, row } = placeOf(chunk, offset)
  const place = (index: number): DiskPlace | undefined => {
    const stripe = chunk.stripes[index]
    const disk = stripe && devices.get(stripe.device)
    return disk && { disk, offset: (stripe?.offset ?? 0) + inStripe }
  }
  for (const index of stripes) {
    const found = place(index)
    if (found !== undefined && found.offset + length <= found.disk.sizeBytes) return { kind: 'disk', length, ...found }
  }
  const rebuilt = rebuild(chunk, stripes[0] as number, row, place)
  if (rebuilt !== undefined) return { kind: 'xor', length, parts: rebuilt }
  const missing = stripes.map(index => chunk.stripes[index]?.device ?? 0n)
  return { kind: 'missing', length, reason: () => missingDevice(missing) }
}

/** What a missing device held, from the others and the first parity. */
const rebuild = (
  { profile, stripes }: Chunk,
  missing: number,
  row: number,
  place: (index: number) => DiskPlace | undefined,
): DiskPlace[] | undefined => {
  if ((profile & (PROFILE.raid5 | PROFILE.raid6)) === 0n) return undefined
  const count = stripes.length
  const second = (profile & PROFILE.raid6) === 0n ? -1 : (row + count - 1) % count
  const parts = stripes.flatMap((_, index) => (index === missing || index === second ? [] : [place(index)]))
  return parts.includes(undefined) ? undefined : (parts as DiskPlace[])
}

const missingDevice = (devices: readonly bigint[]): Error =>
  new GranaryError('GRANARY_NOT_FOUND', `btrfs: device ${devices.join(' or ')} is not here, or too short`, {
    detail: { devices: devices.join(',') },
    hint: 'name all disks of the machine',
  })
