/** A file as a catalog knows it. @module */
import type { Name, Stat } from '@granary/guestfs'

export type CatalogType = Stat['type']

/** Numbers on disk are places in this list: only ever add at its end. */
export const CATALOG_TYPES: readonly CatalogType[] = ['file', 'dir', 'symlink', 'chr', 'blk', 'fifo', 'socket']

/** What is undefined the file system doesn't keep. Times are nanoseconds since 1970 UTC. */
export interface CatalogRow {
  /** The path of the directory it is in; the empty name for the root. */
  readonly directory: Name
  /** The empty name for the root itself. */
  readonly name: Name
  readonly type: CatalogType
  readonly sizeBytes: number
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly modified?: bigint
  readonly created?: bigint
}

/** Longest path that has a place in a page. Systems allow deeper folders than they can name. */
export const MAX_PATH_BYTES = 65_535

/** How names are compared: without regard to case, in every script. */
export const fold = (text: string): string => text.normalize('NFC').toLowerCase()
