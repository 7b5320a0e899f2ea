/**
 * Pages: up to a few thousand rows in columns, so that a search reads only the columns it asks for.
 *
 * @see docs/formats/catalog.md
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Name } from '@granary/guestfs'
import { CATALOG_TYPES, fold } from './row.ts'
import type { CatalogRow, CatalogType } from './row.ts'

/** Columns in their order in a page; `bytes` is the width of a row, 0 where it varies. */
export const COLUMNS = [
  { name: 'modified', bytes: 8 },
  { name: 'created', bytes: 8 },
  { name: 'size', bytes: 8 },
  { name: 'owner', bytes: 8 },
  { name: 'directory', bytes: 2 },
  { name: 'mode', bytes: 2 },
  { name: 'lengths', bytes: 2 },
  { name: 'type', bytes: 1 },
  { name: 'names', bytes: 0 },
  { name: 'folded', bytes: 0 },
  { name: 'foldedLengths', bytes: 0 },
  { name: 'directories', bytes: 0 },
  { name: 'foldedDirectories', bytes: 0 },
  { name: 'exact', bytes: 0 },
] as const

export type ColumnName = (typeof COLUMNS)[number]['name']

export type PageColumns = Readonly<Record<ColumnName, Bytes>>

/** Number of rows, then the lengths of the columns that vary. */
const HEADER_BYTES = 4 + 4 * 6

export const MAX_PAGE_ROWS = 4096

/** Of a page: four thousand rows with the longest of names, in folders of their own. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024

const UNKNOWN_TIME = -(2n ** 63n)
const UNKNOWN_ID = 0xffff_ffff
const UNKNOWN_MODE = 0xffff

export const encodePage = (rows: readonly CatalogRow[]): Bytes => {
  const directories = new Map<string, { readonly index: number; readonly path: Name }>()
  const indexes = rows.map(({ directory }) => {
    const key = Buffer.from(bytesOfName(directory)).toString('latin1')
    const known = directories.get(key)
    if (known !== undefined) return known.index
    directories.set(key, { index: directories.size, path: directory })
    return directories.size - 1
  })
  const names = rows.map(({ name }) => name.text)
  const foldedNames = names.map(fold)
  const paths = [...directories.values()].map(({ path }) => path)
  const [lengths, foldedLengths] = [lengthsOf(names), lengthsOf(foldedNames)]
  const [text, foldedText] = [joinNames(names), joinNames(foldedNames)]
  const [pathText, foldedPathText] = [
    joinPaths(paths.map(path => path.text)),
    joinPaths(paths.map(path => fold(path.text))),
  ]
  const columns: Record<ColumnName, Bytes> = {
    modified: bytesOf(BigInt64Array.from(rows, ({ modified }) => clampTime(modified))),
    created: bytesOf(BigInt64Array.from(rows, ({ created }) => clampTime(created))),
    size: bytesOf(Float64Array.from(rows, ({ sizeBytes }) => sizeBytes)),
    owner: bytesOf(Uint32Array.from(rows.flatMap(({ uid, gid }) => [uid ?? UNKNOWN_ID, gid ?? UNKNOWN_ID]))),
    directory: bytesOf(Uint16Array.from(indexes)),
    mode: bytesOf(Uint16Array.from(rows, ({ mode }) => mode ?? UNKNOWN_MODE)),
    lengths,
    type: Uint8Array.from(rows, ({ type }) => CATALOG_TYPES.indexOf(type)),
    names: text,
    folded: unlessSame(foldedText, text),
    foldedLengths: unlessSame(foldedLengths, lengths),
    directories: pathText,
    foldedDirectories: unlessSame(foldedPathText, pathText),
    exact: encodeExact(rows, paths),
  }
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(rows.length, 0)
  variable.forEach(({ name }, i) => header.writeUInt32LE(columns[name].length, 4 + 4 * i))
  return Buffer.concat([header, ...COLUMNS.map(({ name }) => columns[name])])
}

const variable = COLUMNS.filter(({ bytes }) => bytes === 0)

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): Bytes =>
  new Uint8Array(buffer, byteOffset, byteLength)

const clampTime = (time: bigint | undefined): bigint =>
  time === undefined ? UNKNOWN_TIME : BigInt.asIntN(64, time) === time ? time : UNKNOWN_TIME

const lengthsOf = (names: readonly string[]): Bytes => bytesOf(Uint16Array.from(names, name => Buffer.byteLength(name)))

/** Empty where folding changes nothing. */
const unlessSame = (folded: Bytes, plain: Bytes): Bytes =>
  Buffer.compare(folded, plain) === 0 ? new Uint8Array(0) : folded

/** A slash before and behind each, so that a beginning or an end of a name is a string like any other. */
const joinNames = (names: readonly string[]): Buffer => Buffer.from(`/${names.map(name => `${name}/`).join('')}`)

const joinPaths = (paths: readonly string[]): Bytes => Buffer.from(paths.map(path => `${path}\0`).join(''))

/** The bytes of names and directories whose text is not the whole truth: u16 place (from 0x8000: a directory), u16 length, bytes. */
const encodeExact = (rows: readonly CatalogRow[], directories: readonly Name[]): Bytes => {
  const parts: Bytes[] = []
  const add = ({ bytes }: Name, place: number): void => {
    if (bytes === undefined) return
    const head = Buffer.alloc(4)
    head.writeUInt16LE(place, 0)
    head.writeUInt16LE(bytes.length, 2)
    parts.push(head, bytes)
  }
  rows.forEach(({ name }, i) => add(name, i))
  directories.forEach((path, i) => add(path, i | EXACT_DIRECTORY))
  return Buffer.concat(parts)
}

const EXACT_DIRECTORY = 0x8000

/**
 * Cuts a page into its columns. Only its outside is checked here; what is in it is what a catalog's seal vouches for.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when its parts don't fill it
 */
export const splitPage = (page: Bytes): { readonly rows: number; readonly columns: PageColumns } => {
  const view = Buffer.from(page.buffer, page.byteOffset, page.length)
  if (page.length < HEADER_BYTES || page.length > MAX_PAGE_BYTES) throw corrupt(`a page of ${page.length} bytes`)
  const rows = view.readUInt32LE(0)
  if (rows === 0 || rows > MAX_PAGE_ROWS) throw corrupt(`a page of ${rows} rows`)
  let at = HEADER_BYTES
  let next = 4
  const columns: Partial<Record<ColumnName, Bytes>> = {}
  for (const { name, bytes } of COLUMNS) {
    const length = bytes === 0 ? view.readUInt32LE(next) : bytes * rows
    if (bytes === 0) next += 4
    if (at + length > page.length) throw corrupt('a page that ends early')
    columns[name] = page.slice(at, at + length)
    at += length
  }
  if (at !== page.length) throw corrupt('a page that is too long')
  return { rows, columns: columns as PageColumns }
}

const corrupt = (found: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `the catalog holds ${found}`, { hint: 'make the catalog of that snapshot anew' })

/** A column of numbers, as numbers. Times lose what is below 256 ns: enough to compare them. */
export const numbersOf = (
  column: 'modified' | 'created' | 'size' | 'owner' | 'mode' | 'type',
  bytes: Bytes,
): Float64Array => {
  if (column === 'type') return new Float64Array(bytes)
  if (column === 'mode') return new Float64Array(new Uint16Array(aligned(bytes)))
  if (column === 'size') return new Float64Array(aligned(bytes))
  const words = new Uint32Array(aligned(bytes))
  const numbers = new Float64Array(words.length / 2)
  if (column === 'owner') for (let i = 0; i < numbers.length; i++) numbers[i] = words[2 * i] as number
  else {
    const high = new Int32Array(words.buffer)
    for (let i = 0; i < numbers.length; i++)
      numbers[i] = (high[2 * i + 1] as number) * 2 ** 32 + (words[2 * i] as number)
  }
  return numbers
}

export const shortNumbersOf = (bytes: Bytes): Uint16Array => new Uint16Array(aligned(bytes))

const aligned = (bytes: Bytes): ArrayBuffer =>
  bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
    ? bytes.buffer
    : bytes.slice().buffer

export const directoriesOf = (bytes: Bytes): string[] => {
  const texts = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8').split('\0')
  texts.pop() // Behind the last end.
  return texts
}

/** Names one by one, without cutting all of them apart. */
export const namesOf = ({ names, lengths }: Pick<PageColumns, 'names' | 'lengths'>): ((row: number) => string) => {
  const text = Buffer.from(names.buffer, names.byteOffset, names.length)
  const bytes = shortNumbersOf(lengths)
  const starts = new Uint32Array(bytes.length)
  let at = 1
  for (let row = 0; row < bytes.length; row++) {
    starts[row] = at
    at += (bytes[row] as number) + 1
  }
  return row => text.toString('utf8', starts[row], (starts[row] as number) + (bytes[row] as number))
}

/** Gives whole rows of a page. */
export const rowOf = (columns: PageColumns): ((row: number) => CatalogRow) => {
  const nameAt = namesOf(columns)
  const directories = directoriesOf(columns.directories)
  const exact = exactOf(columns.exact)
  const indexes = shortNumbersOf(columns.directory)
  const view = (column: ColumnName): DataView =>
    new DataView(columns[column].buffer, columns[column].byteOffset, columns[column].length)
  const [modified, created, size, owner, mode] = [
    view('modified'),
    view('created'),
    view('size'),
    view('owner'),
    view('mode'),
  ]
  return row => ({
    directory: nameOf(directories[indexes[row] as number] ?? '', exact.get((indexes[row] as number) | EXACT_DIRECTORY)),
    name: nameOf(nameAt(row), exact.get(row)),
    type: CATALOG_TYPES[columns.type[row] as number] as CatalogType,
    sizeBytes: size.getFloat64(8 * row, true),
    ...known('mode', mode.getUint16(2 * row, true), UNKNOWN_MODE),
    ...known('uid', owner.getUint32(8 * row, true), UNKNOWN_ID),
    ...known('gid', owner.getUint32(8 * row + 4, true), UNKNOWN_ID),
    ...known('modified', modified.getBigInt64(8 * row, true), UNKNOWN_TIME),
    ...known('created', created.getBigInt64(8 * row, true), UNKNOWN_TIME),
  })
}

const known = <Key extends string, Value>(key: Key, value: Value, unknown: Value): { readonly [K in Key]?: Value } =>
  value === unknown ? {} : ({ [key]: value } as { readonly [K in Key]: Value })

const nameOf = (text: string, bytes: Bytes | undefined): Name => (bytes === undefined ? { text } : { text, bytes })

const exactOf = (column: Bytes): Map<number, Bytes> => {
  const view = Buffer.from(column.buffer, column.byteOffset, column.length)
  const exact = new Map<number, Bytes>()
  for (let at = 0; at + 4 <= view.length;) {
    const length = view.readUInt16LE(at + 2)
    exact.set(view.readUInt16LE(at), column.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  return exact
}
