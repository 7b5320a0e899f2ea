/**
 * The boot sector of FAT12, FAT16 and FAT32.
 *
 * @see Microsoft FAT specification (fatgen103), section "Boot Sector and BPB"
 * @module
 */
import type { Bytes } from '@granary/core'
import { Fields } from '../../format/fields.ts'

export const BOOT_SECTOR_BYTES = 512

export interface FatGeometry {
  readonly bits: 12 | 16 | 32
  readonly sectorBytes: number
  readonly clusterBytes: number
  readonly clusters: number
  /** Of the table in use, bytes. */
  readonly tableOffset: number
  readonly tableBytes: number
  /** Of the fixed root directory of FAT12 and FAT16, bytes; its size is 0 on FAT32. */
  readonly rootOffset: number
  readonly rootBytes: number
  /** FAT32 only, else 0. */
  readonly rootCluster: number
  readonly dataOffset: number
  readonly totalBytes: number
  /** From the boot sector: the root directory knows better. */
  readonly label: string
  readonly uuid: string
}

/** Field offsets of the BPB. */
const BPB = {
  sectorBytes: 11,
  clusterSectors: 13,
  reservedSectors: 14,
  tables: 16,
  rootEntries: 17,
  totalSectors16: 19,
  media: 21,
  tableSectors16: 22,
  totalSectors32: 32,
  tableSectors32: 36,
  flags32: 40,
  rootCluster32: 44,
} as const

const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value))

/** The geometry, or undefined when the sector is no FAT boot sector: a boot record of another kind ends in 55 AA too. */
export const readBootSector = (bytes: Bytes): FatGeometry | undefined => {
  const sector = new Fields(bytes, 'FAT boot sector')
  const isJump = (sector.u8(0) === 0xeb && sector.u8(2) === 0x90) || sector.u8(0) === 0xe9
  if (!isJump || sector.u16(510) !== 0xaa55) return undefined
  const sectorBytes = sector.u16(BPB.sectorBytes)
  const clusterSectors = sector.u8(BPB.clusterSectors)
  const media = sector.u8(BPB.media)
  if (!isPowerOfTwo(sectorBytes) || sectorBytes < 512 || sectorBytes > 4096) return undefined
  if (!isPowerOfTwo(clusterSectors) || !(media === 0xf0 || media >= 0xf8)) return undefined
  return geometryOf(sector, sectorBytes, clusterSectors)
}

const geometryOf = (sector: Fields, sectorBytes: number, clusterSectors: number): FatGeometry | undefined => {
  const reserved = sector.u16(BPB.reservedSectors)
  const tables = sector.u8(BPB.tables)
  const rootEntries = sector.u16(BPB.rootEntries)
  const tableSectors16 = sector.u16(BPB.tableSectors16)
  const is32 = tableSectors16 === 0
  const tableSectors = is32 ? sector.u32(BPB.tableSectors32) : tableSectors16
  const totalSectors = sector.u16(BPB.totalSectors16) || sector.u32(BPB.totalSectors32)
  if (reserved === 0 || tables === 0 || tableSectors === 0 || is32 !== (rootEntries === 0)) return undefined
  const rootSectors = Math.ceil((rootEntries * 32) / sectorBytes)
  const dataSector = reserved + tables * tableSectors + rootSectors
  const clusters = Math.floor((totalSectors - dataSector) / clusterSectors)
  if (clusters < 1) return undefined
  const bits = bitsOf(is32, clusters)
  const flags = is32 ? sector.u16(BPB.flags32) : 0
  const active = (flags & 0x80) === 0 ? 0 : flags & 0xf
  if (active >= tables) return undefined
  const extended = is32 ? 64 : 36
  return {
    bits,
    sectorBytes,
    clusterBytes: clusterSectors * sectorBytes,
    // The table may be too small for all clusters: the others can't be in use.
    clusters: Math.min(clusters, Math.floor((tableSectors * sectorBytes * 8) / bits) - 2),
    tableOffset: (reserved + active * tableSectors) * sectorBytes,
    tableBytes: tableSectors * sectorBytes,
    rootOffset: (reserved + tables * tableSectors) * sectorBytes,
    rootBytes: rootEntries * 32,
    rootCluster: is32 ? sector.u32(BPB.rootCluster32) : 0,
    dataOffset: dataSector * sectorBytes,
    totalBytes: totalSectors * sectorBytes,
    ...labelOf(sector, extended),
  }
}

/** By the number of clusters and nothing else. */
const bitsOf = (is32: boolean, clusters: number): 12 | 16 | 32 => {
  if (is32) return 32
  return clusters < 4085 ? 12 : 16
}

const labelOf = (sector: Fields, extended: number): { label: string; uuid: string } => {
  const EXTENDED_SIGNATURE = 0x29
  if (sector.u8(extended + 2) !== EXTENDED_SIGNATURE) return { label: '', uuid: '' }
  const label = sector.ascii(extended + 7, 11).trimEnd()
  return { label: label === 'NO NAME' ? '' : label, uuid: serialText(sector.u32(extended + 3)) }
}

/** As in `1A2B-3C4D`. */
export const serialText = (serial: number): string => {
  const hex = serial.toString(16).toUpperCase().padStart(8, '0')
  return `${hex.slice(0, 4)}-${hex.slice(4)}`
}
