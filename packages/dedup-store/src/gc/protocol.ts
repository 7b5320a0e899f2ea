/**
 * The steps of collection that keep it safe beside running writers. They are always all taken; tests switch single ones off
 * and must then see data lost, which proves that the tests can see it.
 *
 * @see docs/formats/repository.md, "Collection"
 * @module
 */

export interface CollectionProtocol {
  /** Waits for sessions that were undecided when the tomb was put. */
  readonly waits: boolean
  /** Fences sessions that outlived their time without a sign, instead of passing them by. */
  readonly fences: boolean
  /** Marks again from what was committed since the first mark. */
  readonly marksTwice: boolean
  /** Counts among those the ones that were forgotten meanwhile: a session may have built on them. */
  readonly marksForgotten: boolean
}

export const FULL_PROTOCOL: CollectionProtocol = { waits: true, fences: true, marksTwice: true, marksForgotten: true }
