/** Faults of imageio on demand. @module */

/** A request as faults see it. */
export interface ImageioRequest {
  readonly method: string
  readonly ticketId: string
  readonly resource: 'image' | 'extents' | 'checksum'
  /** First byte of a range, where the request has one. */
  readonly offset: number
}

export type FaultEffect =
  /** Answered with that error, before anything is done. */
  | { readonly kind: 'status'; readonly status: number; readonly message?: string }
  /** The connection is reset after that many bytes of the body, sent or received. What was received stays written. */
  | { readonly kind: 'drop'; readonly afterBytes: number }
  /** The same, but the connection ends in order: only counting bytes tells. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** Allowed at once and answered that much later, on the simulator's clock: as a slow list of extents is. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The ticket expires before the request is looked at. */
  | { readonly kind: 'expire' }
  /** The request is carried out, and its answer lost. */
  | { readonly kind: 'lose-answer' }

export interface ImageioFault {
  /** @default every request */
  readonly when?: (request: ImageioRequest) => boolean
  /** How often. @default 1 */
  readonly times?: number
  /** How many matching requests go well before. @default 0 */
  readonly after?: number
  readonly effect: FaultEffect
}

/** A fault that was armed. */
export interface ArmedFault {
  /** How often it struck. */
  readonly hits: number
  disarm(): void
}

export class FaultPlan {
  readonly #armed = new Set<{ readonly fault: ImageioFault; seen: number; hits: number }>()

  arm(fault: ImageioFault): ArmedFault {
    const armed = { fault, seen: 0, hits: 0 }
    this.#armed.add(armed)
    return {
      get hits() {
        return armed.hits
      },
      disarm: () => void this.#armed.delete(armed),
    }
  }

  /** What strikes this request; counts it. */
  strike(request: ImageioRequest): FaultEffect[] {
    const effects: FaultEffect[] = []
    for (const armed of this.#armed) {
      const { fault } = armed
      if (fault.when?.(request) === false || armed.hits >= (fault.times ?? 1)) continue
      if (armed.seen++ < (fault.after ?? 0)) continue
      armed.hits++
      effects.push(fault.effect)
    }
    return effects
  }
}
