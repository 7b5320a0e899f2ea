/** The boot sector of NTFS. @see https://flatcap.github.io/linux-ntfs/ntfs/files/boot.html @module */
import type { Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'

export interface BootSector {
  readonly clusterBytes: number
  readonly clusters: number
  readonly recordBytes: number
  readonly indexBytes: number
  readonly totalBytes: number
  readonly tableOffset: number
  readonly mirrorOffset: number
  readonly uuid: string
}

export const isNtfs = (bytes: Bytes): boolean => Buffer.from(bytes.subarray(3, 11)).toString('latin1') === 'NTFS    '

/** A positive number counts clusters; a negative one is the logarithm of bytes. */
const sizeOf = (value: number, clusterBytes: number): number =>
  value < 0x80 ? value * clusterBytes : 2 ** (256 - value)

const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value))

/** @throws GranaryError `GRANARY_CORRUPT` */
export const readBootSector = (bytes: Bytes): BootSector => {
  const where = 'NTFS boot sector'
  const sector = new Fields(bytes, where)
  const expect = (isSound: boolean, what: string, found: number): void => {
    if (!isSound) throw corrupt(where, what, found)
  }
  const sectorBytes = sector.u16(11)
  expect(
    isPowerOfTwo(sectorBytes) && sectorBytes >= 256 && sectorBytes <= 4096,
    'sectors of 256 to 4096 bytes',
    sectorBytes,
  )
  const perCluster = sector.u8(13)
  const clusterBytes = sectorBytes * (perCluster <= 0x80 ? perCluster : 2 ** (256 - perCluster))
  expect(isPowerOfTwo(clusterBytes) && clusterBytes <= 2 ** 21, 'clusters of at most 2 MiB', clusterBytes)
  const recordBytes = sizeOf(sector.u8(64), clusterBytes)
  const indexBytes = sizeOf(sector.u8(68), clusterBytes)
  expect(
    isPowerOfTwo(recordBytes) && recordBytes >= 512 && recordBytes <= 65_536,
    'records of 512 bytes to 64 KiB',
    recordBytes,
  )
  expect(
    isPowerOfTwo(indexBytes) && indexBytes >= 512 && indexBytes <= 2 ** 21,
    'index blocks of 512 bytes to 2 MiB',
    indexBytes,
  )
  const totalSectors = sector.u64(40)
  expect(totalSectors > 0 && totalSectors * sectorBytes <= Number.MAX_SAFE_INTEGER, 'a size below 2^53', totalSectors)
  const clusters = Math.floor((totalSectors * sectorBytes) / clusterBytes)
  const table = sector.u64(48)
  const mirror = sector.u64(56)
  expect(table > 0 && table < clusters, `a table below cluster ${clusters}`, table)
  return {
    clusterBytes,
    clusters,
    recordBytes,
    indexBytes,
    totalBytes: totalSectors * sectorBytes,
    tableOffset: table * clusterBytes,
    mirrorOffset: mirror * clusterBytes,
    uuid: sector.big64(72).toString(16).toUpperCase().padStart(16, '0'),
  }
}
