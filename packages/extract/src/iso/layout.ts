/**
 * Where everything lies in an image. All sizes are known before the first byte, so the image can be a stream.
 *
 * The metadata stand **behind** the content: when a file turns out to be unreadable its content is already on the way,
 * but its name is not, and it simply gets none. So an image never shows a file whose content isn't right.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import { encodeDirectory, isoView, jolietView } from './directory-records.ts'
import type { RecordView } from './directory-records.ts'
import { directoriesBelow } from './node.ts'
import type { IsoDirectory, IsoFile } from './node.ts'
import { pathTableBytes, pathTableOrder } from './path-table.ts'
import { SECTOR_BYTES, sectorsOf } from './sectors.ts'
import { directoryBytes } from './udf/directory.ts'
import { FILE_SET_SECTORS, UDF_AT } from './udf/volume.ts'

export interface PathTablePlace {
  readonly order: readonly IsoDirectory[]
  readonly bytes: number
  readonly littleEndianSector: number
  readonly bigEndianSector: number
}

export interface IsoLayout {
  readonly isoTable: PathTablePlace
  readonly jolietTable: PathTablePlace
  /** Directories in the order of the image's metadata. */
  readonly directories: readonly IsoDirectory[]
  /** The last sector, which holds the second anchor of UDF. */
  readonly lastSector: number
}

/** Numbers of sectors have 32 bits in all views. */
const MAX_SECTORS = 2 ** 32 - 1

/**
 * Gives every file and directory its sectors. Names must have been assigned.
 *
 * @throws GranaryError `GRANARY_LIMIT` when the image would have 8 TiB or more
 */
export const layOut = (root: IsoDirectory, files: readonly IsoFile[]): IsoLayout => {
  const directories = [...directoriesBelow(root)]
  const sectors = new SectorCounter(UDF_AT.partition + FILE_SET_SECTORS)
  for (const file of files) file.sector = sectors.take(file.sizeBytes)
  const isoTable = placeTable(root, isoView, sectors)
  const jolietTable = placeTable(root, jolietView, sectors)
  for (const view of [isoView, jolietView])
    for (const directory of directories) placeDirectory(directory, view, sectors)
  for (const directory of directories) directory.file.entrySector = sectors.take(SECTOR_BYTES)
  for (const file of files) if (file.first?.names.udf !== undefined) file.entrySector = sectors.take(SECTOR_BYTES)
  for (const directory of directories) {
    directory.udf.sizeBytes = directoryBytes(directory)
    directory.udf.sector = sectors.take(directory.udf.sizeBytes)
  }
  // UDF comes last, so that its second anchor stands right behind what it uses: 7-Zip looks for it there.
  const lastSector = sectors.take(SECTOR_BYTES)
  if (lastSector > MAX_SECTORS) throw tooLarge(lastSector)
  return { isoTable, jolietTable, directories, lastSector }
}

class SectorCounter {
  #next: number

  constructor(first: number) {
    this.#next = first
  }

  /** The first of the sectors that hold so many bytes; where nothing is held, the next one, which holds something else. */
  take(bytes: number): number {
    const sector = this.#next
    this.#next += sectorsOf(bytes)
    return sector
  }
}

const placeTable = (root: IsoDirectory, view: RecordView, sectors: SectorCounter): PathTablePlace => {
  const order = pathTableOrder(root, view)
  const bytes = pathTableBytes(order, view)
  return { order, bytes, littleEndianSector: sectors.take(bytes), bigEndianSector: sectors.take(bytes) }
}

/** How long a directory is doesn't depend on where things lie, so it is measured by making it. */
const placeDirectory = (directory: IsoDirectory, view: RecordView, sectors: SectorCounter): void => {
  const { records, continuation } = encodeDirectory(directory, view)
  const place = view.placeOf(directory)
  place.sectors = records.length
  place.continuationSectors = continuation.length
  place.sector = sectors.take((records.length + continuation.length) * SECTOR_BYTES)
}

const tooLarge = (sectors: number): GranaryError =>
  new GranaryError(
    'GRANARY_LIMIT',
    `an ISO image has less than 8 TiB, these files would take ${sectors * SECTOR_BYTES} bytes`,
    {
      detail: { sizeBytes: sectors * SECTOR_BYTES },
      hint: 'choose fewer files, or extract them to a folder',
    },
  )
