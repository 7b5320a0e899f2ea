/**
 * File entries: what UDF knows of a file, and where its content lies.
 *
 * @see ECMA-167, 4/14.9 and 4/14.6; UDF 1.02, section 2.3.6
 * @module
 */
import type { Bytes } from '@granary/core'
import { bytesOfName, splitPath } from '@granary/guestfs'
import type { Name, Stat } from '@granary/guestfs'
import { isDirectory } from '../node.ts'
import type { IsoDirectory, IsoFile } from '../node.ts'
import { SECTOR_BYTES, sectorsOf } from '../sectors.ts'
import { TAG, compressedUnicode, implementationId, setTag, timestamp } from './descriptor.ts'
import { blockOf } from './volume.ts'

/** Bytes before the allocation descriptors, without extended attributes. */
const FIXED_BYTES = 176

const ROOM_BYTES = SECTOR_BYTES - FIXED_BYTES

/** An extent has 30 bits of length, and all but the last are whole blocks (4/14.14.1). */
const MAX_EXTENT_BYTES = 2 ** 30 - SECTOR_BYTES

const FILE_TYPE = { dir: 4, file: 5, symlink: 12 } as const

/** The allocation descriptors are short ones; or the content stands in their place. */
const SHORT_DESCRIPTORS = 0
const EMBEDDED = 3

/** Unique ids below 16 are reserved (UDF 3.2.1.1); the root's is 0. */
const FIRST_UNIQUE_ID = 16

export const uniqueIdOf = (file: IsoFile, isRoot: boolean): number => (isRoot ? 0 : FIRST_UNIQUE_ID + file.serial)

export const nextUniqueId = (lastSerial: number): number => FIRST_UNIQUE_ID + lastSerial + 1

/** The path components of a link's target (4/14.16), or undefined where they don't fit into its file entry. */
export const linkContent = (target: Name): Bytes | undefined => {
  const isAbsolute = bytesOfName(target)[0] === 0x2f
  const parts = splitPath(bytesOfName(target)).map(name =>
    name.text === '..' ? component(3) : component(5, compressedUnicode(name.text)),
  )
  if (isAbsolute) parts.unshift(component(2))
  if (parts.length === 0) parts.push(component(4))
  const content = Buffer.concat(parts)
  return content.length > ROOM_BYTES || parts.some(part => part.length > 4 + 255) ? undefined : content
}

const component = (type: number, identifier: Bytes = new Uint8Array(0)): Bytes =>
  Buffer.concat([Uint8Array.of(type, identifier.length & 0xff, 0, 0), identifier])

export const encodeFileEntry = (file: IsoFile): Bytes => {
  const { stat, target, entrySector } = file
  const isLink = stat.type === 'symlink'
  const embedded = isLink && target !== undefined ? linkContent(target) : undefined
  return encodeEntry({
    file,
    type: isLink ? FILE_TYPE.symlink : FILE_TYPE.file,
    links: file.links,
    uniqueId: uniqueIdOf(file, false),
    sector: entrySector,
    content: { sector: file.sector, sizeBytes: file.sizeBytes },
    ...(embedded === undefined ? {} : { embedded }),
  })
}

export const encodeDirectoryEntry = (directory: IsoDirectory): Bytes =>
  encodeEntry({
    file: directory.file,
    type: FILE_TYPE.dir,
    links: 1 + directory.children.filter(isDirectory).length,
    uniqueId: uniqueIdOf(directory.file, directory.parent === undefined),
    sector: directory.file.entrySector,
    content: directory.udf,
  })

interface Entry {
  readonly file: IsoFile
  readonly type: number
  readonly links: number
  readonly uniqueId: number
  readonly sector: number
  readonly content: { readonly sector: number; readonly sizeBytes: number }
  /** Stands in the entry itself, instead of the content. */
  readonly embedded?: Bytes
}

const encodeEntry = ({ file: { stat }, type, links, uniqueId, sector, embedded, content }: Entry): Bytes => {
  const allocation = embedded ?? shortAllocations(content)
  const bytes = new Uint8Array(FIXED_BYTES + allocation.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(20, 4, true) // Strategy 4: one entry, recorded directly (4/14.6.2).
  view.setUint16(24, 1, true)
  bytes[27] = type
  view.setUint16(34, icbFlags(stat, embedded !== undefined), true)
  view.setUint32(36, stat.uid ?? 0, true)
  view.setUint32(40, stat.gid ?? 0, true)
  view.setUint32(44, permissions(stat), true)
  view.setUint16(48, Math.min(links, 0xffff), true)
  view.setBigUint64(56, BigInt(embedded?.length ?? content.sizeBytes), true)
  view.setBigUint64(64, BigInt(sectorsOf(content.sizeBytes)), true)
  bytes.set(timesOf(stat), 72)
  view.setUint32(108, 1, true)
  bytes.set(implementationId(), 128)
  view.setBigUint64(160, BigInt(uniqueId), true)
  view.setUint32(172, allocation.length, true)
  bytes.set(allocation, FIXED_BYTES)
  setTag(bytes, TAG.fileEntry, blockOf(sector))
  return bytes
}

/** Access, modification, change of attributes; what isn't known is the modification. */
const timesOf = ({ atime, mtime = 0n, ctime }: Stat): Bytes =>
  Buffer.concat([atime ?? mtime, mtime, ctime ?? mtime].map(timestamp))

const shortAllocations = ({ sector, sizeBytes }: { readonly sector: number; readonly sizeBytes: number }): Bytes => {
  const bytes = new Uint8Array(8 * Math.ceil(sizeBytes / MAX_EXTENT_BYTES))
  const view = new DataView(bytes.buffer)
  for (let at = 0, row = 0; at < sizeBytes; at += MAX_EXTENT_BYTES, row += 8) {
    view.setUint32(row, Math.min(MAX_EXTENT_BYTES, sizeBytes - at), true)
    view.setUint32(row + 4, blockOf(sector + at / SECTOR_BYTES), true)
  }
  return bytes
}

/** 4/14.6.8: bits 6 to 8 are the set bits of POSIX. */
const icbFlags = ({ mode = 0 }: Stat, isEmbedded: boolean): number =>
  (isEmbedded ? EMBEDDED : SHORT_DESCRIPTORS) |
  (mode & 0o4000 ? 1 << 6 : 0) |
  (mode & 0o2000 ? 1 << 7 : 0) |
  (mode & 0o1000 ? 1 << 8 : 0)

/** 4/14.9.5: five bits for others, group and owner: execute, write, read, and two that nobody has on a read-only volume. */
const permissions = ({ mode, type }: Stat): number => {
  const bits = mode ?? (type === 'dir' ? 0o755 : 0o644)
  return (bits & 7) | (((bits >> 3) & 7) << 5) | (((bits >> 6) & 7) << 10)
}
