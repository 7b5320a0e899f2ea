/**
 * The nodes of a disk map. Leaves are the absolute 32 MiB windows of a disk; inner nodes have up to 256 children.
 *
 * @see docs/formats/repository.md, "Disk maps"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { ID_BYTES } from '../format/ids.ts'

/** Bytes of a disk that one leaf maps. */
export const WINDOW_BYTES = 32 * 1024 * 1024

/** Children of an inner node. */
export const FAN_OUT = 256

/** What a piece of a window is. `hole` reads as zeros, too: it says that the source had nothing there. */
export type PieceKind = 'hole' | 'zero' | 'chunk'

export interface Piece {
  readonly kind: PieceKind
  readonly length: number
  /** 32 bytes; only for chunks. */
  readonly id?: Bytes
}

/** A child of an inner node, or the root of a map: a node, or a whole subtree of nothing. */
export type NodeReference = { readonly kind: 'hole' | 'zero' } | { readonly kind: 'node'; readonly id: Bytes }

const KINDS: readonly PieceKind[] = ['hole', 'zero', 'chunk']
const CHILD_KINDS = ['hole', 'zero', 'node'] as const
const HEAD_BYTES = 8
const CHILD_BYTES = 1 + ID_BYTES

/** Longest piece: a window. The kind is in the upper four bits of the word. */
const LENGTH_BITS = 28

const LEAF = 1
const INNER = 2

/** Leaf: u8 1, u8 0, u16 0, u32 count; then per piece a u32 `kind << 28 | length`, and for chunks the id. */
export const encodeLeaf = (pieces: readonly Piece[]): Bytes => {
  const chunks = pieces.reduce((count, piece) => count + (piece.kind === 'chunk' ? 1 : 0), 0)
  const bytes = new Uint8Array(HEAD_BYTES + pieces.length * 4 + chunks * ID_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, LEAF)
  view.setUint32(4, pieces.length, true)
  let at = HEAD_BYTES
  for (const piece of pieces) {
    view.setUint32(at, KINDS.indexOf(piece.kind) * 2 ** LENGTH_BITS + piece.length, true)
    at += 4
    if (piece.kind !== 'chunk') continue
    bytes.set(piece.id as Bytes, at)
    at += ID_BYTES
  }
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when it isn't a leaf that covers `windowBytes` */
export const decodeLeaf = (bytes: Bytes, windowBytes: number): Piece[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < HEAD_BYTES || view.getUint8(0) !== LEAF) throw damaged('expected a leaf of a disk map')
  const count = view.getUint32(4, true)
  if (count * 4 > bytes.length) throw damaged(`a leaf claims ${count} pieces in ${bytes.length} bytes`)
  const pieces: Piece[] = []
  let at = HEAD_BYTES
  let covered = 0
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) throw damaged('a leaf ends amid a piece')
    const word = view.getUint32(at, true)
    const kind = KINDS[word >>> LENGTH_BITS]
    const length = word % 2 ** LENGTH_BITS
    at += 4
    if (kind === undefined || length === 0) throw damaged('a leaf has a piece of unknown kind or no length')
    if (kind === 'chunk') {
      if (at + ID_BYTES > bytes.length) throw damaged('a leaf ends amid an id')
      pieces.push({ kind, length, id: bytes.slice(at, at + ID_BYTES) })
      at += ID_BYTES
    } else pieces.push({ kind, length })
    covered += length
  }
  if (covered !== windowBytes || at !== bytes.length) throw damaged(`a leaf covers ${covered} of ${windowBytes} bytes`)
  return pieces
}

/** Inner node: u8 2, u8 height, u16 0, u32 count; then per child a u8 kind and 32 bytes of id, zero where there is none. */
export const encodeInner = (height: number, children: readonly NodeReference[]): Bytes => {
  const bytes = new Uint8Array(HEAD_BYTES + children.length * CHILD_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, INNER)
  view.setUint8(1, height)
  view.setUint32(4, children.length, true)
  for (const [i, child] of children.entries()) {
    const at = HEAD_BYTES + i * CHILD_BYTES
    bytes[at] = CHILD_KINDS.indexOf(child.kind)
    if (child.kind === 'node') bytes.set(child.id, at + 1)
  }
  return bytes
}

/** @throws GranaryError `GRANARY_CORRUPT` when it isn't an inner node of this height with this many children */
export const decodeInner = (bytes: Bytes, height: number, children: number): NodeReference[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const isExpected =
    bytes.length === HEAD_BYTES + children * CHILD_BYTES &&
    view.getUint8(0) === INNER &&
    view.getUint8(1) === height &&
    view.getUint32(4, true) === children
  if (!isExpected) throw damaged(`expected an inner node of height ${height} with ${children} children`)
  return Array.from({ length: children }, (_, i) => {
    const at = HEAD_BYTES + i * CHILD_BYTES
    const kind = CHILD_KINDS[bytes[at] as number]
    if (kind === undefined) throw damaged(`child ${i} of an inner node is of unknown kind`)
    return kind === 'node' ? { kind, id: bytes.slice(at + 1, at + CHILD_BYTES) } : { kind }
  })
}

/** Windows of a disk. */
export const windowsOf = (sizeBytes: number): number => Math.ceil(sizeBytes / WINDOW_BYTES)

/** Levels of inner nodes above the leaves of a disk: 0 when one leaf, or none, is all. */
export const heightOf = (sizeBytes: number): number => {
  let height = 0
  for (let nodes = windowsOf(sizeBytes); nodes > 1; nodes = Math.ceil(nodes / FAN_OUT)) height++
  return height
}

/** Bytes that window `index` covers: all but the last are whole. */
export const windowLength = (sizeBytes: number, index: number): number =>
  Math.min(WINDOW_BYTES, sizeBytes - index * WINDOW_BYTES)

const damaged = (message: string): GranaryError => new GranaryError('GRANARY_CORRUPT', message)
