/** Serves the requests of one client that has opened an export. @module */
import type { Bytes, DiskWriter } from '@granary/core'
import { ByteBudget } from '../byte-budget.ts'
import { decodeStatusFilter } from '../protocol/block-status.ts'
import { COMMAND, COMMAND_FLAG, ERRNO } from '../protocol/constants.ts'
import { errnoOf } from '../protocol/error-payload.ts'
import { protocolError } from '../protocol/fields.ts'
import { decodeRequest, requestBytes } from '../protocol/requests.ts'
import type { Request } from '../protocol/requests.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { MetaContext } from './exports.ts'
import type { Session } from './handshake.ts'
import type { ServerLimits } from './limits.ts'
import { ReplySender } from './reply-sender.ts'
import { refusalOf } from './request-check.ts'
import type { Refusal } from './request-check.ts'
import { answerStatus } from './status.ts'

/** Payload of a refused request that is still worth reading, bytes: beyond, the client is cut off. */
const MAX_DROPPED_BYTES = 64 * 1024 * 1024
/** Longest list of contexts in a BLOCK_STATUS, bytes. */
const MAX_FILTER_BYTES = 4096
/** Adjacent reads are served together up to here. */
const MAX_BATCH_REQUESTS = 16
const MAX_BATCH_BYTES = 1024 * 1024

/** What all connections of a server share. */
export interface SharedResources {
  readonly limits: ServerLimits
  readonly buffers: BufferPool
  readonly budget: ByteBudget
}

export class Transmission {
  readonly #session: Session
  readonly #shared: SharedResources
  readonly #replies: ReplySender
  readonly #budget: ByteBudget
  readonly #minCharge: number
  /** For work that only serves to answer this client. */
  readonly #unwanted = new AbortController()
  /** For all work. */
  readonly #abort = new AbortController()
  readonly #atWork = new Set<Promise<void>>()
  #isClosing = false
  /** A payload that is being received: since when, and how long. */
  #incoming: { readonly sinceMs: number; readonly bytes: number } | undefined

  constructor(session: Session, shared: SharedResources) {
    const { maxBytesPerConnection, maxRequestsPerConnection } = shared.limits
    this.#session = session
    this.#shared = shared
    this.#replies = new ReplySender(session.wire, session.style)
    this.#budget = new ByteBudget(maxBytesPerConnection)
    this.#minCharge = Math.ceil(maxBytesPerConnection / maxRequestsPerConnection)
  }

  /** Serves until the client leaves. What is at work is finished before this resolves. */
  async run(): Promise<void> {
    const { wire } = this.#session
    const watchdog = setInterval(() => this.#checkProgress(), Math.max(10, this.#shared.limits.stallTimeoutMs / 4))
    watchdog.unref()
    try {
      while (await this.#serveNext());
    } finally {
      // Nobody waits for what was read for a client that is gone; what it wrote is still carried out.
      if (wire.isDestroyed) this.#unwanted.abort()
      await Promise.all(this.#atWork)
      clearInterval(watchdog)
    }
  }

  /** Refuses what comes from now on, and lets `run` end after what is at work. */
  close(): void {
    this.#isClosing = true
    this.#session.wire.reader.end()
  }

  /** Ends what is at work, changes too: none of them was acknowledged. */
  abort(): void {
    this.#unwanted.abort()
    this.#abort.abort()
  }

  /** Reads one request and starts to serve it. False when there are no more. */
  async #serveNext(): Promise<boolean> {
    const { wire, style } = this.#session
    const isExtended = style === 'extended'
    const head = await wire.reader.readOrEnd(requestBytes(isExtended))
    // What a client asked before it was cut off, nobody waits for.
    if (head === undefined || wire.isDestroyed) return false
    const request = decodeRequest(head, isExtended)
    if (request.command === COMMAND.disconnect) return false
    const hasPayload =
      request.command === COMMAND.write || (isExtended && (request.flags & COMMAND_FLAG.payloadLength) !== 0)
    const batch = request.command === COMMAND.read && !hasPayload ? this.#takeAdjacent(request) : [request]
    const charge = batch.reduce((sum, each) => sum + Math.max(this.#minCharge, this.#chargeOf(each)), 0)
    await this.#budget.acquire(charge)
    if (!this.#shared.budget.tryAcquire(charge)) await this.#shared.budget.acquire(charge)
    const release = (): void => {
      this.#budget.release(charge)
      this.#shared.budget.release(charge)
    }
    try {
      const work = hasPayload
        ? await this.#receive(request)
        : async () => (batch.length > 1 ? this.#readTogether(batch) : this.#dispatch(request))
      const job = this.#attempt(request, work).finally(() => {
        this.#atWork.delete(job)
        release()
      })
      this.#atWork.add(job)
    } catch (error) {
      release()
      throw error
    }
    return true
  }

  /**
   * A read, and those that wait behind it and go on where it ends: clients that copy ask in small pieces,
   * and one read of the disk serves several of them.
   */
  #takeAdjacent(first: Request): readonly Request[] {
    const batch = [first]
    const isExtended = this.#session.style === 'extended'
    let { length } = first
    if (this.#refusalOf(first, length) !== undefined) return batch
    while (batch.length < MAX_BATCH_REQUESTS) {
      const head = this.#session.wire.reader.peek(requestBytes(isExtended))
      if (head === undefined) break
      const next = decodeRequest(head, isExtended)
      const isAdjacent = next.command === COMMAND.read && next.offset === first.offset + length
      if (!isAdjacent || length + next.length > MAX_BATCH_BYTES || this.#refusalOf(next, next.length) !== undefined)
        break
      this.#session.wire.reader.drop(head.length)
      batch.push(next)
      length += next.length
    }
    return batch
  }

  #chargeOf({ command, length }: Request): number {
    const isData = command === COMMAND.read || command === COMMAND.write
    return isData ? Math.min(length, this.#shared.limits.maxRequestBytes) : 0
  }

  /** Reads the payload of a request and gives the work that remains. */
  async #receive(request: Request): Promise<() => Promise<void>> {
    const { command, length } = request
    if (length > MAX_DROPPED_BYTES) throw protocolError(`a payload of ${length} bytes`, { command, length })
    this.#incoming = { sinceMs: performance.now(), bytes: length }
    const work = await (command === COMMAND.write ? this.#receiveWrite(request) : this.#receiveFilter(request))
    this.#incoming = undefined
    return work
  }

  async #receiveWrite(request: Request): Promise<() => Promise<void>> {
    const { reader } = this.#session.wire
    const refusal = this.#refusalOf(request, request.length)
    if (refusal !== undefined) {
      await reader.skip(request.length)
      return async () => this.#refuse(request, refusal)
    }
    const payload = this.#shared.buffers.take(request.length)
    // Half a payload is never written: a client that vanishes here leaves the disk as it was.
    await reader.readInto(payload)
    return async () => this.#write(request, payload)
  }

  async #receiveFilter(request: Request): Promise<() => Promise<void>> {
    const { reader } = this.#session.wire
    if (request.command !== COMMAND.blockStatus || request.length > MAX_FILTER_BYTES) {
      await reader.skip(request.length)
      return async () => this.#refuse(request, { errno: ERRNO.EINVAL, message: 'this command takes no such payload' })
    }
    const payload = await reader.read(request.length)
    return async () => this.#answerFiltered(request, payload)
  }

  /** Does the work of a request, and tells the client when it fails. */
  async #attempt(request: Request, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.#replies.failed(request, errnoOf(error), error instanceof Error ? error.message : 'failed')
    }
  }

  async #dispatch(request: Request): Promise<void> {
    const { command, offset, length, flags } = request
    const refusal = this.#refusalOf(request, length)
    if (refusal !== undefined) return await this.#refuse(request, refusal)
    if (command === COMMAND.read) return await this.#read(request)
    if (command === COMMAND.blockStatus) return await this.#answerStatus(request, length, this.#session.contexts)
    const { writer } = this.#session.export
    const signal = this.#abort.signal
    if (command === COMMAND.flush) await writer?.flush({ signal })
    else {
      const punch = command === COMMAND.trim || (flags & COMMAND_FLAG.noHole) === 0
      if (length > 0) await (writer as DiskWriter).zero(offset, length, { punch, signal })
      await this.#makeDurable(request)
    }
    await this.#replies.done(request)
  }

  async #read(request: Request): Promise<void> {
    const buffer = this.#shared.buffers.take(request.length)
    // A disk that fails may still be writing to the buffer: it is then left to the garbage collector.
    await this.#session.export.disk.read(request.offset, buffer, { signal: this.#unwanted.signal })
    await this.#replies.data(request, buffer)
    this.#shared.buffers.giveBack(buffer)
  }

  /** Serves several adjacent reads by one read of the disk. */
  async #readTogether(batch: readonly Request[]): Promise<void> {
    const { offset } = batch[0] as Request
    const buffer = this.#shared.buffers.take(batch.reduce((sum, { length }) => sum + length, 0))
    try {
      await this.#session.export.disk.read(offset, buffer, { signal: this.#unwanted.signal })
    } catch {
      // One bad block must not fail the reads beside it: each is tried alone, and tells its own error.
      await Promise.all(batch.map(async request => this.#attempt(request, async () => this.#read(request))))
      return
    }
    await Promise.all(
      batch.map(async request => {
        const start = request.offset - offset
        await this.#replies.data(request, buffer.subarray(start, start + request.length))
      }),
    )
    this.#shared.buffers.giveBack(buffer)
  }

  async #write(request: Request, payload: Bytes): Promise<void> {
    const { signal } = this.#abort
    if (payload.length > 0) await (this.#session.export.writer as DiskWriter).write(request.offset, payload, { signal })
    await this.#makeDurable(request)
    this.#shared.buffers.giveBack(payload)
    await this.#replies.done(request)
  }

  async #makeDurable({ flags }: Request): Promise<void> {
    if ((flags & COMMAND_FLAG.fua) !== 0) await this.#session.export.writer?.flush({ signal: this.#abort.signal })
  }

  /** A BLOCK_STATUS whose payload says how much it is about, and which contexts it wants. */
  async #answerFiltered(request: Request, filter: Bytes): Promise<void> {
    const { effectLength, contextIds } = decodeStatusFilter(filter)
    const wanted = this.#session.contexts.filter(({ id }) => contextIds.includes(id))
    // An unknown or repeated id makes the list longer than what it selects.
    const isSound = wanted.length === contextIds.length && wanted.length > 0
    const refusal =
      this.#refusalOf(request, effectLength) ??
      (isSound ? undefined : { errno: ERRNO.EINVAL, message: 'the contexts are not those agreed on' })
    if (refusal === undefined) await this.#answerStatus(request, effectLength, wanted)
    else await this.#refuse(request, refusal)
  }

  async #answerStatus(request: Request, length: number, contexts: readonly MetaContext[]): Promise<void> {
    const isOne = (request.flags & COMMAND_FLAG.requestOne) !== 0
    const query = { offset: request.offset, length, isOne, signal: this.#unwanted.signal }
    const statuses = await Promise.all(contexts.map(async context => answerStatus(context, query)))
    await this.#replies.statuses(request, statuses)
  }

  #refusalOf(request: Request, length: number): Refusal | undefined {
    if (this.#isClosing) return { errno: ERRNO.ESHUTDOWN, message: 'the server is shutting down' }
    return refusalOf(request, length, this.#session, this.#shared.limits.maxRequestBytes)
  }

  async #refuse(request: Request, { errno, message }: Refusal): Promise<void> {
    await this.#replies.failed(request, errno, message)
  }

  /** Cuts off a client that holds memory and does not move. */
  #checkProgress(): void {
    const { wire } = this.#session
    const { stallTimeoutMs, minRateBytesPerSecond } = this.#shared.limits
    const now = performance.now()
    const { bytes, lastSentMs } = wire.backlog
    const isStuck = (sinceMs: number, waiting: number): boolean =>
      waiting > 0 && now - sinceMs > stallTimeoutMs + (waiting / minRateBytesPerSecond) * 1000
    if (isStuck(lastSentMs, bytes) || (this.#incoming && isStuck(this.#incoming.sinceMs, this.#incoming.bytes)))
      wire.destroy()
  }
}
