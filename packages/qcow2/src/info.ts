/** What an image says of itself, from its own bytes alone: no other file is opened. @module */
import { readBitmaps } from './bitmaps.ts'
import type { Qcow2Bitmap } from './bitmaps.ts'
import type { Compression, Encryption, Qcow2Header } from './header.ts'
import { readHeader } from './header.ts'
import type { RandomFile } from './random-file.ts'
import { readSnapshots } from './snapshots.ts'
import type { Qcow2Snapshot } from './snapshots.ts'

export interface Qcow2Info {
  readonly version: 2 | 3
  /** Virtual size, bytes. */
  readonly sizeBytes: number
  readonly clusterBytes: number
  readonly refcountBits: number
  readonly compression: Compression
  readonly encryption: Encryption
  readonly isDirty: boolean
  readonly isCorrupt: boolean
  readonly hasExtendedL2: boolean
  readonly hasLazyRefcounts: boolean
  /** As it stands in the image: never to be opened unasked. */
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined
  readonly dataFile: { readonly name: string | undefined; readonly isRaw: boolean } | undefined
  readonly snapshotCount: number
  readonly bitmapCount: number
}

/**
 * Reads what an image says of itself, of an encrypted one too.
 *
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_LIMIT` or `GRANARY_UNSUPPORTED` as `openQcow2`
 */
export const readQcow2Info = async (file: RandomFile): Promise<Qcow2Info> => infoOf(await readHeader(file))

/** Lists the internal snapshots of an image, of an encrypted one too. @throws GranaryError as `readQcow2Info`, and for a damaged table */
export const listQcow2Snapshots = async (file: RandomFile): Promise<Qcow2Snapshot[]> =>
  (await readSnapshots(file, await readHeader(file))).map(({ snapshot }) => snapshot)

/** Lists the persistent bitmaps of an image, of an encrypted one too. @throws GranaryError as `readQcow2Info`, and for a damaged directory */
export const listQcow2Bitmaps = async (file: RandomFile): Promise<Qcow2Bitmap[]> =>
  (await readBitmaps(file, await readHeader(file))).map(({ bitmap }) => bitmap)

export const infoOf = (header: Qcow2Header): Qcow2Info => ({
  version: header.version,
  sizeBytes: header.sizeBytes,
  clusterBytes: header.clusterBytes,
  refcountBits: 2 ** header.refcounts.order,
  compression: header.compression,
  encryption: header.encryption,
  isDirty: header.isDirty,
  isCorrupt: header.isCorrupt,
  hasExtendedL2: header.hasExtendedL2,
  hasLazyRefcounts: header.hasLazyRefcounts,
  backing: header.backingName === undefined ? undefined : { name: header.backingName, format: header.backingFormat },
  dataFile: header.hasDataFile ? { name: header.dataFileName, isRaw: header.isDataFileRaw } : undefined,
  snapshotCount: header.snapshots.entries,
  bitmapCount: header.bitmaps?.count ?? 0,
})
