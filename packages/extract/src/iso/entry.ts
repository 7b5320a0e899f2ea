/** What an ISO image is made of: the files, as whoever chose them gives them. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { Name, Stat } from '@granary/guestfs'

/** Content of a size that is known before it is read. */
export interface IsoContent {
  readonly sizeBytes: number
  /** `read` may give less; the file is as long as that, then. @default false */
  readonly mayBeShorter?: true
  /** Exactly `sizeBytes` bytes. What fails here leaves the file out of the image. */
  read(options?: AbortOptions): AsyncIterable<Bytes>
}

export interface IsoEntry {
  /** Its names from the top of the image on. Directories on the way that aren't given are made. */
  readonly path: readonly Name[]
  readonly stat: Stat
  /** Files with the same key are one file with several names: the content stands in the image once. */
  readonly linkKey?: string
  /** Of a symbolic link. */
  readonly target?: Name
  /** Of a regular file; called once, when its turn has come. */
  readonly open?: (options: AbortOptions) => Promise<IsoContent>
}

/** A file that could not be put into the image, and why. */
export interface IsoError {
  readonly path: string
  readonly error: unknown
}
