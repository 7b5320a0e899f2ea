/** The space one volume has of its storage domain: a file that grows, or a logical volume. @module */
import type { StorageSpace } from './storage-space.ts'

/** vdsm makes the volume of a running VM larger in steps of this, bytes. */
const EXTEND_BYTES = 1024 ** 3

export interface AllocationOptions {
  /** On block storage the size of the logical volume, on file storage ignored. */
  readonly initialBytes: number
  /** Preallocated: all of it is taken now, and never given back before the volume is removed. */
  readonly thickBytes?: number | undefined
}

export class Allocation {
  readonly #space: StorageSpace
  readonly #isFixed: boolean
  #bytes = 0

  /** @throws GranaryError `GRANARY_NO_SPACE` when the domain has no room for the initial size */
  constructor(space: StorageSpace, { initialBytes, thickBytes }: AllocationOptions) {
    this.#space = space
    this.#isFixed = thickBytes !== undefined
    this.#take(thickBytes ?? (space.kind === 'block' ? initialBytes : 0))
  }

  /** What the volume takes of its domain now. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Sees to it that the volume may hold that many bytes.
   *
   * @param mayExtend whether somebody extends a logical volume: vdsm does for a running VM, nobody does for an upload (§3.3)
   * @throws GranaryError `GRANARY_NO_SPACE`
   */
  claim(totalBytes: number, mayExtend: boolean): void {
    if (totalBytes <= this.#bytes || this.#isFixed) return
    if (this.#space.kind === 'file') return this.#take(totalBytes - this.#bytes)
    if (!mayExtend) throw this.#space.refuse(totalBytes, this.#bytes)
    const steps = Math.ceil((totalBytes - this.#bytes) / EXTEND_BYTES)
    this.#take(Math.min(steps * EXTEND_BYTES, Math.max(totalBytes - this.#bytes, this.#space.availableBytes)))
  }

  /** Gives back what is not used any more; logical volumes stay as large as they are. */
  shrink(totalBytes: number): void {
    if (this.#isFixed || this.#space.kind === 'block' || totalBytes >= this.#bytes) return
    this.#space.give(this.#bytes - totalBytes)
    this.#bytes = totalBytes
  }

  /** Makes a preallocated volume larger. @throws GranaryError `GRANARY_NO_SPACE` */
  grow(bytes: number): void {
    this.#take(bytes)
  }

  release(): void {
    this.#space.give(this.#bytes)
    this.#bytes = 0
  }

  #take(bytes: number): void {
    this.#space.take(bytes)
    this.#bytes += bytes
  }
}
