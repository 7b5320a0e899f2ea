/** Finds leaves in a disk map: one window by its number, or all, skipping what is nothing. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { FAN_OUT, WINDOW_BYTES, decodeInner, decodeLeaf, heightOf, windowLength, windowsOf } from './map-nodes.ts'
import type { NodeReference, Piece } from './map-nodes.ts'

/** Gives the plain bytes of a node. @throws GranaryError when it is missing or damaged */
export type LoadNode = (id: Bytes, options?: AbortOptions) => Promise<Bytes>

export interface MapRoot {
  readonly sizeBytes: number
  readonly height: number
  readonly root: NodeReference
}

/** Inner nodes kept decoded, most recently used last: 256 children each, so 4 TiB of disk a hundred nodes. */
const CACHED_NODES = 512

export class MapReader {
  readonly map: MapRoot
  readonly #load: LoadNode
  readonly #nodes = new Map<string, readonly NodeReference[]>()

  /** @throws GranaryError `GRANARY_CORRUPT` when the height doesn't fit the size */
  constructor(map: MapRoot, load: LoadNode) {
    if (map.height !== heightOf(map.sizeBytes)) {
      throw new GranaryError('GRANARY_CORRUPT', `a map of height ${map.height} for a disk of ${map.sizeBytes} bytes`, {
        detail: { height: map.height, sizeBytes: map.sizeBytes },
      })
    }
    this.map = map
    this.#load = load
  }

  /** The leaf of a window: a node, or nothing. */
  async leafReference(window: number, options: AbortOptions = {}): Promise<NodeReference> {
    let node = this.map.root
    for (let height = this.map.height; height > 0 && node.kind === 'node'; height--) {
      const children: readonly NodeReference[] = await this.#children(
        node.id,
        height,
        this.#nodeIndex(window, height),
        options,
      )
      node = children[Math.floor(window / FAN_OUT ** (height - 1)) % FAN_OUT] as NodeReference
    }
    return node
  }

  /** The pieces of a window. */
  async pieces(window: number, options: AbortOptions = {}): Promise<Piece[]> {
    const length = windowLength(this.map.sizeBytes, window)
    const leaf = await this.leafReference(window, options)
    return leaf.kind === 'node' ? decodeLeaf(await this.#load(leaf.id, options), length) : [{ kind: leaf.kind, length }]
  }

  /** Every leaf that is something, in order of the disk, with its window; `skip` says which subtrees not to enter. */
  async *leaves({
    skip,
    signal,
  }: AbortOptions & { readonly skip?: (id: Bytes, window: number) => boolean | Promise<boolean> } = {}): AsyncGenerator<
    { window: number; id: Bytes },
    void,
    undefined
  > {
    yield* this.#walk(this.map.root, this.map.height, 0, skip, signal)
  }

  async *#walk(
    node: NodeReference,
    height: number,
    index: number,
    skip: ((id: Bytes, window: number) => boolean | Promise<boolean>) | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ window: number; id: Bytes }, void, undefined> {
    signal?.throwIfAborted()
    if (node.kind !== 'node') return
    const window = index * FAN_OUT ** height
    if (skip !== undefined && (await skip(node.id, window))) return
    if (height === 0) {
      yield { window, id: node.id }
      return
    }
    const children = await this.#children(node.id, height, index, { signal })
    for (const [i, child] of children.entries()) yield* this.#walk(child, height - 1, index * FAN_OUT + i, skip, signal)
  }

  /** Which node of its level covers a window. */
  #nodeIndex(window: number, height: number): number {
    return Math.floor(window / FAN_OUT ** height)
  }

  async #children(id: Bytes, height: number, index: number, options: AbortOptions): Promise<readonly NodeReference[]> {
    const name = `${height}:${Buffer.from(id).toString('latin1')}`
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const nodesBelow = Math.ceil(windowsOf(this.map.sizeBytes) / FAN_OUT ** (height - 1))
    const count = Math.min(FAN_OUT, nodesBelow - index * FAN_OUT)
    const children = decodeInner(await this.#load(id, options), height, count)
    this.#nodes.set(name, children)
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size <= CACHED_NODES) break
      this.#nodes.delete(oldest)
    }
    return children
  }
}

/** Offset of a window, bytes. */
export const windowOffset = (window: number): number => window * WINDOW_BYTES
