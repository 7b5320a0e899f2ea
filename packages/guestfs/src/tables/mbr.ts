/**
 * The partition table of the PC's master boot record, with logical partitions.
 *
 * @see https://en.wikipedia.org/wiki/Master_boot_record, https://en.wikipedia.org/wiki/Extended_boot_record
 * @module
 */
import type { Bytes } from '@granary/core'
import type { Detector, Partition, Probe } from '../detect.ts'
import { Fields } from '../format/fields.ts'

const SECTOR_BYTES = 512
const SIGNATURE = 440
const TABLE = 446
const ENTRY_BYTES = 16
const EXTENDED_TYPES: readonly number[] = [0x05, 0x0f, 0x15, 0x1f, 0x85]
export const PROTECTIVE_TYPE = 0xee

/** Linux stops at 256 minors; a longer chain is a loop that came by unseen or a hostile disk. */
const MAX_LOGICAL = 256

export interface MbrEntry {
  readonly index: number
  readonly type: number
  readonly startSector: number
  readonly sectors: number
}

/** The used entries of a boot record, or undefined when the sector is none. */
export const readMbrEntries = async (probe: Probe, offset = 0): Promise<MbrEntry[] | undefined> => {
  const bytes = await probe.peek(offset, SECTOR_BYTES)
  if (bytes === undefined || bytes[510] !== 0x55 || bytes[511] !== 0xaa) return undefined
  const sector = new Fields(bytes, 'boot record')
  const entries: MbrEntry[] = []
  for (let index = 0; index < 4; index++) {
    const at = TABLE + index * ENTRY_BYTES
    const entry = { index, type: sector.u8(at + 4), startSector: sector.u32(at + 8), sectors: sector.u32(at + 12) }
    if (entry.type === 0 || entry.sectors === 0) continue
    if ((sector.u8(at) & 0x7f) !== 0) return undefined // Code or text, not a table.
    entries.push(entry)
  }
  return entries
}

const typeText = (type: number): string => type.toString(16).padStart(2, '0')

export const mbr: Detector = {
  name: 'dos',
  async detect(probe) {
    if (probe.kind === 'partition') return undefined
    const entries = await readMbrEntries(probe)
    if (entries === undefined || entries.every(({ startSector }) => startSector === 0)) return undefined
    const partitions: Partition[] = []
    for (const { index, type, startSector, sectors } of entries) {
      if (EXTENDED_TYPES.includes(type)) continue
      if (startSector * SECTOR_BYTES >= probe.disk.sizeBytes)
        probe.warnings.add(probe.where, `partition ${index + 1} begins beyond the end of the disk`)
      partitions.push({
        number: index + 1,
        offset: startSector * SECTOR_BYTES,
        sizeBytes: sectors * SECTOR_BYTES,
        type: typeText(type),
      })
    }
    for (const { type, startSector } of entries) {
      if (EXTENDED_TYPES.includes(type)) await readLogical(probe, startSector, partitions)
    }
    const signature = await probe.peek(SIGNATURE, 4)
    return {
      kind: 'table',
      content: 'dos',
      partitions: signature === undefined ? partitions : named(partitions, signature),
    }
  },
}

/** As udev names partitions of an MBR: the signature of the disk, and the number in hexadecimal. */
const named = (partitions: readonly Partition[], signature: Bytes): Partition[] => {
  const disk = new Fields(signature, 'boot record, signature').u32(0)
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  return partitions.map(partition => ({ ...partition, uuid: `${hex(disk, 8)}-${hex(partition.number, 2)}` }))
}

/**
 * Follows the chain of extended boot records: the first entry counts from its own record, the second, the link,
 * from the first record of the chain. Logical partitions are numbered from 5 in the order of the chain.
 */
const readLogical = async (probe: Probe, firstSector: number, partitions: Partition[]): Promise<void> => {
  const seen = new Set<number>()
  const where = `${probe.where}, extended partition at sector ${firstSector}`
  let number = Math.max(4, ...partitions.map(partition => partition.number)) + 1
  for (let sector = firstSector; ;) {
    if (seen.has(sector) || seen.size >= MAX_LOGICAL) {
      probe.warnings.add(where, `the chain of boot records loops at sector ${sector}`)
      return
    }
    seen.add(sector)
    const entries = await readMbrEntries(probe, sector * SECTOR_BYTES)
    if (entries === undefined) {
      probe.warnings.add(where, `no boot record at sector ${sector}: logical partitions from there on are not shown`)
      return
    }
    const data = entries.find(({ index, type }) => index < 2 && !EXTENDED_TYPES.includes(type))
    if (data !== undefined) {
      partitions.push({
        number: number++,
        offset: (sector + data.startSector) * SECTOR_BYTES,
        sizeBytes: data.sectors * SECTOR_BYTES,
        type: typeText(data.type),
      })
    }
    const link = entries.find(({ type }) => EXTENDED_TYPES.includes(type))
    if (link === undefined) return
    sector = firstSector + link.startSector
  }
}
