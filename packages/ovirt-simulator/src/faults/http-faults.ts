/**
 * Faults between a client and the engine: what is answered instead, what is applied and never answered, what is slow.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import type { SimulatorClock } from '../clock/clock.ts'

/** Where a fault strikes. Left out means any. */
export interface HttpFaultScope {
  readonly method?: string
  /** Path without the host, from `/ovirt-engine/` on; `*` stands for anything. */
  readonly path?: string
  /** Lets that many go by first. @default 0 */
  readonly after?: number
  /** Strikes that many. @default all while it lasts */
  readonly times?: number
  /** Lasts that long from its beginning, ms of the clock. @default for ever */
  readonly forMs?: number
}

export type HttpFaultKind =
  /** The connection breaks before the request is looked at. */
  | { readonly kind: 'drop' }
  /** The request is applied, and its answer lost. */
  | { readonly kind: 'lose-answer' }
  /** Something in front of the engine answers with an HTML page: 401, 502, 503, 404. */
  | { readonly kind: 'status'; readonly status: number }
  /** The engine refuses: a fault with that status. */
  | { readonly kind: 'refuse'; readonly status: number; readonly detail: string }
  /** The answer comes late, ms of the clock; a client that gives up sees its request applied nevertheless. */
  | { readonly kind: 'delay'; readonly ms: number }

export type HttpFault = HttpFaultScope & HttpFaultKind

interface Armed {
  readonly fault: HttpFault
  readonly path: RegExp
  readonly untilMs: number
  seen: number
}

export class HttpFaults {
  readonly #clock: SimulatorClock
  readonly #armed = new Set<Armed>()

  constructor(clock: SimulatorClock) {
    this.#clock = clock
  }

  /**
   * Arms a fault.
   *
   * @returns a function that ends it
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it makes no sense
   */
  add(fault: HttpFault): () => void {
    const { after = 0, times = 1, forMs = 0, path = '*' } = fault
    if (!(after >= 0 && times >= 1 && forMs >= 0))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'a fault needs after >= 0, times >= 1 and forMs >= 0')
    const pattern = path.split('*').map(part => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
    const armed = {
      fault,
      path: new RegExp(`^${pattern.join('.*')}$`),
      untilMs: fault.forMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() + forMs,
      seen: 0,
    }
    this.#armed.add(armed)
    return () => void this.#armed.delete(armed)
  }

  clear(): void {
    this.#armed.clear()
  }

  /** The faults that strike this request, which counts as seen. */
  strike(method: string, path: string): HttpFault[] {
    const struck: HttpFault[] = []
    for (const armed of this.#armed) {
      if (this.#clock.now() >= armed.untilMs) this.#armed.delete(armed)
      else if (armed.path.test(path) && (armed.fault.method ?? method) === method && isDue(armed))
        struck.push(armed.fault)
    }
    return struck
  }
}

const isDue = (armed: Armed): boolean => {
  const { after = 0, times = Number.POSITIVE_INFINITY } = armed.fault
  armed.seen++
  return armed.seen > after && armed.seen <= after + times
}
