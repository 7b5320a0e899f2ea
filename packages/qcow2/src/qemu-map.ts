/** Extents in the words of `qemu-img map --output=json`. @module */
import type { Extent } from '@granary/core'

/** One line of `qemu-img map --output=json`; `compressed` as of QEMU 8.2. */
export interface QemuMapEntry {
  readonly start: number
  readonly length: number
  readonly depth: number
  readonly present: boolean
  readonly zero: boolean
  readonly data: boolean
  readonly compressed?: boolean
  readonly offset?: number
}

export interface QemuMapOptions {
  /** Say which clusters are compressed, as QEMU 8.2 and later do. @default false */
  readonly compressed?: boolean
}

/** Turns extents into what `qemu-img map` prints of the same disk. */
export async function* mapLikeQemuImg(
  extents: AsyncIterable<Extent>,
  { compressed = false }: QemuMapOptions = {},
): AsyncGenerator<QemuMapEntry, void, undefined> {
  let last: QemuMapEntry | undefined
  for await (const extent of extents) {
    const entry = entryOf(extent, compressed)
    if (last !== undefined && isContinued(last, entry)) last = { ...last, length: last.length + entry.length }
    else {
      if (last !== undefined) yield last
      last = entry
    }
  }
  // QEMU prints one entry of no length for a disk of no length.
  yield last ?? { start: 0, length: 0, depth: 0, present: false, zero: false, data: false }
}

const entryOf = (extent: Extent, withCompressed: boolean): QemuMapEntry => ({
  start: extent.offset,
  length: extent.length,
  depth: extent.depth ?? 0,
  present: extent.present ?? extent.kind !== 'hole',
  zero: extent.kind !== 'data',
  data: extent.kind === 'data',
  ...(withCompressed ? { compressed: extent.compressed ?? false } : {}),
  ...(extent.fileOffset === undefined ? {} : { offset: extent.fileOffset }),
})

const isContinued = (last: QemuMapEntry, next: QemuMapEntry): boolean =>
  last.depth === next.depth &&
  last.present === next.present &&
  last.zero === next.zero &&
  last.data === next.data &&
  last.compressed === next.compressed &&
  (last.offset === undefined ? next.offset === undefined : last.offset + last.length === next.offset)
