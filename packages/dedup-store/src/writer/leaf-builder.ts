/** Gathers the pieces of a window into a leaf of the disk map. @module */
import type { Bytes } from '@granary/core'
import { encodeLeaf } from '../map/map-nodes.ts'
import type { Piece } from '../map/map-nodes.ts'
import type { WindowRange } from './window-job.ts'

export class LeafBuilder {
  readonly #holes: readonly { readonly from: number; readonly to: number }[]
  readonly #pieces: Piece[] = []
  #at = 0
  #hole = 0

  /** @param ranges of the window: what of a zero piece was a hole is noted as one */
  constructor(ranges: readonly WindowRange[]) {
    const holes: { from: number; to: number }[] = []
    let at = 0
    for (const { length, kind } of ranges) {
      if (kind === 'hole') holes.push({ from: at, to: at + length })
      at += length
    }
    this.#holes = holes
  }

  addChunk(length: number, id: Bytes): void {
    this.#pieces.push({ kind: 'chunk', length, id })
    this.#at += length
  }

  addZeros(length: number): void {
    const end = this.#at + length
    while (this.#at < end) {
      while (this.#hole < this.#holes.length && (this.#holes[this.#hole] as { to: number }).to <= this.#at) this.#hole++
      const next = this.#holes[this.#hole]
      if (next === undefined || next.from >= end) this.#nothing('zero', end - this.#at)
      else if (next.from > this.#at) this.#nothing('zero', next.from - this.#at)
      else this.#nothing('hole', Math.min(end, next.to) - this.#at)
    }
  }

  #nothing(kind: 'zero' | 'hole', length: number): void {
    const last = this.#pieces.at(-1)
    if (last?.kind === kind) this.#pieces[this.#pieces.length - 1] = { kind, length: last.length + length }
    else this.#pieces.push({ kind, length })
    this.#at += length
  }

  finish(): Bytes | 'zero' | 'hole' {
    const [first] = this.#pieces
    if (this.#pieces.length === 1 && first !== undefined && first.kind !== 'chunk') return first.kind
    return encodeLeaf(this.#pieces)
  }
}
