/** What putting files into a machine's CD drive works with. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { RestoreContext } from '../restore/context.ts'

/** An ISO image whose size is known before its first byte. */
export interface FilesImage {
  readonly sizeBytes: number
  /** Called once. */
  write(options?: AbortOptions): AsyncIterable<Bytes>
}

export interface FilesStep {
  readonly type: 'step'
  readonly step: 'disk' | 'upload' | 'copy' | 'attach' | 'eject' | 'remove'
  /** Whom it is about: a name. */
  readonly what: string
}

export interface FilesProgress {
  readonly type: 'disk-progress'
  readonly disk: string
  readonly doneBytes: number
  readonly totalBytes: number
}

/** All of it is the caller's to close. */
export interface FilesContext extends Pick<RestoreContext, 'engine' | 'journal' | 'openUpload' | 'settings'> {
  readonly onEvent?: (event: FilesStep | FilesProgress) => void
  /** Where this host mounts storage domains. @default '/rhev/data-center' */
  readonly mountRoot?: string
}
