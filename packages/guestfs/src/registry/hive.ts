/**
 * Reads keys and values of a Windows registry hive, as far as a reader of disks needs them.
 *
 * Cells are reached through offsets only; a key path has a given length and lists of keys nest one deep, so
 * nothing loops. What a hive's own log holds and the hive doesn't yet is not seen.
 *
 * @see https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { CachedDisk } from '../disk/cached-disk.ts'
import { corrupt, overLimit } from '../errors.ts'
import { Fields } from '../format/fields.ts'
import { nameOfUtf16 } from '../format/names.ts'

/** Offsets in a hive count from the end of its base block. */
const BASE_BYTES = 4096

/** Larger values are spread over several cells ("big data"): none that is asked for here is. */
const MAX_VALUE_BYTES = 16_344

const MAX_LIST_ENTRIES = 65_536
const CACHE_BYTES = 1024 * 1024

/** Names are ASCII, one byte a letter, instead of UTF-16. */
const KEY_NAME_IS_ASCII = 0x20
const VALUE_NAME_IS_ASCII = 0x1

/** The value stands in the field of its offset. */
const IS_RESIDENT = 0x8000_0000

export interface RegistryValue {
  readonly name: string
  /** 1: text, 3: bytes, 4: a number of 32 bits. */
  readonly type: number
  readonly data: Bytes
}

export interface Hive {
  /**
   * Values of the key at a path of names from the root, upper or lower case; undefined when there is no such key.
   *
   * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_LIMIT`
   */
  values(path: readonly string[], options?: AbortOptions): Promise<readonly RegistryValue[] | undefined>
}

/** @param file stays the caller's @throws GranaryError `GRANARY_CORRUPT` when it is no hive */
export const openHive = async (file: DiskReader, options: AbortOptions = {}): Promise<Hive> => {
  const disk = new CachedDisk(file, { capacityBytes: CACHE_BYTES })
  const base = new Fields(await disk.bytes(0, 512, 'registry hive', options), 'registry hive')
  if (base.ascii(0, 4) !== 'regf') throw corrupt('registry hive', 'regf', base.ascii(0, 4))
  const root = base.u32(36)
  return {
    async values(path, abort = {}) {
      let key: Fields | undefined = await keyAt(disk, root, abort)
      for (const name of path) {
        key = await subkey(disk, key, name, abort)
        if (key === undefined) return undefined
      }
      return await valuesOf(disk, key, abort)
    },
  }
}

/** The content of a cell: its size stands before it, negative while it is in use. */
const cellAt = async (disk: CachedDisk, offset: number, what: string, options: AbortOptions): Promise<Fields> => {
  const where = `registry hive, ${what} at ${offset}`
  const head = new Fields(await disk.bytes(BASE_BYTES + offset, 4, where, options), where)
  const length = -head.i32(0) - 4
  if (length < 4) throw corrupt(where, 'a cell in use', head.i32(0))
  if (length > MAX_LIST_ENTRIES * 8) throw overLimit(where, `${MAX_LIST_ENTRIES * 8} bytes`, length)
  return new Fields(await disk.bytes(BASE_BYTES + offset + 4, length, where, options), where)
}

const keyAt = async (disk: CachedDisk, offset: number, options: AbortOptions): Promise<Fields> => {
  const cell = await cellAt(disk, offset, 'key', options)
  if (cell.ascii(0, 2) !== 'nk') throw corrupt(cell.where, 'nk', cell.ascii(0, 2))
  return cell
}

const text = (bytes: Bytes, isAscii: boolean): string =>
  isAscii ? Buffer.from(bytes).toString('latin1') : nameOfUtf16(bytes).text

const subkey = async (
  disk: CachedDisk,
  parent: Fields,
  name: string,
  options: AbortOptions,
): Promise<Fields | undefined> => {
  if (parent.u32(20) === 0) return undefined
  for await (const offset of subkeyOffsets(disk, parent.u32(28), options)) {
    const key = await keyAt(disk, offset, options)
    const found = text(key.slice(76, key.u16(72)), (key.u16(2) & KEY_NAME_IS_ASCII) !== 0)
    if (found.toUpperCase() === name.toUpperCase()) return key
  }
  return undefined
}

/** Lists are plain (`li`), with hashes (`lf`, `lh`), or a list of such lists (`ri`). */
async function* subkeyOffsets(
  disk: CachedDisk,
  listOffset: number,
  options: AbortOptions,
  mayNest = true,
): AsyncGenerator<number, void, undefined> {
  const list = await cellAt(disk, listOffset, 'list of keys', options)
  const kind = list.ascii(0, 2)
  const isPlain = kind === 'li' || (kind === 'ri' && mayNest)
  if (!isPlain && kind !== 'lf' && kind !== 'lh') throw corrupt(list.where, 'a list of keys', kind)
  for (let index = 0; index < list.u16(2); index++) {
    const offset = list.u32(4 + index * (isPlain ? 4 : 8))
    if (kind === 'ri') yield* subkeyOffsets(disk, offset, options, false)
    else yield offset
  }
}

const valuesOf = async (disk: CachedDisk, key: Fields, options: AbortOptions): Promise<RegistryValue[]> => {
  const count = key.u32(36)
  if (count > MAX_LIST_ENTRIES) throw overLimit(key.where, `${MAX_LIST_ENTRIES} values`, count)
  if (count === 0) return []
  const list = await cellAt(disk, key.u32(40), 'list of values', options)
  const values: RegistryValue[] = []
  for (let index = 0; index < count; index++) values.push(await valueAt(disk, list.u32(index * 4), options))
  return values
}

const valueAt = async (disk: CachedDisk, offset: number, options: AbortOptions): Promise<RegistryValue> => {
  const cell = await cellAt(disk, offset, 'value', options)
  if (cell.ascii(0, 2) !== 'vk') throw corrupt(cell.where, 'vk', cell.ascii(0, 2))
  const size = cell.u32(4)
  const length = size >= IS_RESIDENT ? size - IS_RESIDENT : size
  const name = text(cell.slice(20, cell.u16(2)), (cell.u16(16) & VALUE_NAME_IS_ASCII) !== 0)
  const type = cell.u32(12)
  if (size >= IS_RESIDENT) return { name, type, data: cell.slice(8, Math.min(length, 4)) }
  // What is too large for one cell is never one of the values that are looked for.
  if (length === 0 || length > MAX_VALUE_BYTES) return { name, type, data: new Uint8Array(0) }
  return { name, type, data: (await cellAt(disk, cell.u32(8), 'data', options)).slice(0, length) }
}
