/**
 * Records of the master file table, and their attributes.
 *
 * @see https://flatcap.github.io/linux-ntfs/ntfs/, "FILE Record", "Attributes"
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfUtf16 } from '../../format/names.ts'
import type { WarningLog } from '../../warnings.ts'
import { attributeContent } from './attribute-content.ts'
import { parseRuns } from './runs.ts'
import type { Run } from './runs.ts'

export const TYPE = {
  standardInformation: 0x10,
  attributeList: 0x20,
  fileName: 0x30,
  volumeName: 0x60,
  volumeInformation: 0x70,
  data: 0x80,
  indexRoot: 0x90,
  indexAllocation: 0xa0,
  bitmap: 0xb0,
  reparsePoint: 0xc0,
} as const
const END = 0xffffffff
const IN_USE = 0x1
const DIRECTORY = 0x2
const FIXUP_BYTES = 512

/** Bytes an attribute list may have: Windows stops at 256 KiB. */
const MAX_LIST_BYTES = 256 * 1024

/** Records kept parsed. */
const MAX_KEPT = 64

export interface Ntfs {
  readonly disk: CachedDisk
  readonly clusterBytes: number
  readonly recordBytes: number
  readonly indexBytes: number
  readonly clusters: number
  readonly warnings: WarningLog
  /** The master file table, as far as it is known: its own record says where the rest is. */
  table: DiskReader
  readonly records: Map<number, FileRecord>
}

/** An attribute, with the parts of it that other records hold put together. */
export interface Attribute {
  readonly type: number
  readonly name: string
  readonly flags: number
  readonly value?: Bytes
  readonly runs?: readonly Run[]
  readonly compressionUnit: number
  readonly allocatedBytes: number
  readonly sizeBytes: number
  readonly initializedBytes: number
}

export interface FileRecord {
  readonly number: number
  readonly sequence: number
  readonly isDirectory: boolean
  readonly attributes: readonly Attribute[]
}

/** A reference: 48 bits of number, 16 of sequence. */
export const splitReference = (reference: bigint): { number: number; sequence: number } => ({
  number: Number(reference & 0xffff_ffff_ffffn),
  sequence: Number(reference >> 48n),
})

export const findAttribute = ({ attributes }: FileRecord, type: number, name = ''): Attribute | undefined =>
  attributes.find(attribute => attribute.type === type && attribute.name === name)

/**
 * Puts back what the update sequence stands over; every 512 bytes end in its number, or the write was torn.
 *
 * @param bytes are changed
 */
export const fixUp = (bytes: Bytes, where: string): Fields => {
  const fields = new Fields(bytes, where)
  const offset = fields.u16(4)
  const count = fields.u16(6)
  if (count < 2 || (count - 1) * FIXUP_BYTES > bytes.length) throw corrupt(where, 'an update sequence', count)
  const number = fields.u16(offset)
  for (let index = 1; index < count; index++) {
    const at = index * FIXUP_BYTES - 2
    if (fields.u16(at) !== number)
      throw corrupt(`${where}, sector ${index - 1}`, `update number ${number}`, fields.u16(at))
    bytes.set(fields.slice(offset + index * 2, 2), at)
  }
  return fields
}

/** The record with all its attributes. @throws GranaryError `GRANARY_CORRUPT` when it isn't one in use */
export const readFileRecord = async (ntfs: Ntfs, number: number, options: AbortOptions): Promise<FileRecord> => {
  options.signal?.throwIfAborted()
  const kept = ntfs.records.get(number)
  if (kept !== undefined) return kept
  const base = await readRecord(ntfs, number, options)
  const parts = parseAttributes(base)
  const list = parts.find(({ type }) => type === TYPE.attributeList)
  if (list !== undefined) {
    for (const extension of await listedRecords(ntfs, number, list, options)) {
      const fields = await readRecord(ntfs, extension, options)
      if (splitReference(fields.big64(32)).number !== number)
        throw corrupt(fields.where, `a part of record ${number}`, 'another')
      parts.push(...parseAttributes(fields))
    }
  }
  const record = {
    number,
    sequence: base.u16(16),
    isDirectory: (base.u16(22) & DIRECTORY) !== 0,
    attributes: merge(parts, base.where),
  }
  if (ntfs.records.size >= MAX_KEPT) ntfs.records.delete(ntfs.records.keys().next().value as number)
  ntfs.records.set(number, record)
  return record
}

const readRecord = async ({ table, recordBytes }: Ntfs, number: number, options: AbortOptions): Promise<Fields> => {
  const where = `file record ${number}`
  const offset = number * recordBytes
  if (offset + recordBytes > table.sizeBytes)
    throw corrupt(where, `a number below ${Math.floor(table.sizeBytes / recordBytes)}`, number)
  const bytes = new Uint8Array(recordBytes)
  await table.read(offset, bytes, options)
  return checkRecord(bytes, where)
}

/** @param bytes are changed */
const checkRecord = (bytes: Bytes, where: string): Fields => {
  const signature = Buffer.from(bytes.subarray(0, 4)).toString('latin1')
  if (signature !== 'FILE') throw corrupt(where, 'signature FILE', signature)
  const fields = fixUp(bytes, where)
  if ((fields.u16(22) & IN_USE) === 0) throw corrupt(where, 'a record in use', fields.u16(22))
  return fields
}

interface AttributePart extends Attribute {
  readonly lowestVcn: number
}

const parseAttributes = (record: Fields): AttributePart[] => {
  const parts: AttributePart[] = []
  const end = Math.min(record.u32(24), record.length)
  for (let at = record.u16(20); at + 8 <= end && record.u32(at) !== END;) {
    const length = record.u32(at + 4)
    if (length < 24 || length % 8 !== 0 || at + length > record.length)
      throw corrupt(`${record.where}, attribute at ${at}`, 'a length inside the record', length)
    parts.push(parseAttribute(new Fields(record.slice(at, length), `${record.where}, attribute at ${at}`)))
    at += length
  }
  return parts
}

const parseAttribute = (fields: Fields): AttributePart => {
  const units = fields.u8(9)
  const name = units === 0 ? '' : nameOfUtf16(fields.slice(fields.u16(10), units * 2)).text
  const common = { type: fields.u32(0), name, flags: fields.u16(12) }
  if (fields.u8(8) === 0) {
    const value = fields.slice(fields.u16(20), fields.u32(16))
    const { length } = value
    return {
      ...common,
      value,
      lowestVcn: 0,
      compressionUnit: 0,
      allocatedBytes: length,
      sizeBytes: length,
      initializedBytes: length,
    }
  }
  const lowestVcn = fields.u64(16)
  const runs = parseRuns(fields, fields.u16(32), lowestVcn)
  // Sizes stand in the first part alone.
  if (lowestVcn > 0)
    return { ...common, runs, lowestVcn, compressionUnit: 0, allocatedBytes: 0, sizeBytes: 0, initializedBytes: 0 }
  const unit = fields.u16(34)
  return {
    ...common,
    runs,
    lowestVcn,
    compressionUnit: unit,
    allocatedBytes: fields.u64(unit > 0 ? 64 : 40),
    sizeBytes: fields.u64(48),
    initializedBytes: fields.u64(56),
  }
}

/** Parts of one attribute, of several records, in the order of their clusters and without gaps. */
const merge = (parts: readonly AttributePart[], where: string): Attribute[] => {
  const merged = new Map<string, AttributePart & { runs?: Run[] }>()
  const alone: Attribute[] = []
  for (const part of [...parts].sort((a, b) => a.lowestVcn - b.lowestVcn)) {
    const key = `${part.type} ${part.name}`
    const first = merged.get(key)
    if (part.runs === undefined) alone.push(part)
    else if (part.lowestVcn === 0 && first === undefined) merged.set(key, { ...part, runs: [...part.runs] })
    else if (first?.runs === undefined)
      throw corrupt(where, 'the first part of an attribute', `one from cluster ${part.lowestVcn}`)
    else {
      const last = first.runs.at(-1)
      const end = last === undefined ? 0 : last.vcn + last.length
      if (part.lowestVcn !== end) throw corrupt(where, `a part from cluster ${end}`, part.lowestVcn)
      for (const run of part.runs) first.runs.push(run)
    }
  }
  return [...alone, ...merged.values()]
}

/** Numbers of the other records that the list names. */
const listedRecords = async (
  ntfs: Ntfs,
  number: number,
  list: Attribute,
  options: AbortOptions,
): Promise<Set<number>> => {
  const where = `file record ${number}, attribute list`
  if (list.sizeBytes > MAX_LIST_BYTES) throw corrupt(where, `at most ${MAX_LIST_BYTES} bytes`, list.sizeBytes)
  const bytes = new Uint8Array(list.sizeBytes)
  await attributeContent(ntfs, list, where).read(0, bytes, options)
  const fields = new Fields(bytes, where)
  const records = new Set<number>()
  for (let at = 0; at + 26 <= fields.length;) {
    const length = fields.u16(at + 4)
    if (length < 26) throw corrupt(where, 'an entry of at least 26 bytes', length)
    const { number: other } = splitReference(fields.big64(at + 16))
    if (other !== number) records.add(other)
    at += length
  }
  return records
}

/** Reads the table's own record, which says where the table is; its later parts are found through the first. */
export const openTable = async (
  ntfs: Ntfs,
  tableOffset: number,
  mirrorOffset: number,
  options: AbortOptions,
): Promise<void> => {
  const where = 'file record 0'
  let base: Fields
  try {
    base = checkRecord((await ntfs.disk.bytes(tableOffset, ntfs.recordBytes, where, options)).slice(), where)
  } catch (error) {
    options.signal?.throwIfAborted()
    ntfs.warnings.addError('$MFT', error)
    base = checkRecord(
      (await ntfs.disk.bytes(mirrorOffset, ntfs.recordBytes, where, options)).slice(),
      `${where} of the mirror`,
    )
  }
  const first = parseAttributes(base).find(({ type, name }) => type === TYPE.data && name === '')
  if (first === undefined) throw corrupt(base.where, 'the content of the table', 'none')
  ntfs.table = attributeContent(ntfs, first, '$MFT')
  const whole = findAttribute(await readFileRecord(ntfs, 0, options), TYPE.data)
  if (whole !== undefined) ntfs.table = attributeContent(ntfs, whole, '$MFT')
  ntfs.records.clear()
}
