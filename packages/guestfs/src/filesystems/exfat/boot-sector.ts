/** The boot sector of exFAT. @see Microsoft exFAT file system specification, section 3.1 @module */
import type { Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { serialText } from '../fat/boot-sector.ts'

export const BOOT_SECTOR_BYTES = 512

export interface ExfatGeometry {
  readonly sectorBytes: number
  readonly clusterBytes: number
  readonly clusters: number
  /** Of the table in use, bytes. */
  readonly tableOffset: number
  readonly heapOffset: number
  readonly rootCluster: number
  readonly totalBytes: number
  readonly isDirty: boolean
  readonly uuid: string
}

export const isExfat = (bytes: Bytes): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset + 3, 8).toString('latin1') === 'EXFAT   '

/** @throws GranaryError `GRANARY_CORRUPT` */
export const readBootSector = (bytes: Bytes): ExfatGeometry => {
  const where = 'exFAT boot sector'
  const sector = new Fields(bytes, where)
  const expect = (isSound: boolean, what: string, found: number): void => {
    if (!isSound) throw corrupt(where, what, found)
  }
  expect(sector.u16(510) === 0xaa55, 'signature 43605', sector.u16(510))
  const sectorShift = sector.u8(108)
  const clusterShift = sector.u8(109)
  const tables = sector.u8(110)
  expect(sectorShift >= 9 && sectorShift <= 12, 'sectors of 512 to 4096 bytes', sectorShift)
  expect(sectorShift + clusterShift <= 25, 'clusters of at most 32 MiB', clusterShift)
  expect(tables === 1 || tables === 2, 'one or two tables', tables)
  const sectorBytes = 2 ** sectorShift
  const totalSectors = sector.u64(72)
  const tableSector = sector.u32(80)
  const tableSectors = sector.u32(84)
  const heapSector = sector.u32(88)
  const clusters = sector.u32(92)
  const rootCluster = sector.u32(96)
  expect(totalSectors * sectorBytes <= Number.MAX_SAFE_INTEGER, 'a size below 2^53', totalSectors)
  expect(
    tableSector >= 24 && tableSector + tables * tableSectors <= heapSector,
    'a table before the clusters',
    tableSector,
  )
  expect((clusters + 2) * 4 <= tableSectors * sectorBytes, 'a table for all clusters', clusters)
  expect(
    clusters >= 1 && heapSector + clusters * 2 ** clusterShift <= totalSectors,
    'clusters inside the volume',
    clusters,
  )
  expect(rootCluster >= 2 && rootCluster < clusters + 2, `a root cluster of 2 to ${clusters + 1}`, rootCluster)
  const flags = sector.u16(106)
  return {
    sectorBytes,
    clusterBytes: sectorBytes * 2 ** clusterShift,
    clusters,
    tableOffset: (tableSector + (tables === 2 ? (flags & 1) * tableSectors : 0)) * sectorBytes,
    heapOffset: heapSector * sectorBytes,
    rootCluster,
    totalBytes: totalSectors * sectorBytes,
    isDirty: (flags & 2) !== 0,
    uuid: serialText(sector.u32(100)),
  }
}

/** The sum of the first eleven sectors, which the twelfth repeats; flags and percentage in use don't count. */
export const bootChecksum = (region: Bytes): number => {
  let sum = 0
  for (let at = 0; at < region.length; at++) {
    if (at !== 106 && at !== 107 && at !== 112) sum = (((sum & 1) << 31) + (sum >>> 1) + (region[at] as number)) >>> 0
  }
  return sum
}
