/**
 * The GUID partition table.
 *
 * @see UEFI Specification 2.10, section 5.3
 * @module
 */
import { crc32 } from 'node:zlib'
import type { Bytes } from '@granary/core'
import type { Detector, Found, Partition, Probe } from '../detect.ts'
import { corrupt } from '../errors.ts'
import { Fields } from '../format/fields.ts'
import { nameOfUtf16 } from '../format/names.ts'
import { guidText } from '../format/uuid.ts'
import { PROTECTIVE_TYPE, readMbrEntries } from './mbr.ts'

const SECTOR_SIZES = [512, 4096, 1024, 2048]
const HEADER_BYTES_MIN = 92
const ENTRY_BYTES_MIN = 128

/** 16,384 entries of 256 bytes: far beyond what any tool writes. */
const ENTRIES_BYTES_MAX = 4 * 1024 * 1024

/** Field offsets of the header, table 5.5. */
const FIELD = {
  headerBytes: 12,
  crc: 16,
  ownLba: 24,
  alternateLba: 32,
  diskGuid: 56,
  entriesLba: 72,
  count: 80,
  entryBytes: 84,
  entriesCrc: 88,
}

const isGpt = (bytes: Bytes | undefined): bytes is Bytes =>
  bytes !== undefined && Buffer.from(bytes.buffer, bytes.byteOffset, 8).toString('latin1') === 'EFI PART'

export const gpt: Detector = {
  name: 'gpt',
  async detect(probe) {
    if (probe.kind === 'partition') return undefined
    const mbr = await readMbrEntries(probe)
    const isProtected = mbr?.some(({ type }) => type === PROTECTIVE_TYPE) ?? false
    if (mbr !== undefined && mbr.length > 0 && !isProtected) {
      if (isGpt(await probe.peek(512, 512)))
        probe.warnings.add(probe.where, 'a GPT without its protective entry: the MBR is used, as Linux does')
      return undefined
    }
    const problems: unknown[] = []
    for (const sectorBytes of SECTOR_SIZES) {
      const found = await readWithSectors(probe, sectorBytes, problems)
      if (found !== undefined) return found
    }
    if (problems.length === 0 && !isProtected) return undefined
    for (const problem of problems) probe.warnings.addError(probe.where, problem)
    const message = 'its GPT is damaged, and so is the backup at the end'
    return { kind: 'named', content: 'gpt', whyNot: { reason: 'corrupt', message } }
  },
}

/** The table, from the primary header or the backup; problems are kept for the case that all fails. */
const readWithSectors = async (probe: Probe, sectorBytes: number, problems: unknown[]): Promise<Found | undefined> => {
  const lastLba = Math.floor(probe.disk.sizeBytes / sectorBytes) - 1
  const primary = await probe.peek(sectorBytes, sectorBytes)
  const candidates = [1, lastLba]
  if (isGpt(primary)) {
    const alternate = new Fields(primary, 'GPT').big64(FIELD.alternateLba)
    if (alternate <= BigInt(lastLba)) candidates.splice(1, 0, Number(alternate))
  }
  for (const lba of candidates) {
    if (lba < 1 || !isGpt(await probe.peek(lba * sectorBytes, sectorBytes))) continue
    try {
      const partitions = await readTable(probe, lba, sectorBytes)
      if (lba !== 1) probe.warnings.add(probe.where, `the GPT is damaged: its backup at sector ${lba} is used`)
      return { kind: 'table', content: 'gpt', partitions }
    } catch (error) {
      probe.signal?.throwIfAborted()
      problems.push(error)
    }
  }
  return undefined
}

const readTable = async (probe: Probe, lba: number, sectorBytes: number): Promise<Partition[]> => {
  const where = `GPT at sector ${lba}`
  const { disk, signal } = probe
  const header = new Fields(await disk.bytes(lba * sectorBytes, sectorBytes, where, { signal }), where)
  const headerBytes = header.u32(FIELD.headerBytes)
  if (headerBytes < HEADER_BYTES_MIN || headerBytes > sectorBytes)
    throw corrupt(where, `a header of ${HEADER_BYTES_MIN} to ${sectorBytes} bytes`, headerBytes)
  const summed = header.slice(0, headerBytes).slice()
  summed.fill(0, FIELD.crc, FIELD.crc + 4)
  if (crc32(summed) !== header.u32(FIELD.crc)) throw corrupt(where, `checksum ${crc32(summed)}`, header.u32(FIELD.crc))
  if (header.u64(FIELD.ownLba) !== lba) throw corrupt(where, 'its own place', header.u64(FIELD.ownLba))

  const count = header.u32(FIELD.count)
  const entryBytes = header.u32(FIELD.entryBytes)
  const isSize = entryBytes >= ENTRY_BYTES_MIN && entryBytes % 8 === 0 && count * entryBytes <= ENTRIES_BYTES_MAX
  if (!isSize) throw corrupt(where, `at most ${ENTRIES_BYTES_MAX} bytes of entries`, `${count} of ${entryBytes}`)
  const entriesOffset = header.u64(FIELD.entriesLba) * sectorBytes
  const entries = await disk.bytes(entriesOffset, count * entryBytes, `${where}, entries`, { signal })
  const sum = crc32(entries)
  if (sum !== header.u32(FIELD.entriesCrc))
    throw corrupt(`${where}, entries`, `checksum ${sum}`, header.u32(FIELD.entriesCrc))
  return readEntries(entries, entryBytes, sectorBytes, probe)
}

const readEntries = (entries: Bytes, entryBytes: number, sectorBytes: number, probe: Probe): Partition[] => {
  const partitions: Partition[] = []
  for (let at = 0, number = 1; at < entries.length; at += entryBytes, number++) {
    const entry = new Fields(entries.subarray(at, at + entryBytes), `GPT entry ${number}`)
    if (entry.slice(0, 16).every(byte => byte === 0)) continue
    const first = entry.big64(32)
    const last = entry.big64(40)
    if (last < first || last > BigInt(Math.floor(Number.MAX_SAFE_INTEGER / sectorBytes))) {
      probe.warnings.add(`${probe.where}, GPT entry ${number}`, `from sector ${first} to ${last} is no range`)
      continue
    }
    const { text } = nameOfUtf16(entry.slice(56, Math.min(72, entryBytes - 56)))
    const name = text.split('\0', 1)[0] as string
    partitions.push({
      number,
      offset: Number(first) * sectorBytes,
      sizeBytes: Number(last - first + 1n) * sectorBytes,
      type: guidText(entry.slice(0, 16)),
      uuid: guidText(entry.slice(16, 16)),
      ...(name === '' ? {} : { name }),
    })
  }
  return partitions
}
