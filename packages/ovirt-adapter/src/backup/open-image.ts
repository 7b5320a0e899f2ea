/** What a backup needs of an image transfer: a disk to read. @module */
import type { AbortOptions, DiskReader } from '@granary/core'

export interface OpenImageOptions extends AbortOptions {
  /** At the host; undefined when the engine names none. */
  readonly transferUrl: string | undefined
  /** Through the engine, where the host can't be reached. */
  readonly proxyUrl: string | undefined
  /** Certificates, PEM, of the hosts' authority. */
  readonly ca: string
  /** Tell what changed since the checkpoint. @throws `GRANARY_UNSUPPORTED` where the ticket can't */
  readonly isDirty: boolean
  /** The same for the proxy, which may have the engine's own certificate. */
  readonly proxyCa: string
  /** At most; fewer where the host allows no more. */
  readonly connections: number
  /** How long a read may stand still. */
  readonly stallTimeoutMs: number
  /** A request is sent when there was none for so long, so that the ticket lives. */
  readonly keepAliveMs: number
}

/** Opens the image of a transfer that is `transferring`. */
export type OpenImage = (options: OpenImageOptions) => Promise<DiskReader>
