/**
 * What was written and acknowledged since the last flush. A server that dies may lose it, and then it must be sent again
 * before anything else, in the same order.
 *
 * @see doc/proto.md, NBD_CMD_FLUSH
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Link } from './link.ts'
import { transferBytes } from './link.ts'
import type { RequestSpec } from './pending-request.ts'

/** What an entry counts for besides its bytes. */
const ENTRY_BYTES = 128

export class WriteJournal {
  readonly #capacityBytes: number
  #entries: { readonly spec: RequestSpec; readonly number: number }[] = []
  #bytes = 0
  #lastNumber = 0
  #flushedNumber = 0
  #loss: GranaryError | undefined

  /** @param capacityBytes 0 keeps no copies: a loss is then told by the next flush */
  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  /** Number of the last acknowledged write. */
  get lastNumber(): number {
    return this.#lastNumber
  }

  get hasUnflushed(): boolean {
    return this.#lastNumber > this.#flushedNumber
  }

  /** True when a flush must be made before more is kept. */
  get isFull(): boolean {
    return this.#capacityBytes > 0 && this.#bytes >= this.#capacityBytes
  }

  /** Notes an acknowledged write. Its bytes are copied: they are the caller's again right after. */
  add(spec: RequestSpec): void {
    this.#lastNumber++
    if (this.#capacityBytes === 0) return
    const copy = spec.payload === undefined ? spec : { ...spec, payload: spec.payload.slice() }
    this.#entries.push({ spec: copy, number: this.#lastNumber })
    this.#bytes += entryBytes(spec)
  }

  /** Everything up to `number` is durable. */
  flushed(number: number): void {
    this.#flushedNumber = Math.max(this.#flushedNumber, number)
    const kept = this.#entries.findIndex(entry => entry.number > number)
    for (const { spec } of this.#entries.splice(0, kept < 0 ? this.#entries.length : kept))
      this.#bytes -= entryBytes(spec)
  }

  /** A connection was lost. Without copies, what was not flushed counts as lost from now on. */
  connectionsLost(): void {
    const writes = this.#lastNumber - this.#flushedNumber
    if (this.#capacityBytes > 0) return
    this.#loss ??= new GranaryError(
      'GRANARY_IO',
      `NBD: a connection was lost after ${writes} writes that were not flushed; the server may have lost them`,
      {
        detail: { writes },
        hint: 'Write the disk again from the start, or allow copies of unflushed writes with replayBytes.',
      },
    )
  }

  /** @throws GranaryError `GRANARY_IO` when acknowledged writes may have been lost */
  expectNoLoss(): void {
    if (this.#loss !== undefined) throw this.#loss
  }

  /** Sends every copy again, in order. */
  async replay(link: Link): Promise<void> {
    for (const { spec } of this.#entries) await link.request(spec)
  }
}

const entryBytes = (spec: RequestSpec): number => ENTRY_BYTES + transferBytes(spec)
