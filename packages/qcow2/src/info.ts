/** What an image says of itself, from its own bytes alone: no other file is opened. @module */
import type { Compression, Encryption, Qcow2Header } from './header.ts'
import { readHeader } from './header.ts'
import type { RandomFile } from './random-file.ts'

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
