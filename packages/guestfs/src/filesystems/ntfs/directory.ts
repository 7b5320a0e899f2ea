/**
 * Directories: a B-tree of names, of which all blocks in use are read, in any order.
 *
 * @see https://flatcap.github.io/linux-ntfs/ntfs/concepts/index_record.html
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfUtf16 } from '../../format/names.ts'
import type { Entry, FileNode } from '../../tree.ts'
import { attributeContent } from './attribute-content.ts'
import { TYPE, findAttribute, fixUp, splitReference } from './record.ts'
import type { FileRecord, Ntfs } from './record.ts'

const INDEX = '$I30'
const DOS_NAMESPACE = 2
const LAST_ENTRY = 2
const ATTRIBUTE = { reparse: 0x400, directory: 0x10000000 } as const
const ROOT = 5

/** The file system's own files, in the root and below $Extend. */
const FIRST_USER_RECORD = 24

export interface NtfsNode extends FileNode {
  /** Of the reference: a record used again for another file has another. */
  readonly sequence: number
}

export async function* listDirectory(
  ntfs: Ntfs,
  record: FileRecord,
  options: AbortOptions,
): AsyncGenerator<Entry & { readonly node: NtfsNode }, void, undefined> {
  const where = `directory ${record.number}`
  const root = findAttribute(record, TYPE.indexRoot, INDEX)?.value
  if (root === undefined) throw corrupt(where, 'an index', 'none')
  yield* entriesOf(ntfs, record, new Fields(root, `${where}, root`), 16)
  const allocation = findAttribute(record, TYPE.indexAllocation, INDEX)
  const bitmap = findAttribute(record, TYPE.bitmap, INDEX)
  if (allocation === undefined || bitmap === undefined) return
  const content = attributeContent(ntfs, allocation, where)
  const used = attributeContent(ntfs, bitmap, `${where}, bitmap`)
  const block = new Uint8Array(ntfs.indexBytes)
  const bits = new Uint8Array(1)
  for (let index = 0; (index + 1) * block.length <= content.sizeBytes; index++) {
    options.signal?.throwIfAborted()
    const at = `${where}, block ${index}`
    try {
      if (index % 8 === 0) await used.read(index / 8, bits, options)
      if ((((bits[0] as number) >> (index % 8)) & 1) === 0) continue
      await content.read(index * block.length, block, options)
      if (Buffer.from(block.subarray(0, 4)).toString('latin1') !== 'INDX')
        throw corrupt(at, 'signature INDX', 'another')
      yield* entriesOf(ntfs, record, fixUp(block, at), 24)
    } catch (error) {
      options.signal?.throwIfAborted()
      ntfs.warnings.addError(at, error)
    }
  }
}

/** @param header where the header of the entries is */
function* entriesOf(
  ntfs: Ntfs,
  record: FileRecord,
  fields: Fields,
  header: number,
): Generator<Entry & { readonly node: NtfsNode }, void, undefined> {
  const end = header + fields.u32(header + 4)
  for (let at = header + fields.u32(header); at + 16 <= end;) {
    const length = fields.u16(at + 8)
    if ((fields.u16(at + 12) & LAST_ENTRY) !== 0) return
    if (length < 16 + 66) throw corrupt(fields.where, 'an entry with a name', length)
    const key = new Fields(fields.slice(at + 16, length - 16), fields.where)
    const { number, sequence } = splitReference(fields.big64(at))
    at += length
    const isOwn = number < FIRST_USER_RECORD && (record.number === ROOT || record.number < FIRST_USER_RECORD)
    if (key.u8(65) === DOS_NAMESPACE || isOwn) continue
    const name = nameOfUtf16(key.slice(66, key.u8(64) * 2))
    const flags = key.u32(56)
    const type = (flags & ATTRIBUTE.reparse) !== 0 ? 'unknown' : (flags & ATTRIBUTE.directory) !== 0 ? 'dir' : 'file'
    if (name.text === '' || /[/\0]/.test(name.text) || name.text === '.' || name.text === '..')
      ntfs.warnings.add(fields.where, `an entry with the impossible name ${JSON.stringify(name.text)} is not shown`)
    else yield { name, type, node: { ino: number, sequence } }
  }
  throw corrupt(fields.where, `a last entry before ${end}`, 'none')
}
