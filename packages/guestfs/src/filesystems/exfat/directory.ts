/**
 * Directories of exFAT: sets of 32-byte entries, a primary one and what belongs to it.
 *
 * @see Microsoft exFAT file system specification, sections 6 and 7
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfUnits } from '../../format/names.ts'
import type { Name } from '../../format/names.ts'
import type { WarningLog } from '../../warnings.ts'
import { ClusterChain, clusterOffset } from '../fat/cluster-chain.ts'
import type { ClusterHeap } from '../fat/cluster-chain.ts'

const ENTRY_BYTES = 32
const TYPE = { file: 0x85, stream: 0xc0, name: 0xc1, label: 0x83 } as const
const IN_USE = 0x80
const SECONDARY = 0x40
const UNITS_PER_NAME = 15

/** The specification's limit. */
const MAX_DIRECTORY_BYTES = 256 * 1024 * 1024

/** Where a directory or file lies. */
export interface ExfatExtent {
  readonly firstCluster: number
  readonly isContiguous: boolean
  /** As stored: not yet known to make sense. */
  readonly dataBytes: bigint
  readonly validBytes: bigint
}

export interface ExfatEntry extends ExfatExtent {
  readonly name: Name
  /** The primary entry. */
  readonly fields: Fields
  /** Of the primary entry on the volume, bytes. */
  readonly offset: number
}

interface RawEntry {
  readonly bytes: Bytes
  readonly offset: number
}

export async function* readDirectory(
  heap: ClusterHeap,
  warnings: WarningLog,
  extent: ExfatExtent,
  options: AbortOptions,
): AsyncGenerator<ExfatEntry, void, undefined> {
  const where = `directory at cluster ${extent.firstCluster}`
  let set: RawEntry[] = []
  let wanted = 0
  for await (const entry of rawEntries(heap, warnings, extent, where, options)) {
    const type = entry.bytes[0] as number
    const isPart = (type & IN_USE) !== 0 && (type & SECONDARY) !== 0
    if (set.length > 0 && (!isPart || set.length > wanted)) {
      yield* completeSet(warnings, where, set, wanted)
      set = []
    }
    if (type === TYPE.file) {
      set = [entry]
      wanted = entry.bytes[1] as number
    } else if (isPart && set.length > 0) set.push(entry)
  }
  if (set.length > 0) yield* completeSet(warnings, where, set, wanted)
}

/** The volume's label, from an entry that only the root directory has. */
export const readLabel = async (
  heap: ClusterHeap,
  root: ExfatExtent,
  warnings: WarningLog,
  options: AbortOptions,
): Promise<string> => {
  for await (const { bytes } of rawEntries(heap, warnings, root, 'root directory', options)) {
    if (bytes[0] !== TYPE.label) continue
    const fields = new Fields(bytes, 'volume label')
    return nameOfUnits(unitsOf(fields, 2, Math.min(fields.u8(1), 11))).text
  }
  return ''
}

const unitsOf = (fields: Fields, offset: number, count: number): string =>
  String.fromCharCode(...Array.from({ length: count }, (_, index) => fields.u16(offset + index * 2)))

async function* rawEntries(
  heap: ClusterHeap,
  warnings: WarningLog,
  extent: ExfatExtent,
  where: string,
  options: AbortOptions,
): AsyncGenerator<RawEntry, void, undefined> {
  let left = MAX_DIRECTORY_BYTES
  if (extent.dataBytes < BigInt(left)) left = Number(extent.dataBytes)
  for await (const offset of clusterOffsets(heap, extent, Math.ceil(left / heap.clusterBytes), where, options)) {
    // A cluster may have 32 MiB: it is taken in smaller pieces.
    for (let at = 0; at < heap.clusterBytes && left > 0; at += 4096) {
      const length = Math.min(4096, heap.clusterBytes - at, left)
      const piece = await heap.disk.bytes(offset + at, length, where, options)
      for (let start = 0; start + ENTRY_BYTES <= length; start += ENTRY_BYTES) {
        if (piece[start] === 0) return
        yield { bytes: piece.subarray(start, start + ENTRY_BYTES), offset: offset + at + start }
      }
      left -= length
    }
  }
  if (left <= 0 && extent.dataBytes > BigInt(MAX_DIRECTORY_BYTES))
    warnings.add(where, `is larger than ${MAX_DIRECTORY_BYTES} bytes: the rest is not shown`)
}

async function* clusterOffsets(
  heap: ClusterHeap,
  { firstCluster, isContiguous }: ExfatExtent,
  count: number,
  where: string,
  options: AbortOptions,
): AsyncGenerator<number, void, undefined> {
  const chain = new ClusterChain(heap, firstCluster, where)
  for (let index = 0; index < count;) {
    options.signal?.throwIfAborted()
    const run = isContiguous ? { cluster: firstCluster + index, count: 1 } : await chain.runAt(index, options)
    if (run === undefined) return
    for (let i = 0; i < run.count && index < count; i++, index++) yield clusterOffset(heap, run.cluster + i, where)
  }
}

function* completeSet(
  warnings: WarningLog,
  where: string,
  set: readonly RawEntry[],
  wanted: number,
): Generator<ExfatEntry, void, undefined> {
  try {
    const [primary, second] = set as [RawEntry, RawEntry | undefined]
    const at = `${where}, entry at ${primary.offset}`
    if (second === undefined || second.bytes[0] !== TYPE.stream) throw corrupt(at, 'a stream extension', set.length)
    if (set.length !== wanted + 1) warnings.add(at, `${wanted} entries should follow, not ${set.length - 1}`)
    else if (checksumOf(set) !== new Fields(primary.bytes, at).u16(2)) warnings.add(at, 'its checksum is wrong')
    const stream = new Fields(second.bytes, at)
    yield {
      name: nameOf(set, stream.u8(3), at),
      fields: new Fields(primary.bytes, at),
      offset: primary.offset,
      isContiguous: (stream.u8(1) & 2) !== 0,
      firstCluster: stream.u32(20),
      validBytes: stream.big64(8),
      dataBytes: stream.big64(24),
    }
  } catch (error) {
    warnings.addError(where, error)
  }
}

const nameOf = (set: readonly RawEntry[], length: number, where: string): Name => {
  const units = set
    .filter(({ bytes }) => bytes[0] === TYPE.name)
    .map(({ bytes }) => unitsOf(new Fields(bytes, where), 2, UNITS_PER_NAME))
    .join('')
  if (length === 0 || units.length < length) throw corrupt(where, `a name of ${length} units`, units.length)
  const name = nameOfUnits(units.slice(0, length))
  if (/[/\0]/.test(name.text) || name.text === '.' || name.text === '..')
    throw corrupt(where, 'a possible name', name.text)
  return name
}

/** Over all entries of a set but the two bytes of the sum itself. */
const checksumOf = (set: readonly RawEntry[]): number => {
  let sum = 0
  for (const [index, { bytes }] of set.entries()) {
    for (const [at, byte] of bytes.entries()) {
      if (index > 0 || (at !== 2 && at !== 3)) sum = (((sum & 1) << 15) + (sum >> 1) + byte) & 0xffff
    }
  }
  return sum
}
