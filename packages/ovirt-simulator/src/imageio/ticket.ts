/** A ticket: leave to read or write one image, for a time. CONTRACT §6.9 @module */
import type { Range } from '@granary/core'
import type { ImageBackend } from './backend.ts'
import { ByteRanges, unionBytes } from './byte-ranges.ts'
import { forbidden } from './http-failure.ts'

export interface TicketFields {
  readonly uuid: string
  readonly size: number
  readonly ops: readonly ('read' | 'write')[]
  /** Seconds. */
  readonly timeout: number
  readonly url: string
  readonly transferId: string
  readonly filename: string | undefined
  readonly isSparse: boolean
  readonly isDirty: boolean
  /** Seconds. */
  readonly inactivityTimeout: number
}

/** One request under way. */
export interface Operation {
  readonly offset: number
  /** Bytes moved so far. */
  doneBytes: number
  /** Aborted when the ticket is cancelled. */
  readonly signal: AbortSignal
}

export class Ticket {
  readonly fields: TicketFields
  readonly #now: () => number
  readonly #operations = new Map<Operation, AbortController>()
  readonly #connections = new Set<object>()
  readonly #completed = new ByteRanges()
  readonly #whenUnused: (() => void)[] = []
  #backend: Promise<ImageBackend> | undefined
  #expiresSeconds: number
  #accessSeconds: number
  #isCanceled = false

  /** @param now seconds of a clock that never goes back */
  constructor(fields: TicketFields, now: () => number) {
    this.fields = fields
    this.#now = now
    this.#expiresSeconds = now() + fields.timeout
    this.#accessSeconds = now()
  }

  get isCanceled(): boolean {
    return this.#isCanceled
  }

  get isActive(): boolean {
    return this.#operations.size > 0
  }

  may(op: 'read' | 'write'): boolean {
    return this.fields.ops.includes(op) || (op === 'read' && this.fields.ops.includes('write'))
  }

  /** @throws HttpFailure 403 */
  authorize(op: 'read' | 'write'): void {
    const { transferId } = this.fields
    if (this.#isCanceled) throw forbidden(`Transfer=${transferId} was canceled`)
    if (this.#expiresSeconds <= this.#now()) throw forbidden(`Transfer=${transferId} expired`)
    if (!this.may(op)) throw forbidden(`Transfer=${transferId} forbids ${op}`)
  }

  /** The image, opened at the first use. */
  async backend(open: () => Promise<ImageBackend>): Promise<ImageBackend> {
    this.#backend ??= open()
    try {
      return await this.#backend
    } catch (error) {
      this.#backend = undefined
      throw error
    }
  }

  /** A connection that uses the ticket, until it is closed. */
  connect(connection: object): () => void {
    this.#connections.add(connection)
    return () => void this.#connections.delete(connection)
  }

  /** Runs a request, which counts as activity when it ends. @throws HttpFailure 403 when the ticket was cancelled meanwhile */
  async run<Result>(offset: number, work: (operation: Operation) => Promise<Result>): Promise<Result> {
    const controller = new AbortController()
    const operation: Operation = { offset, doneBytes: 0, signal: controller.signal }
    this.#operations.set(operation, controller)
    try {
      return await work(operation)
    } catch (error) {
      if (this.#isCanceled) throw this.#canceled()
      throw error
    } finally {
      this.#operations.delete(operation)
      if (this.#isCanceled) this.#tellUnused()
      else this.#complete({ offset, length: operation.doneBytes })
    }
  }

  /** Activity: the ticket lives its timeout from now. */
  touch(): void {
    this.#expiresSeconds = this.#now() + this.fields.timeout
    this.#accessSeconds = this.#now()
  }

  extend(timeout: number): void {
    this.#expiresSeconds = this.#now() + timeout
  }

  /** From now on nothing is allowed; requests under way end soon. Resolves when there are none. */
  cancel(): Promise<void> {
    this.#isCanceled = true
    for (const controller of this.#operations.values()) controller.abort(this.#canceled())
    return new Promise(resolve => {
      this.#whenUnused.push(resolve)
      this.#tellUnused()
    })
  }

  /** Closes the image. */
  async close(): Promise<void> {
    const backend = await this.#backend?.catch(() => undefined)
    await backend?.disk[Symbol.asyncDispose]()
  }

  /** As `GET /tickets/ID` shows it. */
  info(): Readonly<Record<string, unknown>> {
    const { uuid, size, ops, timeout, url, transferId, filename, isSparse, isDirty, inactivityTimeout } = this.fields
    return {
      active: this.isActive,
      canceled: this.#isCanceled,
      connections: this.#connections.size,
      expires: this.#expiresSeconds,
      idle_time: this.isActive ? 0 : this.#now() - this.#accessSeconds,
      inactivity_timeout: inactivityTimeout,
      ops,
      size,
      sparse: isSparse,
      dirty: isDirty,
      timeout,
      url,
      uuid,
      transfer_id: transferId,
      filename,
      transferred: ops.length > 1 ? undefined : this.#transferredBytes(),
    }
  }

  #transferredBytes(): number {
    const ongoing = [...this.#operations.keys()].map(({ offset, doneBytes }) => ({ offset, length: doneBytes }))
    return unionBytes([...this.#completed.ranges, ...ongoing])
  }

  #complete(range: Range): void {
    this.#completed.add(range)
    this.touch()
  }

  #tellUnused(): void {
    if (this.#operations.size > 0) return
    for (const tell of this.#whenUnused.splice(0)) tell()
  }

  #canceled(): Error {
    return forbidden(`Transfer ${this.fields.transferId} was canceled`)
  }
}
