/**
 * The volume structures of a UDF bridge: recognition, anchors, the descriptors of volume and file set.
 *
 * @see ECMA-167, part 2 section 9 and part 3 section 10; UDF 1.02, sections 2.2 and 6.10
 * @module
 */
import type { Bytes } from '@granary/core'
import { SECTOR_BYTES } from '../sectors.ts'
import {
  TAG,
  characterSet,
  domainId,
  dstring,
  implementationId,
  longAllocation,
  plainEntity,
  setTag,
  timestamp,
  udfEntity,
} from './descriptor.ts'

/** Where the structures lie, sectors: each sequence of descriptors has 16. */
export const UDF_AT = {
  mainSequence: 32,
  reserveSequence: 48,
  integrity: 64,
  anchor: 256,
  /** The partition begins here; block numbers in it count from here. */
  partition: 257,
} as const

const SEQUENCE_SECTORS = 16

/** The file set, and what ends its sequence, are the first blocks of the partition. */
export const FILE_SET_SECTORS = 2

export const blockOf = (sector: number): number => sector - UDF_AT.partition

export interface UdfVolume {
  readonly volumeId: string
  /** 16 hexadecimal digits that tell this volume set from others (UDF 2.2.2.5). */
  readonly setId: string
  readonly timeNs: bigint
  /** End of the partition, sectors. */
  readonly endSector: number
  readonly rootEntrySector: number
  readonly files: number
  readonly directories: number
  /** Higher than every unique id in use. */
  readonly nextUniqueId: number
}

/** BEA01, NSR02, TEA01: three sectors behind the descriptors of ISO 9660 (2/9.1). */
export const recognitionSequence = (): Bytes[] =>
  ['BEA01', 'NSR02', 'TEA01'].map(identifier => {
    const bytes = new Uint8Array(SECTOR_BYTES)
    bytes.set(Buffer.from(identifier, 'latin1'), 1)
    bytes[6] = 1
    return bytes
  })

/** The same descriptors stand in two sequences; tags know where. */
export const descriptorSequence = (volume: UdfVolume, firstSector: number): Bytes[] => {
  const descriptors = [
    { tag: TAG.primaryVolume, bytes: primaryVolume(volume) },
    { tag: TAG.implementationUse, bytes: implementationUse(volume) },
    { tag: TAG.partition, bytes: partition(volume) },
    { tag: TAG.logicalVolume, bytes: logicalVolume(volume) },
    { tag: TAG.unallocatedSpace, bytes: new Uint8Array(24) },
    { tag: TAG.terminating, bytes: new Uint8Array(512) },
  ]
  return descriptors.map(({ tag, bytes }, index) => tagged(bytes, tag, firstSector + index))
}

const tagged = (bytes: Bytes, tag: number, location: number): Bytes => {
  setTag(bytes, tag, location)
  return bytes
}

/** 3/10.2: where the two sequences are. */
export const anchor = (sector: number): Bytes => {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  setExtent(view, 16, { sectors: SEQUENCE_SECTORS, sector: UDF_AT.mainSequence })
  setExtent(view, 24, { sectors: SEQUENCE_SECTORS, sector: UDF_AT.reserveSequence })
  return tagged(bytes, TAG.anchor, sector)
}

const setExtent = (view: DataView, at: number, { sectors, sector }: { sectors: number; sector: number }): void => {
  view.setUint32(at, sectors * SECTOR_BYTES, true)
  view.setUint32(at + 4, sector, true)
}

/** 3/10.1. */
const primaryVolume = ({ volumeId, setId, timeNs }: UdfVolume): Bytes => {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  bytes.set(dstring(volumeId, 32), 24)
  view.setUint16(56, 1, true) // This volume's number in its set.
  view.setUint16(58, 1, true) // The highest in it.
  view.setUint16(60, 2, true) // Interchange level: one volume of a set of one.
  view.setUint16(62, 2, true)
  view.setUint32(64, 1, true) // Character sets: 0 only.
  view.setUint32(68, 1, true)
  bytes.set(dstring(`${setId}${volumeId}`, 128), 72)
  bytes.set(characterSet(), 200)
  bytes.set(characterSet(), 264)
  bytes.set(plainEntity('*Granary'), 344)
  bytes.set(timestamp(timeNs), 376)
  bytes.set(implementationId(), 388)
  return bytes
}

/** UDF 2.2.7. */
const implementationUse = ({ volumeId }: UdfVolume): Bytes => {
  const bytes = new Uint8Array(512)
  new DataView(bytes.buffer).setUint32(16, 1, true) // Number in the sequence.
  bytes.set(udfEntity('*UDF LV Info'), 20)
  bytes.set(characterSet(), 52)
  bytes.set(dstring(volumeId, 128), 116)
  bytes.set(implementationId(), 352)
  return bytes
}

/** 3/10.5: read-only, and numbered 0. */
const partition = ({ endSector }: UdfVolume): Bytes => {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  view.setUint32(16, 2, true)
  view.setUint16(20, 1, true)
  bytes.set(plainEntity('+NSR02'), 24)
  view.setUint32(184, 1, true)
  view.setUint32(188, UDF_AT.partition, true)
  view.setUint32(192, blockOf(endSector), true)
  bytes.set(implementationId(), 196)
  return bytes
}

/** 3/10.6, with one map of type 1. */
const logicalVolume = ({ volumeId }: UdfVolume): Bytes => {
  const bytes = new Uint8Array(446)
  const view = new DataView(bytes.buffer)
  view.setUint32(16, 3, true)
  bytes.set(characterSet(), 20)
  bytes.set(dstring(volumeId, 128), 84)
  view.setUint32(212, SECTOR_BYTES, true)
  bytes.set(domainId(), 216)
  bytes.set(longAllocation(FILE_SET_SECTORS * SECTOR_BYTES, 0), 248)
  view.setUint32(264, 6, true)
  view.setUint32(268, 1, true)
  bytes.set(implementationId(), 272)
  setExtent(view, 432, { sectors: 2, sector: UDF_AT.integrity })
  bytes.set([1, 6, 1, 0, 0, 0], 440)
  return bytes
}

/** 3/10.10: closed, and what ends its sequence. */
export const integritySequence = (volume: UdfVolume): Bytes[] => {
  const bytes = new Uint8Array(134)
  const view = new DataView(bytes.buffer)
  bytes.set(timestamp(volume.timeNs), 16)
  view.setUint32(28, 1, true)
  view.setBigUint64(40, BigInt(volume.nextUniqueId), true)
  view.setUint32(72, 1, true)
  view.setUint32(76, 46, true)
  view.setUint32(84, blockOf(volume.endSector), true)
  bytes.set(implementationId(), 88)
  view.setUint32(120, volume.files, true)
  view.setUint32(124, volume.directories, true)
  for (const at of [128, 130, 132]) view.setUint16(at, 0x0102, true) // Revisions to read and to write it.
  return [
    tagged(bytes, TAG.integrity, UDF_AT.integrity),
    tagged(new Uint8Array(512), TAG.terminating, UDF_AT.integrity + 1),
  ]
}

/** 4/14.1, and what ends its sequence. */
export const fileSet = ({ volumeId, timeNs, rootEntrySector }: UdfVolume): Bytes[] => {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  bytes.set(timestamp(timeNs), 16)
  view.setUint16(28, 3, true)
  view.setUint16(30, 3, true)
  view.setUint32(32, 1, true)
  view.setUint32(36, 1, true)
  bytes.set(characterSet(), 48)
  bytes.set(dstring(volumeId, 128), 112)
  bytes.set(characterSet(), 240)
  bytes.set(dstring(volumeId, 32), 304)
  bytes.set(longAllocation(SECTOR_BYTES, blockOf(rootEntrySector)), 400)
  bytes.set(domainId(), 416)
  return [tagged(bytes, TAG.fileSet, 0), tagged(new Uint8Array(512), TAG.terminating, 1)]
}
