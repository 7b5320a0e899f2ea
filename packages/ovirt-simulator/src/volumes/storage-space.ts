/** The space of one storage domain, as its volumes use it up. @module */
import { GranaryError } from '@granary/core'

export interface StorageSpaceOptions {
  /** How the domain is called in errors. */
  readonly name: string
  /** Files grow as they are written; on block storage each volume has a logical volume of a size of its own. */
  readonly kind: 'file' | 'block'
  readonly capacityBytes: number
}

export class StorageSpace {
  readonly name: string
  readonly kind: 'file' | 'block'
  /** Set it lower or higher to let a domain fill up, or to make room again. */
  capacityBytes: number
  #usedBytes = 0

  constructor({ name, kind, capacityBytes }: StorageSpaceOptions) {
    this.name = name
    this.kind = kind
    this.capacityBytes = capacityBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get availableBytes(): number {
    return Math.max(0, this.capacityBytes - this.#usedBytes)
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` when less than that is available; nothing is taken then */
  take(bytes: number): void {
    if (bytes > this.availableBytes) throw this.refuse(bytes, this.availableBytes)
    this.#usedBytes += bytes
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
  }

  /** The error for who wants more than there is. */
  refuse(wantedBytes: number, availableBytes: number): GranaryError {
    return new GranaryError(
      'GRANARY_NO_SPACE',
      `storage domain ${this.name}: ${wantedBytes} bytes wanted, ${availableBytes} available`,
      { detail: { storageDomain: this.name, wantedBytes, availableBytes } },
    )
  }
}
