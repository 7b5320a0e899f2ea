/**
 * Physical volumes: their label, and the text of their volume group.
 *
 * @see LVM2 lib/format_text/layout.h and lib/label/label.h
 * @module
 */
import { crc32 } from 'node:zlib'
import type { Bytes } from '@granary/core'
import type { Detector, Probe } from '../../detect.ts'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import type { ConfigSection } from './config.ts'
import { parseConfig } from './config.ts'

const SECTOR_BYTES = 512
const LABEL_SECTORS = 4
const AREA_HEADER_BYTES = 512
const AREA_MAGIC = ' LVM2 x[5A%r0N*>'
const LOCATION_IGNORED = 1
const MAX_AREAS = 32

/** The text of a group with thousands of volumes is some megabytes. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024

export interface PhysicalVolume {
  /** 32 characters, without dashes. */
  readonly uuid: string
  /** The newest text found on it; a volume may have none. */
  readonly metadata: ConfigSection | undefined
}

/** LVM's sum: CRC-32 with a start value of its own and no inversion. */
const lvmSum = (bytes: Bytes): number => ~crc32(bytes, ~0xf597a6cf >>> 0) >>> 0

export const lvm: Detector = {
  name: 'LVM2',
  async detect(probe) {
    for (let sector = 0; sector < LABEL_SECTORS; sector++) {
      const bytes = await probe.peek(sector * SECTOR_BYTES, SECTOR_BYTES)
      if (bytes === undefined) return undefined
      const label = new Fields(bytes, 'LVM label')
      if (label.ascii(0, 8) !== 'LABELONE' || label.ascii(24, 8) !== 'LVM2 001') continue
      if (lvmSum(label.slice(20, SECTOR_BYTES - 20)) !== label.u32(16)) {
        probe.warnings.add(probe.where, 'the checksum of the LVM label is wrong')
        continue
      }
      const header = await readPhysicalVolume(probe, label)
      return { kind: 'member', content: 'LVM2_member', uuid: dashed(header.uuid), member: { of: 'LVM2', header } }
    }
    return undefined
  },
}

/** As LVM's tools show it. */
const dashed = (uuid: string): string =>
  uuid.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7')

const readPhysicalVolume = async (probe: Probe, label: Fields): Promise<PhysicalVolume> => {
  const start = label.u32(20)
  const uuid = label.ascii(start, 32)
  const [, areas] = readLists(label, start + 40)
  let metadata: ConfigSection | undefined
  for (const area of areas) {
    try {
      const found = await readArea(probe, area)
      if (found !== undefined && sequenceOf(found) > sequenceOf(metadata)) metadata = found
    } catch (error) {
      probe.signal?.throwIfAborted()
      probe.warnings.addError(`${probe.where}, LVM metadata area at ${area.offset}`, error)
    }
  }
  return { uuid, metadata }
}

interface Area {
  readonly offset: number
  readonly sizeBytes: number
}

/** Two lists of areas, for data and for metadata, each ended by an empty one. */
const readLists = (label: Fields, start: number): [Area[], Area[]] => {
  const lists: [Area[], Area[]] = [[], []]
  let at = start
  for (const list of lists) {
    for (; label.big64(at) !== 0n; at += 16) {
      if (list.length >= MAX_AREAS) throw corrupt('LVM label', `at most ${MAX_AREAS} areas`, 'more')
      list.push({ offset: label.u64(at), sizeBytes: label.u64(at + 8) })
    }
    at += 16
  }
  return lists
}

/** The group's own section is the one that has a sequence number. */
export const groupSection = (metadata: ConfigSection): ConfigSection | undefined =>
  metadata.sections().find(([, section]) => section.optionalText('id') !== undefined)?.[1]

export const sequenceOf = (metadata: ConfigSection | undefined): number =>
  metadata === undefined ? -1 : (groupSection(metadata)?.number('seqno', 0) ?? -1)

const readArea = async ({ disk, signal }: Probe, area: Area): Promise<ConfigSection | undefined> => {
  const where = 'LVM metadata area'
  const header = new Fields(await disk.bytes(area.offset, AREA_HEADER_BYTES, where, { signal }), where)
  if (header.ascii(4, 16) !== AREA_MAGIC) throw corrupt(where, 'its magic', header.ascii(4, 16))
  if (lvmSum(header.slice(4, AREA_HEADER_BYTES - 4)) !== header.u32(0))
    throw corrupt(where, 'its checksum', header.u32(0))
  const offset = header.u64(40)
  const length = header.u64(48)
  if (offset === 0 || length === 0 || (header.u32(60) & LOCATION_IGNORED) !== 0) return undefined
  const ringBytes = header.u64(32)
  if (offset >= ringBytes || length > Math.min(ringBytes - AREA_HEADER_BYTES, MAX_TEXT_BYTES))
    throw corrupt(where, `text inside ${ringBytes} bytes`, `${offset}+${length}`)
  // The area is a ring behind its header.
  const first = Math.min(length, ringBytes - offset)
  const text = new Uint8Array(length)
  text.set(await disk.bytes(area.offset + offset, first, where, { signal }))
  text.set(await disk.bytes(area.offset + AREA_HEADER_BYTES, length - first, where, { signal }), first)
  if (lvmSum(text) !== header.u32(56)) throw corrupt(where, 'the checksum of its text', lvmSum(text))
  const end = text.indexOf(0)
  return parseConfig(Buffer.from(end < 0 ? text : text.subarray(0, end)).toString('utf8'))
}
