/**
 * Arrays put together from their members. md and LVM lay them out alike: device mapper's raid is md underneath.
 *
 * @see Linux drivers/md/raid0.c, raid5.c (raid5_compute_sector), raid10.c (__raid10_find_phys)
 * @module
 */
import type { DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { DiskPlace, Piece } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'

/** A disk and where its part of the array begins; undefined for a member that isn't here, or isn't in sync. */
export type RaidMember = DiskPlace | undefined

export interface RaidSet {
  /** By their place in the array. */
  readonly members: readonly RaidMember[]
  readonly chunkBytes: number
  /** What of each member is used, bytes. */
  readonly memberBytes: number
  /** Names the array in errors. */
  readonly where: string
  /** Why a member isn't here. */
  readonly missing: (index: number) => Error
}

/** Part of a chunk, at `offset` within its member. */
const pieceOf = ({ members, missing }: RaidSet, index: number, offset: number, length: number): Piece => {
  const member = members[index]
  if (member === undefined) return { kind: 'missing', length, reason: () => missing(index) }
  return { kind: 'disk', disk: member.disk, offset: member.offset + offset, length }
}

const expectChunk = ({ chunkBytes, members, where }: RaidSet): void => {
  if (!(chunkBytes >= 512 && chunkBytes % 512 === 0)) throw corrupt(where, 'a chunk size of whole sectors', chunkBytes)
  if (members.length === 0) throw corrupt(where, 'some members', 0)
}

/** Copies: the first member that is here. */
export const raid1Disk = (set: RaidSet): DiskReader => {
  const index = Math.max(
    set.members.findIndex(member => member !== undefined),
    0,
  )
  return mappedDisk({
    sizeBytes: set.memberBytes,
    blockBytes: 512,
    where: set.where,
    locate: offset => pieceOf(set, index, offset, set.memberBytes - offset),
  })
}

/** Chunks in turn; the members are equally long. */
export const raid0Disk = (set: RaidSet): DiskReader => {
  expectChunk(set)
  const { chunkBytes, members, where } = set
  const sizeBytes = Math.floor(set.memberBytes / chunkBytes) * chunkBytes * members.length
  return mappedDisk({
    sizeBytes,
    blockBytes: 512,
    where,
    locate(offset) {
      const chunk = Math.floor(offset / chunkBytes)
      const skip = offset - chunk * chunkBytes
      const stripe = Math.floor(chunk / members.length)
      return pieceOf(set, chunk % members.length, stripe * chunkBytes + skip, chunkBytes - skip)
    },
  })
}

interface Zone {
  /** In the array, bytes. */
  readonly start: number
  readonly sizeBytes: number
  /** In each member, bytes. */
  readonly memberStart: number
  readonly members: readonly number[]
}

/**
 * Chunks in turn over members of different lengths: when the shortest is full, the rest go on in a zone of their own.
 *
 * @param memberBytes of each member
 * @param layout 1: the turn goes on from the array's start, 2: each zone begins anew
 */
export const raid0ZonesDisk = (set: RaidSet, memberBytes: readonly number[], layout: 1 | 2): DiskReader => {
  expectChunk(set)
  const { chunkBytes, where } = set
  const rounded = memberBytes.map(bytes => Math.floor(bytes / chunkBytes) * chunkBytes)
  const zones: Zone[] = []
  let start = 0
  let memberStart = 0
  for (const end of [...new Set(rounded)].sort((a, b) => a - b)) {
    if (end === 0) continue
    const members = rounded.flatMap((bytes, index) => (bytes >= end ? [index] : []))
    const sizeBytes = (end - memberStart) * members.length
    zones.push({ start, sizeBytes, memberStart, members })
    start += sizeBytes
    memberStart = end
  }
  return mappedDisk({
    sizeBytes: start,
    blockBytes: 512,
    where,
    locate(offset) {
      const zone = zones.find(({ start: from, sizeBytes }) => offset < from + sizeBytes) as Zone
      const inZone = offset - zone.start
      const chunk = Math.floor(inZone / chunkBytes)
      const skip = inZone - chunk * chunkBytes
      const turn = layout === 1 ? Math.floor(offset / chunkBytes) : chunk
      const index = zone.members[turn % zone.members.length] as number
      const stripe = Math.floor(chunk / zone.members.length)
      return pieceOf(set, index, zone.memberStart + stripe * chunkBytes + skip, chunkBytes - skip)
    },
  })
}

/** How far the copies are apart; numbers as md keeps them in `layout`. */
export interface Raid10Layout {
  readonly nearCopies: number
  readonly farCopies: number
  /** The far copies follow chunk by chunk instead of in the second half. */
  readonly isOffset: boolean
}

export const raid10Disk = (set: RaidSet, { nearCopies, farCopies, isOffset }: Raid10Layout): DiskReader => {
  expectChunk(set)
  const { chunkBytes, members, where } = set
  const count = members.length
  const copies = nearCopies * farCopies
  if (nearCopies < 1 || farCopies < 1 || copies > count) throw corrupt(where, `1 to ${count} copies`, copies)
  const memberChunks = Math.floor(set.memberBytes / chunkBytes)
  const arrayChunks = Math.floor((Math.floor(memberChunks / farCopies) * count) / nearCopies)
  const usedChunks = Math.ceil((arrayChunks * copies) / count)
  const strideChunks = isOffset ? 1 : Math.floor(usedChunks / farCopies)
  return mappedDisk({
    sizeBytes: arrayChunks * chunkBytes,
    blockBytes: 512,
    where,
    locate(offset) {
      const chunk = Math.floor(offset / chunkBytes)
      const skip = offset - chunk * chunkBytes
      const places: [member: number, row: number][] = []
      for (let near = 0; near < nearCopies; near++) {
        const slot = chunk * nearCopies + near
        const row = Math.floor(slot / count) * (isOffset ? farCopies : 1)
        for (let far = 0; far < farCopies; far++)
          places.push([(slot + far * nearCopies) % count, row + far * strideChunks])
      }
      const [member, row] = places.find(([index]) => members[index] !== undefined) ?? (places[0] as [number, number])
      return pieceOf(set, member, row * chunkBytes + skip, chunkBytes - skip)
    },
  })
}

/** Where data and parity of a chunk are, by md's number of the layout. */
interface ParityPlace {
  readonly data: number
  readonly parity: number
  /** RAID 6: the other parity, which is never needed to read with at most one member missing. */
  readonly second?: number
}

const raid5Place = (layout: number, index: number, stripe: number, count: number, where: string): ParityPlace => {
  const dataDisks = count - 1
  const left = dataDisks - (stripe % count)
  const right = stripe % count
  switch (layout) {
    case 0:
      return { data: index >= left ? index + 1 : index, parity: left }
    case 1:
      return { data: index >= right ? index + 1 : index, parity: right }
    case 2:
      return { data: (left + 1 + index) % count, parity: left }
    case 3:
      return { data: (right + 1 + index) % count, parity: right }
    case 4:
      return { data: index + 1, parity: 0 }
    case 5:
      return { data: index, parity: dataDisks }
    default:
      throw unsupported(where, `parity layout ${layout}`)
  }
}

const raid6Place = (layout: number, index: number, stripe: number, count: number, where: string): ParityPlace => {
  const left = count - 1 - (stripe % count)
  const right = stripe % count
  const parity = layout === 0 || layout === 2 ? left : right
  const second = (parity + 1) % count
  switch (layout) {
    case 0:
    case 1:
      if (parity === count - 1) return { data: index + 1, parity, second }
      return { data: index >= parity ? index + 2 : index, parity, second }
    case 2:
    case 3:
      return { data: (parity + 2 + index) % count, parity, second }
    case 4:
      return { data: index + 2, parity: 0, second: 1 }
    case 5:
      return { data: index, parity: count - 2, second: count - 1 }
    default:
      throw unsupported(where, `parity layout ${layout}`)
  }
}

/**
 * Chunks in turn with parity; what one missing member held is computed from the others.
 *
 * @param level 4 and 5 have one parity, 6 two
 */
export const parityDisk = (set: RaidSet, level: 4 | 5 | 6, layout: number): DiskReader => {
  expectChunk(set)
  const { chunkBytes, members, where } = set
  const count = members.length
  const dataDisks = count - (level === 6 ? 2 : 1)
  if (dataDisks < 1) throw corrupt(where, 'more members than parities', count)
  const place = level === 6 ? raid6Place : raid5Place
  place(layout, 0, 0, count, where)
  return mappedDisk({
    sizeBytes: Math.floor(set.memberBytes / chunkBytes) * chunkBytes * dataDisks,
    blockBytes: 512,
    where,
    locate(offset) {
      const chunk = Math.floor(offset / chunkBytes)
      const skip = offset - chunk * chunkBytes
      const stripe = Math.floor(chunk / dataDisks)
      const { data, second } = place(layout, chunk % dataDisks, stripe, count, where)
      const inMember = stripe * chunkBytes + skip
      const others = members.filter((_, index) => index !== data && index !== second)
      if (members[data] !== undefined || others.includes(undefined))
        return pieceOf(set, data, inMember, chunkBytes - skip)
      const parts = (others as DiskPlace[]).map(({ disk, offset: start }) => ({ disk, offset: start + inMember }))
      return { kind: 'xor', length: chunkBytes - skip, parts }
    },
  })
}
