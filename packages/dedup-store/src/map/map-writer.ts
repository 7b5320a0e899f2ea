/** Builds the inner nodes of a disk map from its leaves, which come in any order; equal nodes are stored once. @module */
import type { Bytes } from '@granary/core'
import { FAN_OUT, encodeInner, heightOf, windowsOf } from './map-nodes.ts'
import type { NodeReference } from './map-nodes.ts'

/** Stores a node and gives back its id. */
export type StoreNode = (plain: Bytes) => Promise<Bytes>

/**
 * Memory: a reference a window, about 40 bytes, so 80 MiB for a disk of 64 TiB.
 */
export class MapWriter {
  readonly #sizeBytes: number
  readonly #leaves: (NodeReference | undefined)[]

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
    this.#leaves = Array.from({ length: windowsOf(sizeBytes) })
  }

  setLeaf(window: number, leaf: NodeReference): void {
    this.#leaves[window] = leaf
  }

  /** The leaf set for a window, if any. */
  leafOf(window: number): NodeReference | undefined {
    return this.#leaves[window]
  }

  /** Stores the inner nodes, bottom up, and gives back the root. A window without a leaf is a hole. */
  async finish(store: StoreNode): Promise<{ height: number; root: NodeReference }> {
    const height = heightOf(this.#sizeBytes)
    let level: NodeReference[] = Array.from(this.#leaves, leaf => leaf ?? HOLE)
    for (let h = 1; h <= height; h++) {
      const parents: NodeReference[] = []
      for (let at = 0; at < level.length; at += FAN_OUT) {
        parents.push(await this.#parentOf(h, level.slice(at, at + FAN_OUT), store))
      }
      level = parents
    }
    return { height, root: level[0] ?? HOLE }
  }

  async #parentOf(height: number, children: NodeReference[], store: StoreNode): Promise<NodeReference> {
    const [first] = children
    const isUniform = first !== undefined && first.kind !== 'node' && children.every(child => child.kind === first.kind)
    return isUniform ? first : { kind: 'node', id: await store(encodeInner(height, children)) }
  }
}

const HOLE: NodeReference = { kind: 'hole' }
