/** The parts of an image that are no content, as sectors in their order. @module */
import type { Bytes } from '@granary/core'
import { encodeDirectory, isoView, jolietView, rootRecord } from './directory-records.ts'
import type { RecordView } from './directory-records.ts'
import type { IsoLayout, PathTablePlace } from './layout.ts'
import type { IsoDirectory, IsoFile } from './node.ts'
import { encodePathTable } from './path-table.ts'
import { SECTOR_BYTES, inSectors, sectorsOf } from './sectors.ts'
import { encodeIdentifiers } from './udf/directory.ts'
import { encodeDirectoryEntry, encodeFileEntry, nextUniqueId } from './udf/file-entry.ts'
import { UDF_AT, anchor, descriptorSequence, fileSet, integritySequence, recognitionSequence } from './udf/volume.ts'
import type { UdfVolume } from './udf/volume.ts'
import { jolietDescriptor, primaryDescriptor, terminator } from './volume-descriptors.ts'

/** ECMA-119, 6.2.1: the first 16 sectors are the system's. */
const FIRST_DESCRIPTOR = 16

/** What the metadata are made of. */
export interface ImageFacts {
  readonly root: IsoDirectory
  readonly files: readonly IsoFile[]
  readonly layout: IsoLayout
  /** Of the files and directories. */
  readonly lastSerial: number
  readonly volumeId: string
  readonly timeNs: bigint
  /** 16 hexadecimal digits. */
  readonly setId: string
}

const udfVolumeOf = ({ root, files, layout, lastSerial, volumeId, timeNs, setId }: ImageFacts): UdfVolume => ({
  volumeId,
  setId,
  timeNs,
  endSector: layout.lastSector,
  rootEntrySector: root.file.entrySector,
  files: files.length,
  directories: layout.directories.length,
  nextUniqueId: nextUniqueId(lastSerial),
})

/** Everything before the content. */
export const leadIn = (facts: ImageFacts): Bytes => {
  const volume = udfVolumeOf(facts)
  const bytes = new Uint8Array((UDF_AT.partition + 2) * SECTOR_BYTES)
  const put = (sector: number, parts: readonly Bytes[]): void =>
    bytes.set(inSectors(parts, parts.length), sector * SECTOR_BYTES)
  put(FIRST_DESCRIPTOR, [
    primaryDescriptor(volumeFacts(facts, isoView, facts.layout.isoTable)),
    jolietDescriptor(volumeFacts(facts, jolietView, facts.layout.jolietTable)),
    terminator(),
    ...recognitionSequence(),
  ])
  put(UDF_AT.mainSequence, descriptorSequence(volume, UDF_AT.mainSequence))
  put(UDF_AT.reserveSequence, descriptorSequence(volume, UDF_AT.reserveSequence))
  put(UDF_AT.integrity, integritySequence(volume))
  put(UDF_AT.anchor, [anchor(UDF_AT.anchor)])
  put(UDF_AT.partition, fileSet(volume))
  return bytes
}

const volumeFacts = (
  { root, layout, volumeId, timeNs }: ImageFacts,
  view: RecordView,
  table: PathTablePlace,
): Parameters<typeof primaryDescriptor>[0] => ({
  volumeId,
  timeNs,
  sectors: layout.lastSector + 1,
  pathTableBytes: table.bytes,
  littleEndianTable: table.littleEndianSector,
  bigEndianTable: table.bigEndianSector,
  rootRecord: rootRecord(root, view),
})

/** Everything behind the content, in pieces of whole sectors. */
export function* leadOut({ files, layout }: ImageFacts): Generator<Bytes, void, undefined> {
  yield* tables(layout.isoTable, isoView)
  yield* tables(layout.jolietTable, jolietView)
  for (const view of [isoView, jolietView]) {
    for (const directory of layout.directories) {
      const { records, continuation } = encodeDirectory(directory, view)
      const place = view.placeOf(directory)
      yield inSectors(records, place.sectors)
      yield inSectors(continuation, place.continuationSectors)
    }
  }
  for (const directory of layout.directories) yield inSectors([encodeDirectoryEntry(directory)], 1)
  // The entry of a lost file is left empty; nothing leads there.
  for (const file of files) if (file.entrySector > 0) yield inSectors(file.isLost ? [] : [encodeFileEntry(file)], 1)
  for (const directory of layout.directories)
    yield inSectors([encodeIdentifiers(directory)], sectorsOf(directory.udf.sizeBytes))
  yield inSectors([anchor(layout.lastSector)], 1)
}

function* tables({ order, bytes }: PathTablePlace, view: RecordView): Generator<Bytes, void, undefined> {
  for (const isLittleEndian of [true, false])
    yield inSectors([encodePathTable(order, view, isLittleEndian)], sectorsOf(bytes))
}
