/**
 * Directories of FAT: entries of 32 bytes, long names in entries before the short one.
 *
 * @see fatgen103, sections "FAT Directory Structure" and "FAT Long Directory Entries"
 * @module
 */
import type { AbortOptions } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfUnits } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import type { CodePage } from '../../volume.ts'
import type { WarningLog } from '../../warnings.ts'
import type { FatGeometry } from './boot-sector.ts'
import { ClusterChain, clusterOffset } from './cluster-chain.ts'
import type { ClusterHeap } from './cluster-chain.ts'
import { decodeCodePage } from './code-pages.ts'

export interface Fat {
  readonly geometry: FatGeometry
  readonly disk: CachedDisk
  readonly heap: ClusterHeap
  readonly warnings: WarningLog
  readonly codePage: CodePage
}

export const ATTRIBUTE = { volumeLabel: 0x08, directory: 0x10, longNameMask: 0x3f, longName: 0x0f } as const
const ENTRY_BYTES = 32
const DELETED = 0xe5

/** 65,536 entries: no FAT directory may be larger. */
const MAX_DIRECTORY_BYTES = 65_536 * ENTRY_BYTES

/** A short entry with the name that belongs to it. */
export interface FatEntry {
  readonly name: Name
  readonly attributes: number
  readonly fields: Fields
  /** Of the short entry on the volume, bytes. */
  readonly offset: number
}

/** @param firstCluster 0 for the fixed root directory */
export async function* readDirectory(
  fat: Fat,
  firstCluster: number,
  options: AbortOptions,
): AsyncGenerator<FatEntry, void, undefined> {
  const where = firstCluster === 0 ? 'root directory' : `directory at cluster ${firstCluster}`
  let long = new LongName()
  for await (const { bytes, offset } of directoryPieces(fat, firstCluster, where, options)) {
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      const fields = new Fields(bytes.subarray(at, at + ENTRY_BYTES), where)
      const first = fields.u8(0)
      const attributes = fields.u8(11)
      if (first === 0) return
      if (first === DELETED) long = new LongName()
      else if ((attributes & ATTRIBUTE.longNameMask) === ATTRIBUTE.longName) long.add(fields)
      else {
        const name = long.nameOf(fields) ?? shortName(fields, fat.codePage)
        long = new LongName()
        if (first !== 0x2e && isNameAllowed(fat, where, name)) yield { name, attributes, fields, offset: offset + at }
      }
    }
  }
}

const isNameAllowed = ({ warnings }: Fat, where: string, { text }: Name): boolean => {
  if (text !== '' && text !== '.' && text !== '..' && !/[/\0]/.test(text)) return true
  warnings.add(where, `an entry with the impossible name ${JSON.stringify(text)} is not shown`)
  return false
}

async function* directoryPieces(
  { geometry, disk, heap, warnings }: Fat,
  firstCluster: number,
  where: string,
  options: AbortOptions,
): AsyncGenerator<{ bytes: Uint8Array; offset: number }, void, undefined> {
  if (firstCluster === 0) {
    yield {
      bytes: await disk.bytes(geometry.rootOffset, geometry.rootBytes, where, options),
      offset: geometry.rootOffset,
    }
    return
  }
  const chain = new ClusterChain(heap, firstCluster, where)
  const maxClusters = Math.ceil(MAX_DIRECTORY_BYTES / heap.clusterBytes)
  for (let index = 0; ;) {
    options.signal?.throwIfAborted()
    const run = await chain.runAt(index, options)
    if (run === undefined) return
    for (let i = 0; i < run.count; i++) {
      const offset = clusterOffset(heap, run.cluster + i, where)
      yield { bytes: await disk.bytes(offset, heap.clusterBytes, where, options), offset }
      if (++index < maxClusters) continue
      warnings.add(where, `is larger than ${MAX_DIRECTORY_BYTES} bytes: the rest is not shown`)
      return
    }
  }
}

/** Units of a long entry: five, six and two. */
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]
const LAST_LONG = 0x40
const MAX_LONG_ENTRIES = 20

/** Gathers the entries of a long name, which come last part first; a gap or another checksum makes them orphans. */
class LongName {
  #units = ''
  #expected = 0
  #checksum = -1

  add(fields: Fields): void {
    const sequence = fields.u8(0)
    const checksum = fields.u8(13)
    const number = sequence & ~LAST_LONG
    if ((sequence & LAST_LONG) !== 0) {
      this.#units = ''
      this.#checksum = checksum
    } else if (number !== this.#expected || checksum !== this.#checksum) {
      this.#checksum = -1
      return
    }
    if (number < 1 || number > MAX_LONG_ENTRIES) this.#checksum = -1
    this.#units = String.fromCharCode(...UNIT_OFFSETS.map(at => fields.u16(at))) + this.#units
    this.#expected = number - 1
  }

  /** The long name, when it is whole and belongs to this short entry. */
  nameOf(short: Fields): Name | undefined {
    if (this.#expected !== 0 || this.#checksum < 0 || this.#checksum !== checksumOf(short)) return undefined
    return nameOfUnits(this.#units.split('\0', 1)[0] as string)
  }
}

const checksumOf = (short: Fields): number =>
  short.slice(0, 11).reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0)

/** Bits by which Windows NT keeps that a short name, or its extension, is written in lower case. */
const LOWER_CASE = { base: 0x08, extension: 0x10 } as const

const shortName = (fields: Fields, codePage: CodePage): Name => {
  const bytes = fields.slice(0, 11).slice()
  // A name that begins with the mark of deleted entries is kept with another byte.
  if (bytes[0] === 0x05) bytes[0] = DELETED
  const flags = fields.u8(12)
  const part = (from: number, to: number, isLower: boolean): string => {
    const text = decodeCodePage(bytes.subarray(from, to), codePage).trimEnd()
    return isLower ? text.toLowerCase() : text
  }
  const base = part(0, 8, (flags & LOWER_CASE.base) !== 0)
  const extension = part(8, 11, (flags & LOWER_CASE.extension) !== 0)
  return nameOfUnits(extension === '' ? base : `${base}.${extension}`)
}

/** The label in the root directory, which is the one that systems show. */
export const labelInRoot = async (
  fat: Fat,
  rootCluster: number,
  options: AbortOptions,
): Promise<string | undefined> => {
  for await (const { attributes, fields } of readDirectory(fat, rootCluster, options)) {
    if ((attributes & (ATTRIBUTE.volumeLabel | ATTRIBUTE.directory)) === ATTRIBUTE.volumeLabel)
      return decodeCodePage(fields.slice(0, 11), fat.codePage).trimEnd()
  }
  return undefined
}
