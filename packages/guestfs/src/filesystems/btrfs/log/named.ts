/**
 * Items that hold several named things one after another: entries and attributes with the same hash, the names of an
 * inode in a directory.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, sections "DIR_ITEM", "INODE_REF", "INODE_EXTREF"
 * @module
 */
import type { Bytes } from '@granary/core'
import { overLimit } from '../../../errors.ts'
import { crc32cRaw } from '../../../format/crc32c.ts'
import { Fields } from '../../../format/fields.ts'
import { ITEM } from '../keys.ts'
import type { Key } from '../keys.ts'
import { put, remove } from './replay.ts'
import type { Replay } from './replay.ts'

/** No node is larger, and an item lies in one. */
const MAX_ITEM_BYTES = 65_536

interface Layout {
  readonly headerBytes: number
  readonly nameBytesAt: number
  readonly valueBytesAt?: number
}

/** Entries of directories, and attributes. */
export const ENTRY: Layout = { headerBytes: 30, nameBytesAt: 27, valueBytesAt: 25 }
const REFERENCE: Layout = { headerBytes: 10, nameBytesAt: 8 }
const EXTENDED_REFERENCE: Layout = { headerBytes: 18, nameBytesAt: 16 }

export const isReference = (type: number): boolean =>
  type === ITEM.inodeReference || type === ITEM.inodeExtendedReference

export interface Named {
  /** Bytes as Latin-1. */
  readonly name: string
  /** It alone, header and all. */
  readonly fields: Fields
}

export const namedIn = (data: Fields, { headerBytes, nameBytesAt, valueBytesAt }: Layout): Named[] => {
  const found: Named[] = []
  for (let at = 0; at < data.length;) {
    const nameBytes = data.u16(at + nameBytesAt)
    const length = headerBytes + nameBytes + (valueBytesAt === undefined ? 0 : data.u16(at + valueBytesAt))
    const name = Buffer.from(data.slice(at + headerBytes, nameBytes)).toString('latin1')
    found.push({ name, fields: new Fields(data.slice(at, length), data.where) })
    at += length
  }
  return found
}

export interface Reference {
  readonly parent: bigint
  readonly index: bigint
  readonly name: string
}

/** Names of an inode. */
export const referencesIn = (key: Key, data: Fields): (Reference & Named)[] =>
  key.type === ITEM.inodeReference
    ? namedIn(data, REFERENCE).map(one => ({ ...one, parent: key.offset, index: one.fields.big64(0) }))
    : namedIn(data, EXTENDED_REFERENCE).map(one => ({
        ...one,
        parent: one.fields.big64(0),
        index: one.fields.big64(8),
      }))

/** Puts what an item holds by now, or removes it with its last part. @throws GranaryError `GRANARY_LIMIT` */
export const putNamed = (replay: Replay, key: Key, parts: readonly Named[]): void => {
  const length = parts.reduce((bytes, { fields }) => bytes + fields.length, 0)
  if (length > MAX_ITEM_BYTES) throw overLimit(replay.tree.where, `${MAX_ITEM_BYTES} bytes in an item`, length)
  if (length === 0) remove(replay, key)
  else put(replay, key, new Uint8Array(Buffer.concat(parts.map(({ fields }) => fields.bytes))))
}

const bytesOf = (name: string): Bytes => new Uint8Array(Buffer.from(name, 'latin1'))

/** Where the entry of a name is looked up. */
export const entryKey = (dir: bigint, name: string): Key => ({
  object: dir,
  type: ITEM.directoryEntry,
  offset: BigInt(crc32cRaw(0xffff_fffe, bytesOf(name))),
})

/** Where the names of an inode in a directory are: first choice, and where they go when that item is full. */
export const referenceKeys = (ino: bigint, { parent, name }: Pick<Reference, 'parent' | 'name'>): readonly Key[] => [
  { object: ino, type: ITEM.inodeReference, offset: parent },
  {
    object: ino,
    type: ITEM.inodeExtendedReference,
    offset: BigInt(crc32cRaw(Number(parent & 0xffff_ffffn), bytesOf(name))),
  },
]

/** An entry as directories keep it. */
export const packEntry = (location: Bytes, type: number, name: string): Bytes => {
  const bytes = bytesOf(name)
  const packed = new Uint8Array(ENTRY.headerBytes + bytes.length)
  packed.set(location)
  const view = new DataView(packed.buffer)
  view.setUint16(ENTRY.nameBytesAt, bytes.length, true)
  view.setUint8(29, type)
  packed.set(bytes, ENTRY.headerBytes)
  return packed
}

export const packReference = ({ index, name }: Reference): Bytes => {
  const bytes = bytesOf(name)
  const packed = new Uint8Array(REFERENCE.headerBytes + bytes.length)
  const view = new DataView(packed.buffer)
  view.setBigUint64(0, index, true)
  view.setUint16(REFERENCE.nameBytesAt, bytes.length, true)
  packed.set(bytes, REFERENCE.headerBytes)
  return packed
}
