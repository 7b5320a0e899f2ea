/**
 * The volume descriptors of ISO 9660 and Joliet.
 *
 * @see ECMA-119, sections 8.2 to 8.5; Joliet, "SVD Escape Sequences"
 * @module
 */
import type { Bytes } from '@granary/core'
import { longDate, setBoth16, setBoth32, setText } from './fields.ts'
import { SECTOR_BYTES } from './sectors.ts'

/** Field offsets (8.4). */
const AT = {
  type: 0,
  standard: 1,
  version: 6,
  system: { at: 8, length: 32 },
  volume: { at: 40, length: 32 },
  spaceSize: 80,
  escapeSequences: 88,
  setSize: 120,
  sequenceNumber: 124,
  blockSize: 128,
  pathTableSize: 132,
  littleEndianTable: 140,
  bigEndianTable: 148,
  rootRecord: 156,
  volumeSet: { at: 190, length: 128 },
  publisher: { at: 318, length: 128 },
  preparer: { at: 446, length: 128 },
  application: { at: 574, length: 128 },
  copyrightFile: { at: 702, length: 37 },
  abstractFile: { at: 739, length: 37 },
  bibliographicFile: { at: 776, length: 37 },
  created: 813,
  modified: 830,
  expires: 847,
  effective: 864,
  structureVersion: 881,
} as const

/** 8.4.26.1: a time that isn't given is sixteen digits 0. */
const NO_DATE = Uint8Array.from([...Buffer.from('0'.repeat(16)), 0])

/** Joliet level 3: UCS-2 without restriction to a level. */
const JOLIET_ESCAPE = '%/E'

export interface VolumeFacts {
  readonly volumeId: string
  readonly timeNs: bigint
  /** The whole image, sectors. */
  readonly sectors: number
  readonly pathTableBytes: number
  readonly littleEndianTable: number
  readonly bigEndianTable: number
  readonly rootRecord: Bytes
}

export const primaryDescriptor = (facts: VolumeFacts): Bytes => descriptor(1, facts, setText)

export const jolietDescriptor = (facts: VolumeFacts): Bytes => {
  const bytes = descriptor(2, facts, (target, { at, length }, text) => {
    const units = text.slice(0, Math.floor(length / 2)).padEnd(Math.floor(length / 2), ' ')
    target.set(Buffer.from(units, 'utf16le').swap16(), at)
  })
  bytes.set(Buffer.from(JOLIET_ESCAPE, 'latin1'), AT.escapeSequences)
  return bytes
}

/** 8.3. */
export const terminator = (): Bytes => header(255)

const header = (type: number): Bytes => {
  const bytes = new Uint8Array(SECTOR_BYTES)
  bytes[AT.type] = type
  bytes.set(Buffer.from('CD001', 'latin1'), AT.standard)
  bytes[AT.version] = 1
  return bytes
}

const descriptor = (type: number, facts: VolumeFacts, setField: typeof setText): Bytes => {
  const bytes = header(type)
  const view = new DataView(bytes.buffer)
  setField(bytes, AT.system, 'LINUX')
  setField(bytes, AT.volume, facts.volumeId)
  setBoth32(view, AT.spaceSize, facts.sectors)
  setBoth16(view, AT.setSize, 1)
  setBoth16(view, AT.sequenceNumber, 1)
  setBoth16(view, AT.blockSize, SECTOR_BYTES)
  setBoth32(view, AT.pathTableSize, facts.pathTableBytes)
  view.setUint32(AT.littleEndianTable, facts.littleEndianTable, true)
  view.setUint32(AT.bigEndianTable, facts.bigEndianTable, false)
  bytes.set(facts.rootRecord, AT.rootRecord)
  setField(bytes, AT.volumeSet, '')
  setField(bytes, AT.publisher, '')
  setField(bytes, AT.preparer, '')
  setField(bytes, AT.application, 'GRANARY')
  setField(bytes, AT.copyrightFile, '')
  setField(bytes, AT.abstractFile, '')
  setField(bytes, AT.bibliographicFile, '')
  bytes.set(longDate(facts.timeNs), AT.created)
  bytes.set(longDate(facts.timeNs), AT.modified)
  bytes.set(NO_DATE, AT.expires)
  bytes.set(NO_DATE, AT.effective)
  bytes[AT.structureVersion] = 1
  return bytes
}
