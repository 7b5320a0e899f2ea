/** Items that a tree has or lacks in memory only: what a replayed log did to it. @module */
import { overLimit } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'
import { compareKeys } from './keys.ts'
import type { Key } from './keys.ts'

/** A log covers one transaction, half a minute as a rule: this is a hundred times more than a busy one leaves. */
const MAX_CHANGES = 500_000

export interface Change {
  readonly key: Key
  /** Undefined for an item that is gone. */
  readonly data: Fields | undefined
}

/** Sorted twice, objects and the items of each, so that an insertion moves little. */
export class TreeChanges {
  readonly #objects: bigint[] = []
  readonly #changes = new Map<bigint, Change[]>()
  #count = 0

  get size(): number {
    return this.#count
  }

  /** @param data undefined to remove the item @throws GranaryError `GRANARY_LIMIT` */
  set(key: Key, data: Fields | undefined): void {
    const row = this.#rowOf(key.object)
    const index = lastIndex(row.length, at => compareKeys((row[at] as Change).key, key) <= 0)
    if (index >= 0 && compareKeys((row[index] as Change).key, key) === 0) {
      row[index] = { key, data }
      return
    }
    if (++this.#count > MAX_CHANGES) throw overLimit('log tree', `${MAX_CHANGES} changes`, this.#count)
    row.splice(index + 1, 0, { key, data })
  }

  #rowOf(object: bigint): Change[] {
    const found = this.#changes.get(object)
    if (found !== undefined) return found
    const row: Change[] = []
    this.#changes.set(object, row)
    this.#objects.splice(this.#lastObject(object) + 1, 0, object)
    return row
  }

  #lastObject(object: bigint): number {
    return lastIndex(this.#objects.length, at => (this.#objects[at] as bigint) <= object)
  }

  /** Whether an item was replaced or removed. */
  has(key: Key): boolean {
    const row = this.#changes.get(key.object) ?? []
    const last = row[lastIndex(row.length, at => compareKeys((row[at] as Change).key, key) <= 0)]
    return last !== undefined && compareKeys(last.key, key) === 0
  }

  /** From the first that is at least `key` on. */
  *from(key: Key): Generator<Change, void, undefined> {
    for (let at = Math.max(this.#lastObject(key.object), 0); at < this.#objects.length; at++) {
      const row = this.#changes.get(this.#objects[at] as bigint) ?? []
      let index = lastIndex(row.length, place => compareKeys((row[place] as Change).key, key) < 0) + 1
      for (; index < row.length; index++) yield row[index] as Change
    }
  }

  /** The last item at most `key` that is not gone. */
  atMost(key: Key): Change | undefined {
    for (let at = this.#lastObject(key.object); at >= 0; at--) {
      const row = this.#changes.get(this.#objects[at] as bigint) ?? []
      const end = lastIndex(row.length, place => compareKeys((row[place] as Change).key, key) <= 0)
      const index = row.findLastIndex(({ data }, place) => place <= end && data !== undefined)
      if (index >= 0) return row[index]
    }
    return undefined
  }
}
