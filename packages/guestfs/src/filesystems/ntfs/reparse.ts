/** Reparse points: links, compact files, and what only the guest can read. @see MS-FSCC, section 2.1.2 @module */
import type { Name } from '../../format/names.ts'
import { nameOfBytes, nameOfUtf16 } from '../../format/names.ts'
import { Fields } from '../../format/fields.ts'
import type { Stat } from '../../tree.ts'
import { TYPE, findAttribute } from './record.ts'
import type { FileRecord } from './record.ts'

const TAG = { mountPoint: 0xa0000003, symlink: 0xa000000c, lxSymlink: 0xa000001d, wof: 0x80000017 } as const
const RELATIVE = 1

/** Files of WSL and others that have no content. */
const TYPES: Readonly<Record<number, Stat['type']>> = {
  [TAG.mountPoint]: 'symlink',
  [TAG.symlink]: 'symlink',
  [TAG.lxSymlink]: 'symlink',
  0x80000023: 'socket',
  0x80000024: 'fifo',
  0x80000025: 'chr',
  0x80000026: 'blk',
}

const REASONS: Readonly<Record<number, string>> = {
  0x80000013: 'its content is deduplicated by Windows, and kept elsewhere on the volume',
  0x8000001b: 'is an app execution alias without content',
}

export interface Reparse {
  readonly tag: number
  readonly data: Fields
}

export const reparseOf = (record: FileRecord): Reparse | undefined => {
  const value = findAttribute(record, TYPE.reparsePoint)?.value
  if (value === undefined) return undefined
  const fields = new Fields(value, `file record ${record.number}, reparse point`)
  return { tag: fields.u32(0), data: new Fields(fields.slice(8, fields.u16(4)), fields.where) }
}

export const reparseType = ({ tag }: Reparse): Stat['type'] | undefined => TYPES[tag]

/** Why the content can't be read, or undefined when the data of the file is its content. */
export const unreadable = ({ tag }: Reparse): string | undefined => {
  if (tag === TAG.wof) return undefined
  const isCloud = (tag & 0xffff0fff) >>> 0 === 0x9000001a
  if (isCloud) return 'its content is in the cloud (a placeholder)'
  return REASONS[tag] ?? `its content is behind a reparse point with the tag 0x${tag.toString(16)}`
}

/** Algorithm of a compact file, or undefined when it is none: 0, 2 and 3 are XPRESS with chunks of 4, 8 and 16 KiB, 1 is LZX. */
export const compactAlgorithm = ({ tag, data }: Reparse): number | undefined => {
  const FILE_PROVIDER = 2
  return tag === TAG.wof && data.u32(4) === FILE_PROVIDER ? data.u32(12) : undefined
}

/** Where a link leads, in the guest's own words; relative ones with `/`. */
export const linkTarget = ({ tag, data }: Reparse): Name => {
  if (tag === TAG.lxSymlink) return nameOfBytes(data.slice(4, data.length - 4))
  const start = tag === TAG.symlink ? 12 : 8
  const substitute = nameOfUtf16(data.slice(start + data.u16(0), data.u16(2)))
  const print = nameOfUtf16(data.slice(start + data.u16(4), data.u16(6)))
  if (tag === TAG.symlink && (data.u32(8) & RELATIVE) !== 0) return { text: substitute.text.replaceAll('\\', '/') }
  return print.text === '' ? { text: substitute.text.replace(/^\\\?\?\\/, '') } : print
}
