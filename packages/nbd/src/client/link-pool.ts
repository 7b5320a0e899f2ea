/** Several connections to one export: spreads requests over them, and replaces those that are lost. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import { GranaryError, isGranaryError } from '@granary/core'
import { AbortHub } from '../abort-hub.ts'
import { ByteBudget } from '../byte-budget.ts'
import { COMMAND, EXPORT_FLAG } from '../protocol/constants.ts'
import { Link, transferBytes } from './link.ts'
import type { Negotiated } from './negotiate.ts'
import type { ClientSettings } from './options.ts'
import type { RequestSpec, StatusById } from './pending-request.ts'

/** What even the smallest request counts for, bytes: bounds the number of requests under way. */
const MIN_CHARGE_BYTES = 65_536
/** Requests that wait are sent together when this part of the bytes in flight is free: each write wakes the server. */
const REFILL_SHARE = 1 / 4
const MAX_DELAY_MS = 5000

export interface LinkPoolOptions {
  readonly settings: ClientSettings
  readonly open: (signal?: AbortSignal) => Promise<Negotiated>
  /** True while acknowledged writes wait for a flush: a lost connection may mean that the server died with them. */
  readonly hasUnflushed: () => boolean
  /** Called when connections were lost while `hasUnflushed`. */
  readonly onLoss: () => void
  /** Called with a fresh connection when none was left, before anybody else may use it. */
  readonly onRevival: (link: Link) => Promise<void>
}

/** An answer, and on which connection it came: ids of meta contexts differ between connections. */
export interface Answer {
  readonly statuses: StatusById
  readonly negotiated: Negotiated
}

export class LinkPool {
  readonly first: Negotiated
  readonly #options: LinkPoolOptions
  readonly #budget: ByteBudget
  readonly #links: Link[] = []
  readonly #hub = new AbortHub()
  readonly #closing = new AbortController()
  #maxLinks: number
  #growth: Promise<void> | undefined
  #revival: Promise<void> | undefined

  constructor(first: Negotiated, options: LinkPoolOptions) {
    this.first = first
    this.#options = options
    const { maxBytesInFlight } = options.settings
    this.#budget = new ByteBudget(maxBytesInFlight, { hub: this.#hub, refillBytes: maxBytesInFlight * REFILL_SHARE })
    this.#maxLinks = (first.flags & EXPORT_FLAG.canMultiConn) === 0 ? 1 : options.settings.connections
    this.#add(first)
  }

  get connections(): number {
    return this.#links.length
  }

  /**
   * Sends a request, again on another connection when the first is lost and that is safe.
   *
   * @throws GranaryError what the server answered, or why no connection can be had; the signal's reason
   */
  async submit(spec: RequestSpec, signal?: AbortSignal): Promise<Answer> {
    const charge = Math.max(MIN_CHARGE_BYTES, transferBytes(spec))
    if (!this.#budget.tryAcquire(charge)) await this.#budget.acquire(charge, signal)
    try {
      for (let attempt = 0; ; attempt++) {
        const link = this.#pick() ?? (await this.#revive(signal))
        if (link === undefined && attempt >= this.#options.settings.reconnectAttempts) throw lostAgain()
        // The connection was opened and lost again before it was our turn.
        if (link === undefined) continue
        try {
          return { statuses: await link.request(spec, signal), negotiated: link.negotiated }
        } catch (error) {
          signal?.throwIfAborted()
          if (error !== link.failure || attempt >= this.#options.settings.reconnectAttempts) throw error
          if (!isRepeatable(spec, link.failure)) throw error
        }
      }
    } finally {
      this.#budget.release(charge)
    }
  }

  /** Ends every connection politely. Later requests are refused. */
  async close(): Promise<void> {
    this.#closing.abort(new GranaryError('GRANARY_INVALID_ARGUMENT', 'NBD: the disk is closed'))
    await Promise.all([...this.#links].map(async link => link.close()))
    await this.#growth
    await this.#revival?.catch(() => undefined)
    for (const link of this.#links) link.fail(this.#closing.signal.reason as GranaryError)
  }

  /** The least busy connection; asks for one more when all are busy. */
  #pick(): Link | undefined {
    this.#closing.signal.throwIfAborted()
    if (this.#revival !== undefined) return undefined
    let best = this.#links[0]
    for (const link of this.#links) if (link.bytesInFlight < (best as Link).bytesInFlight) best = link
    if (best !== undefined && best.bytesInFlight > 0 && this.#links.length < this.#maxLinks)
      this.#growth ??= this.#grow()
    return best
  }

  /** Adds a connection beside those that work. A server that refuses it is not asked again. */
  async #grow(): Promise<void> {
    try {
      const negotiated = await this.#options.open(this.#closing.signal)
      if ((negotiated.flags & EXPORT_FLAG.canMultiConn) === 0) this.#maxLinks = this.#links.length
      if (this.#links.length > 0 && this.#links.length < this.#maxLinks) this.#add(this.#checkSame(negotiated))
      else negotiated.transport.destroy()
    } catch {
      this.#maxLinks = Math.max(1, this.#links.length)
    } finally {
      this.#growth = undefined
    }
  }

  /** Opens a connection when none is left. All who wait share one attempt. */
  async #revive(signal: AbortSignal | undefined): Promise<Link | undefined> {
    this.#revival ??= this.#connectAgain().finally(() => {
      this.#revival = undefined
    })
    await this.#abortable(this.#revival, signal)
    return this.#pick()
  }

  async #connectAgain(): Promise<void> {
    const { reconnectAttempts, reconnectDelayMs } = this.#options.settings
    if (reconnectAttempts === 0) throw lostAgain()
    for (let attempt = 1; ; attempt++) {
      try {
        const link = this.#link(this.#checkSame(await this.#options.open(this.#closing.signal)))
        await this.#options.onRevival(link)
        if (link.failure !== undefined) throw link.failure
        this.#links.push(link)
        return
      } catch (error) {
        this.#closing.signal.throwIfAborted()
        if (attempt >= reconnectAttempts || !isGranaryError(error) || !error.retryable) throw error
        const delayMs = Math.min(MAX_DELAY_MS, reconnectDelayMs * 2 ** (attempt - 1))
        await sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => undefined)
        this.#closing.signal.throwIfAborted()
      }
    }
  }

  async #abortable(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) return await work
    signal.throwIfAborted()
    let ignoreAbort = (): void => undefined
    const aborted = new Promise<never>((_, reject) => {
      ignoreAbort = this.#hub.listen(signal, () => reject(signal.reason as Error))
    })
    try {
      await Promise.race([work, aborted])
    } finally {
      ignoreAbort()
    }
  }

  #add(negotiated: Negotiated): void {
    this.#links.push(this.#link(negotiated))
  }

  #link(negotiated: Negotiated): Link {
    const link = new Link(negotiated, {
      hub: this.#hub,
      timeoutMs: this.#options.settings.timeoutMs,
      onFailure: () => {
        const at = this.#links.indexOf(link)
        if (at < 0) return
        this.#links.splice(at, 1)
        const others = [...this.#links]
        // Acknowledgements that came just before the loss are noted by then, and no new one can be.
        if (!this.#closing.signal.aborted) setImmediate(() => this.#assessLoss(link, others))
      },
    })
    return link
  }

  /**
   * A lost connection may be the first sign that the server died, and those beside it may lead to another one, or to nothing.
   * With unflushed writes all of them are given up, so that what comes next begins with a replay, or with an error.
   */
  #assessLoss(link: Link, others: readonly Link[]): void {
    if (!this.#options.hasUnflushed()) return
    this.#options.onLoss()
    for (const other of others) other.fail(link.failure as GranaryError)
  }

  /** @throws GranaryError `GRANARY_SIZE` when the export is not the one of the first connection any more */
  #checkSame(negotiated: Negotiated): Negotiated {
    const { sizeBytes, flags, transport } = negotiated
    if (sizeBytes === this.first.sizeBytes && flags === this.first.flags && sameContexts(negotiated, this.first))
      return negotiated
    transport.destroy()
    throw new GranaryError('GRANARY_SIZE', 'NBD: after connecting again the export has another size or other flags', {
      detail: { expectedBytes: this.first.sizeBytes, foundBytes: sizeBytes, expectedFlags: this.first.flags, flags },
    })
  }
}

const sameContexts = (one: Negotiated, two: Negotiated): boolean =>
  one.style === two.style &&
  [...one.contexts.values()].toSorted().join() === [...two.contexts.values()].toSorted().join()

/**
 * Reads may be sent again at any time. A write may when the connection is gone, but not after a time limit:
 * there the server may still be at work on the first one, and would finish it after later writes.
 */
const isRepeatable = ({ command }: RequestSpec, failure: GranaryError | undefined): boolean => {
  if (failure?.retryable !== true) return false
  return command === COMMAND.read || command === COMMAND.blockStatus || failure.code === 'GRANARY_IO'
}

const lostAgain = (): GranaryError =>
  new GranaryError('GRANARY_IO', 'NBD: the connection was lost', { retryable: true })
