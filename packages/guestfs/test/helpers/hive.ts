/** Makes registry hives, in each of the forms of key lists. @module */

export interface HiveKey {
  readonly keys?: Readonly<Record<string, HiveKey>>
  readonly values?: Readonly<Record<string, { readonly type: number; readonly data: Uint8Array }>>
}

const BASE_BYTES = 4096
const ASCII_KEY = 0x20
const ASCII_VALUE = 0x1

export type KeyList = 'lf' | 'lh' | 'li' | 'ri'

/** @param list form of the lists of keys */
export const makeHive = (root: HiveKey, list: KeyList = 'lh'): Uint8Array => {
  const cells: Buffer[] = []
  let used = 32 // After the header of the only bin.
  const allocate = (bytes: Uint8Array): number => {
    const size = Math.ceil((bytes.length + 4) / 8) * 8
    const cell = Buffer.alloc(size)
    cell.writeInt32LE(-size)
    cell.set(bytes, 4)
    cells.push(cell)
    used += size
    return used - size
  }
  const rootOffset = makeKey(root, '$$$ROOT', allocate, list, 0x2c)
  const binBytes = Math.ceil(used / 4096) * 4096
  const free = binBytes - used
  if (free > 0) {
    const cell = Buffer.alloc(free)
    cell.writeInt32LE(free)
    cells.push(cell)
  }
  const bin = Buffer.alloc(32)
  bin.write('hbin', 0, 'latin1')
  bin.writeUInt32LE(binBytes, 8)
  return Buffer.concat([makeBase(rootOffset, binBytes), bin, ...cells])
}

const makeBase = (rootOffset: number, binBytes: number): Buffer => {
  const base = Buffer.alloc(BASE_BYTES)
  base.write('regf', 0, 'latin1')
  for (const [at, value] of [
    [4, 1],
    [8, 1],
    [20, 1], // Version 1.5.
    [24, 5],
    [32, 1],
    [36, rootOffset],
    [40, binBytes],
    [44, 1],
  ] as const)
    base.writeUInt32LE(value, at)
  let sum = 0
  for (let at = 0; at < 508; at += 4) sum ^= base.readUInt32LE(at)
  base.writeUInt32LE(sum >>> 0, 508)
  return base
}

type Allocate = (bytes: Uint8Array) => number

const makeKey = (
  { keys = {}, values = {} }: HiveKey,
  name: string,
  allocate: Allocate,
  list: KeyList,
  flags = ASCII_KEY,
): number => {
  const names = Object.keys(keys).toSorted((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1))
  const subkeys = names.map(each => ({ name: each, offset: makeKey(keys[each] as HiveKey, each, allocate, list) }))
  const valueOffsets = Object.entries(values).map(([each, value]) => makeValue(each, value, allocate))
  const record = Buffer.alloc(76 + name.length)
  record.write('nk', 0, 'latin1')
  record.writeUInt16LE(flags, 2)
  record.writeUInt32LE(subkeys.length, 20)
  record.writeUInt32LE(subkeys.length === 0 ? 0xffff_ffff : makeList(subkeys, allocate, list), 28)
  record.writeUInt32LE(0xffff_ffff, 32)
  record.writeUInt32LE(valueOffsets.length, 36)
  record.writeUInt32LE(valueOffsets.length === 0 ? 0xffff_ffff : allocate(numbers(valueOffsets)), 40)
  record.writeUInt32LE(0xffff_ffff, 44)
  record.writeUInt32LE(0xffff_ffff, 48)
  record.writeUInt16LE(name.length, 72)
  record.write(name, 76, 'latin1')
  return allocate(record)
}

const numbers = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4)
  return bytes
}

interface Subkey {
  readonly name: string
  readonly offset: number
}

const makeList = (subkeys: readonly Subkey[], allocate: Allocate, list: KeyList): number => {
  const kind = list === 'ri' ? 'lh' : list
  const one = (part: readonly Subkey[]): number => {
    const head = Buffer.alloc(4)
    head.write(kind, 0, 'latin1')
    head.writeUInt16LE(part.length, 2)
    const rows = part.flatMap(({ name, offset }) => (kind === 'li' ? [offset] : [offset, hashOf(name, kind)]))
    return allocate(Buffer.concat([head, numbers(rows)]))
  }
  if (list !== 'ri') return one(subkeys)
  const half = Math.ceil(subkeys.length / 2)
  const parts = [subkeys.slice(0, half), subkeys.slice(half)].filter(part => part.length > 0).map(one)
  const head = Buffer.alloc(4)
  head.write('ri', 0, 'latin1')
  head.writeUInt16LE(parts.length, 2)
  return allocate(Buffer.concat([head, numbers(parts)]))
}

const hashOf = (name: string, kind: 'lf' | 'lh' | 'li'): number => {
  if (kind === 'lf') return Buffer.from(name.padEnd(4, '\0').slice(0, 4), 'latin1').readUInt32LE()
  return Buffer.from(name.toUpperCase(), 'latin1').reduce((hash, letter) => (Math.imul(hash, 37) + letter) >>> 0, 0)
}

const makeValue = (name: string, { type, data }: { type: number; data: Uint8Array }, allocate: Allocate): number => {
  const record = Buffer.alloc(20 + name.length)
  record.write('vk', 0, 'latin1')
  record.writeUInt16LE(name.length, 2)
  record.writeUInt32LE(data.length <= 4 ? data.length + 0x8000_0000 : data.length, 4)
  if (data.length <= 4) record.set(data, 8)
  else record.writeUInt32LE(allocate(data), 8)
  record.writeUInt32LE(type, 12)
  record.writeUInt16LE(ASCII_VALUE, 16)
  record.write(name, 20, 'latin1')
  return allocate(record)
}

/** A value of text. */
export const textValue = (text: string): { type: number; data: Uint8Array } => ({
  type: 1,
  data: Buffer.from(`${text}\0`, 'utf16le'),
})
