/** Keys of items: object, type, offset, in this order. @module */
import type { Fields } from '../../format/fields.ts'

export interface Key {
  readonly object: bigint
  readonly type: number
  readonly offset: bigint
}

const MAX_64 = 2n ** 64n - 1n
const MAX_TYPE = 255

/** Types of items in the trees of subvolumes and their logs. */
export const ITEM = {
  inode: 1,
  inodeReference: 12,
  inodeExtendedReference: 13,
  xattr: 24,
  logDirectoryIndex: 72,
  directoryEntry: 84,
  directoryIndex: 96,
  extentData: 108,
  root: 132,
  rootBackReference: 144,
} as const

/** Negative when `a` comes first, 0 when they are the same. */
export const compareKeys = (a: Key, b: Key): number => {
  if (a.object !== b.object) return a.object < b.object ? -1 : 1
  if (a.type !== b.type) return a.type - b.type
  return a.offset === b.offset ? 0 : a.offset < b.offset ? -1 : 1
}

/** The key right before, or undefined for the first of all. */
export const keyBefore = ({ object, type, offset }: Key): Key | undefined => {
  if (offset > 0n) return { object, type, offset: offset - 1n }
  if (type > 0) return { object, type: type - 1, offset: MAX_64 }
  return object > 0n ? { object: object - 1n, type: MAX_TYPE, offset: MAX_64 } : undefined
}

export const keyAt = (fields: Fields, at: number): Key => ({
  object: fields.big64(at),
  type: fields.u8(at + 8),
  offset: fields.big64(at + 9),
})
