/** A request that waits for its reply. @module */
import type { Bytes, GranaryError } from '@granary/core'
import { COMMAND } from '../protocol/constants.ts'
import { protocolError } from '../protocol/fields.ts'
import type { StatusExtent } from '../protocol/block-status.ts'
import { Coverage } from './coverage.ts'

const COMMAND_NAMES: Readonly<Record<number, string>> = {
  [COMMAND.read]: 'READ',
  [COMMAND.write]: 'WRITE',
  [COMMAND.flush]: 'FLUSH',
  [COMMAND.trim]: 'TRIM',
  [COMMAND.cache]: 'CACHE',
  [COMMAND.writeZeroes]: 'WRITE_ZEROES',
  [COMMAND.blockStatus]: 'BLOCK_STATUS',
}

/** What to ask of a server. */
export interface RequestSpec {
  readonly command: number
  readonly flags: number
  readonly offset: number
  readonly length: number
  /** READ: the bytes to fill, `length` long. */
  readonly target?: Bytes
  /** WRITE: the bytes to send, `length` long. */
  readonly payload?: Bytes
}

/** Extents by the id of their meta context. */
export type StatusById = ReadonlyMap<number, readonly StatusExtent[]>

export class PendingRequest {
  readonly spec: RequestSpec
  readonly statuses = new Map<number, readonly StatusExtent[]>()
  readonly #settle: (error: Error | undefined, statuses: StatusById) => void
  readonly #coverage: Coverage | undefined
  #error: GranaryError | undefined
  #isSettled = false

  constructor(spec: RequestSpec, settle: (error: Error | undefined, statuses: StatusById) => void) {
    this.spec = spec
    this.#settle = settle
    this.#coverage = spec.command === COMMAND.read ? new Coverage(spec.length) : undefined
  }

  /** True once the caller was answered. What still arrives for the request is then dropped. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  get name(): string {
    return COMMAND_NAMES[this.spec.command] ?? `command ${this.spec.command}`
  }

  /** Where the bytes of a data chunk go. */
  claim(offset: number, length: number): Bytes {
    const start = offset - this.spec.offset
    if (this.#coverage === undefined) throw protocolError(`data in answer to ${this.name}`)
    this.#coverage.add(start, length)
    return (this.spec.target as Bytes).subarray(start, start + length)
  }

  /** Keeps the first error the server told about this request. */
  note(error: GranaryError): void {
    this.#error ??= error
  }

  /** The server said all it has to say. @throws GranaryError `GRANARY_PROTOCOL` when bytes of a read are missing */
  finish(): void {
    if (this.#error === undefined && this.#coverage !== undefined && !this.#coverage.isComplete)
      throw protocolError(`READ at ${this.spec.offset}+${this.spec.length} ends before all its bytes came`)
    this.settle(this.#error)
  }

  /** Answers the caller. Only the first call counts. */
  settle(error: Error | undefined): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#settle(error, this.statuses)
  }
}
