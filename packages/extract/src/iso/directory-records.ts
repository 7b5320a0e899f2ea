/**
 * Directories of ISO 9660 and of Joliet: records, sorted, none of which crosses a sector.
 *
 * @see ECMA-119, sections 6.8 and 9.1
 * @module
 */
import type { Bytes } from '@granary/core'
import { setBoth16, setBoth32, shortDate } from './fields.ts'
import { isDirectory } from './node.ts'
import type { DirectoryPlace, IsoDirectory, IsoFile, IsoNode } from './node.ts'
import { attributeEntries, extensionsEntry, nameEntries, sharingEntry } from './rock-ridge.ts'
import { SECTOR_BYTES } from './sectors.ts'
import { ContinuationAreas, placeEntries } from './system-use.ts'

/** Field offsets of a directory record (9.1). */
const AT = {
  length: 0,
  extendedAttributeLength: 1,
  extent: 2,
  dataLength: 10,
  date: 18,
  flags: 25,
  unitSize: 26,
  gapSize: 27,
  volumeSequence: 28,
  identifierLength: 32,
  identifier: 33,
} as const

const DIRECTORY_FLAG = 2
const GOES_ON_FLAG = 0x80

/** Of a file section that another follows: the last whole sector below 4 GiB (6.4.1: a data length has 32 bits). */
export const MAX_SECTION_BYTES = 2 ** 32 - SECTOR_BYTES

/** The two views that are made of directory records. */
export interface RecordView {
  placeOf(directory: IsoDirectory): DirectoryPlace
  /** Undefined for what the view doesn't show. */
  identifierOf(node: IsoNode): Bytes | undefined
  readonly hasRockRidge: boolean
}

export const isoView: RecordView = {
  placeOf: directory => directory.iso,
  identifierOf: node => Buffer.from(node.names.iso, 'latin1'),
  hasRockRidge: true,
}

/** Joliet: identifiers are UCS-2 in big-endian order. */
export const jolietView: RecordView = {
  placeOf: directory => directory.joliet,
  identifierOf: ({ names, file }) =>
    names.joliet === undefined
      ? undefined
      : Buffer.from(file.stat.type === 'dir' ? names.joliet : `${names.joliet};1`, 'utf16le').swap16(),
  hasRockRidge: false,
}

interface RecordParts {
  readonly identifier: Bytes
  readonly sector: number
  readonly bytes: number
  readonly flags: number
  readonly file: IsoFile
  readonly systemUse?: readonly Bytes[]
}

/** The sectors of a directory and of its continuation areas, by the sectors and names as they are now. */
export const encodeDirectory = (
  directory: IsoDirectory,
  view: RecordView,
): { readonly records: readonly Bytes[]; readonly continuation: readonly Bytes[] } => {
  const place = view.placeOf(directory)
  const areas = new ContinuationAreas(place.sector + place.sectors)
  const sectors: Bytes[] = []
  let used = SECTOR_BYTES
  for (const parts of recordsOf(directory, view)) {
    const record = encodeRecord(parts, areas)
    if (used + record.length > SECTOR_BYTES) {
      sectors.push(new Uint8Array(SECTOR_BYTES))
      used = 0
    }
    sectors.at(-1)?.set(record, used)
    used += record.length
  }
  return { records: sectors, continuation: areas.sectors }
}

function* recordsOf(directory: IsoDirectory, view: RecordView): Generator<RecordParts, void, undefined> {
  yield dotRecord(directory, directory, view, 0)
  yield dotRecord(directory.parent ?? directory, directory, view, 1)
  for (const { node, identifier } of sortedChildren(directory, view)) {
    const systemUse = view.hasRockRidge
      ? { systemUse: [...nameEntries(node.names.rockRidge), ...attributeEntries(node.file, linksOf(node))] }
      : {}
    if (isDirectory(node)) yield { ...directoryParts(node, view), identifier, ...systemUse }
    else for (const section of sectionsOf(node.file)) yield { ...section, file: node.file, identifier, ...systemUse }
  }
}

/** Records for the directory itself and its parent (6.8.2.2): identifiers of one byte, 0 and 1. */
const dotRecord = (directory: IsoDirectory, self: IsoDirectory, view: RecordView, byte: number): RecordParts => {
  const parts = { ...directoryParts(directory, view), identifier: Uint8Array.of(byte) }
  if (!view.hasRockRidge) return parts
  const isFirst = self.parent === undefined && byte === 0
  const attributes = attributeEntries(directory.file, linksOf(directory))
  return { ...parts, systemUse: isFirst ? [sharingEntry(), ...attributes, extensionsEntry()] : attributes }
}

const directoryParts = (directory: IsoDirectory, view: RecordView): Omit<RecordParts, 'identifier'> => {
  const place = view.placeOf(directory)
  return { sector: place.sector, bytes: place.sectors * SECTOR_BYTES, flags: DIRECTORY_FLAG, file: directory.file }
}

/** 9.3: ascending. A file whose content was lost has no record. */
export const sortedChildren = (
  { children }: IsoDirectory,
  view: RecordView,
): { readonly node: IsoNode; readonly identifier: Bytes }[] => {
  const shown = children.flatMap(node => {
    const identifier = node.file.isLost ? undefined : view.identifierOf(node)
    return identifier === undefined ? [] : [{ node, identifier }]
  })
  return shown.sort((a, b) => Buffer.compare(a.identifier, b.identifier))
}

function* sectionsOf({ sector, sizeBytes }: IsoFile): Generator<Pick<RecordParts, 'sector' | 'bytes' | 'flags'>> {
  let at = 0
  for (; sizeBytes - at > MAX_SECTION_BYTES; at += MAX_SECTION_BYTES)
    yield { sector: sector + at / SECTOR_BYTES, bytes: MAX_SECTION_BYTES, flags: GOES_ON_FLAG }
  yield { sector: sector + at / SECTOR_BYTES, bytes: sizeBytes - at, flags: 0 }
}

/** As POSIX counts: a directory has its name, its own `.` and the `..` of each below it. */
const linksOf = (node: IsoNode): number =>
  isDirectory(node) ? 2 + node.children.filter(isDirectory).length : node.file.links

const encodeRecord = (
  { identifier, sector, bytes, flags, file, systemUse }: RecordParts,
  areas: ContinuationAreas,
): Bytes => {
  const ownBytes = AT.identifier + identifier.length
  const paddedBytes = ownBytes + (ownBytes % 2)
  const entries = systemUse === undefined ? new Uint8Array(0) : placeEntries(systemUse, paddedBytes, areas)
  const record = new Uint8Array(paddedBytes + entries.length + (entries.length % 2))
  const view = new DataView(record.buffer)
  record[AT.length] = record.length
  setBoth32(view, AT.extent, sector)
  setBoth32(view, AT.dataLength, bytes)
  record.set(shortDate(file.stat.mtime ?? 0n), AT.date)
  record[AT.flags] = flags
  setBoth16(view, AT.volumeSequence, 1)
  record[AT.identifierLength] = identifier.length
  record.set(identifier, AT.identifier)
  record.set(entries, paddedBytes)
  return record
}

/** The record of the root as it stands in a volume descriptor: without system use (8.4.18). */
export const rootRecord = (root: IsoDirectory, view: RecordView): Bytes =>
  encodeRecord({ ...directoryParts(root, view), identifier: Uint8Array.of(0) }, new ContinuationAreas(0))
