/** The open pack of one worker: seals blobs into one of two buffers while the other one is written out. @module */
import type { Bytes } from '@granary/core'
import { PackBuilder } from '../packs/pack-builder.ts'
import type { BlobInput, PackSeal } from '../packs/pack-builder.ts'
import type { PackPiece } from './window-job.ts'

/** Which pack numbers of a session are this output's: `first`, `first + step`, and so on. */
export interface PackNumbers {
  readonly first: number
  readonly step: number
}

export class PackOutput {
  readonly #seal: PackSeal
  readonly #step: number
  #next: number
  readonly #emit: (piece: PackPiece) => Promise<void>
  #buffer: Bytes
  #other: Bytes
  #filled = 0
  #pack: PackBuilder | undefined
  #writing: Promise<void> = Promise.resolve()
  #waitedMs = 0

  /** @param buffers two of equal size, larger than any blob */
  constructor(
    { seal, numbers }: { readonly seal: PackSeal; readonly numbers: PackNumbers },
    buffers: readonly [Bytes, Bytes],
    emit: (piece: PackPiece) => Promise<void>,
  ) {
    this.#seal = seal
    this.#next = numbers.first
    this.#step = numbers.step
    this.#emit = emit
    this.#buffer = buffers[0]
    this.#other = buffers[1]
  }

  /** Adds a blob and gives back what it takes in the pack, bytes. The pack ends when it is full. */
  async add(blob: BlobInput): Promise<number> {
    if (this.#pack === undefined) {
      this.#pack = new PackBuilder(this.#seal, this.#next)
      await this.#append(this.#pack.prelude)
    }
    const length = this.#pack.sealedLength(blob)
    if (this.#filled + length > this.#buffer.length) await this.#flush()
    this.#pack.add(blob, this.#buffer.subarray(this.#filled))
    this.#filled += length
    if (this.#pack.isFull) await this.finish()
    return length
  }

  /** Time spent waiting for the storage. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  /** Ends the open pack, if there is one. */
  async finish(): Promise<void> {
    const pack = this.#pack
    if (pack !== undefined) {
      this.#pack = undefined
      const ids = pack.ids()
      await this.#append(pack.finish())
      await this.#flush({ uid: pack.uid, ids })
      this.#next += this.#step
    }
    await this.#writing
  }

  async #append(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === this.#buffer.length) await this.#flush()
      const part = bytes.subarray(at, at + this.#buffer.length - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  /** Hands the filled buffer on once the one before it is written, and goes on in that one. */
  async #flush(end?: NonNullable<PackPiece['end']>): Promise<void> {
    const startMs = performance.now()
    await this.#writing
    this.#waitedMs += performance.now() - startMs
    const bytes = this.#buffer.subarray(0, this.#filled)
    const number = this.#next
    this.#writing = this.#emit(end === undefined ? { number, bytes } : { number, bytes, end })
    this.#writing.catch(() => undefined) // Reported by the next flush.
    const free = this.#other
    this.#other = this.#buffer
    this.#buffer = free
    this.#filled = 0
  }
}
