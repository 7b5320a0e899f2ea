/** Where an archive goes. @module */
import type { Bytes } from '@granary/core'

export interface TarSink {
  /** Takes the bytes before it resolves. */
  write(bytes: Bytes): Promise<void>
  /** Bytes written so far. */
  readonly position: number
  /** Takes back what was written from a position on, where that is possible. */
  truncate?(position: number): Promise<void>
}
