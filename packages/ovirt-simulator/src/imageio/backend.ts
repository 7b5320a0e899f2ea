/** What a ticket gives access to. @module */
import type { DiskReader, DiskWriter } from '@granary/core'

export interface ImageBackend {
  /** Writes need a disk that has them. */
  readonly disk: DiskReader & Partial<DiskWriter>
  /** `file`: one extent of data, one writer. `nbd`: the disk's own extents, eight writers. §6.1, §6.5 */
  readonly kind: 'file' | 'nbd'
}

/** Finds the image behind a ticket's URL; the daemon closes its disk when the ticket goes. */
export type OpenBackend = (
  url: string,
  ticket: { readonly isWritable: boolean; readonly isDirty: boolean },
) => Promise<ImageBackend>

/** Most connections at once that a backend recommends. */
export const MAX_CONNECTIONS = 8
