/** Faults that a storage may show, and plans that say when. @module */
import type { ErrorCode } from '@granary/core'

export type BackendOperation = 'put' | 'get' | 'stat' | 'list' | 'delete' | 'sync'

/** One call to a backend, as a plan sees it. */
export interface BackendCall {
  readonly operation: BackendOperation
  /** The prefix of a `list`, '' of a `sync`. */
  readonly key: string
  readonly ifAbsent: boolean
  /** How many calls this backend had before. */
  readonly number: number
}

export type Fault =
  /** Nothing is done and the call fails; a `list` after so many objects. */
  | { readonly kind: 'failure'; readonly code: ErrorCode; readonly afterObjects?: number }
  /** `put`, `delete`: done, but the call fails (GRANARY_IO, retryable). */
  | { readonly kind: 'lost-answer' }
  /** `put`: fails as above, and is only done when the storage has had so many further calls: the request was still on its way. */
  | { readonly kind: 'late'; readonly calls: number }
  /** `put`: done once more after so many further calls. With 0 the caller hears the second answer. */
  | { readonly kind: 'duplicate'; readonly calls: number }
  /** `put`: a part is left under the key, and the call fails. No storage that keeps the contract does this. */
  | { readonly kind: 'torn'; readonly keepBytes: number }
  /** `get`: one bit is wrong; counted from the first byte, modulo the length. */
  | { readonly kind: 'flipped-bit'; readonly bit: number }
  /** `list`: misses so many of the objects stored last. No storage that keeps the contract does this. */
  | { readonly kind: 'stale'; readonly objects: number }
  /** The call first takes that long. */
  | { readonly kind: 'slow'; readonly ms: number }

/** Says what happens to a call; undefined: it just works. */
export type FaultPlan = (call: BackendCall) => Fault | undefined

/** A plan for the calls that match, counted from 0. */
export const faultAt = (matches: (call: BackendCall) => boolean, nth: number, fault: Fault): FaultPlan => {
  let matched = 0
  return call => (matches(call) && matched++ === nth ? fault : undefined)
}

/** How often each fault happens: in one of so many calls it applies to; absent or 0: never. */
export interface FaultRates {
  readonly failure?: number
  readonly lostAnswer?: number
  readonly late?: number
  readonly duplicate?: number
  readonly flippedBit?: number
  readonly stale?: number
  /** Which listings may be stale. @default none */
  readonly mayBeStale?: (prefix: string) => boolean
  /** What failures say. @default ['GRANARY_IO', 'GRANARY_NO_SPACE'] */
  readonly codes?: readonly ErrorCode[]
  /** Most further calls after which something late happens. @default 20 */
  readonly lateCalls?: number
}

/** A plan that draws its faults from `choose`, integers in [0, below). */
export const randomFaults = (choose: (below: number) => number, rates: FaultRates): FaultPlan => {
  const { codes = ['GRANARY_IO', 'GRANARY_NO_SPACE'], lateCalls = 20, mayBeStale = () => false } = rates
  const strikes = (oneIn: number | undefined): boolean => oneIn !== undefined && oneIn > 0 && choose(oneIn) === 0
  return ({ operation, key }) => {
    if (strikes(rates.failure)) return { kind: 'failure', code: codes[choose(codes.length)] as ErrorCode }
    if ((operation === 'put' || operation === 'delete') && strikes(rates.lostAnswer)) return { kind: 'lost-answer' }
    if (operation === 'put' && strikes(rates.late)) return { kind: 'late', calls: 1 + choose(lateCalls) }
    if (operation === 'put' && strikes(rates.duplicate)) return { kind: 'duplicate', calls: choose(lateCalls + 1) }
    if (operation === 'get' && strikes(rates.flippedBit)) return { kind: 'flipped-bit', bit: choose(2 ** 31) }
    if (operation === 'list' && mayBeStale(key) && strikes(rates.stale))
      return { kind: 'stale', objects: 1 + choose(3) }
    return undefined
  }
}
