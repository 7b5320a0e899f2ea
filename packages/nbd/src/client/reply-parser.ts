/**
 * Understands the replies of the transmission phase, whatever the packets were.
 * Payloads of reads go straight into their target when the transport can do that.
 *
 * @see doc/proto.md, "Transmission", "Structured reply types"
 * @module
 */
import type { Bytes } from '@granary/core'
import { decodeStatusChunk, maxStatusBytes } from '../protocol/block-status.ts'
import { CHUNK, CHUNK_DONE, CHUNK_ERROR_BIT, COMMAND, FRAME_BYTES } from '../protocol/constants.ts'
import { MAX_ERROR_PAYLOAD_BYTES, decodeErrorPayload, errorOfReply } from '../protocol/error-payload.ts'
import { protocolError, readUint64, viewOf } from '../protocol/fields.ts'
import { decodeReplyHead, replyHeadBytes } from '../protocol/replies.ts'
import type { ChunkHeader, ReplyStyle, SimpleReply } from '../protocol/replies.ts'
import type { PendingRequest } from './pending-request.ts'

/** Below this, a payload is not worth a system call of its own, bytes. */
const MIN_WINDOW_BYTES = 8192
const MAGIC_BYTES = 4
const NO_BYTES = new Uint8Array(0)

export interface ReplyParserOptions {
  readonly style: ReplyStyle
  /** The request that a cookie belongs to. */
  readonly find: (cookie: number) => PendingRequest | undefined
  /** Forget the cookie: the reply is complete. */
  readonly done: (cookie: number) => void
}

/** A chunk or simple reply whose payload is arriving. */
interface Current {
  readonly request: PendingRequest
  readonly cookie: number
  readonly type: number
  readonly isLast: boolean
}

/** What the next bytes are. */
type State =
  | { readonly kind: 'head' }
  /** A small payload, gathered whole. */
  | { readonly kind: 'control'; readonly current: Current; readonly dataBytes: number }
  /** Payload of a read. */
  | { readonly kind: 'data'; readonly current: Current }

const HEAD: State = { kind: 'head' }

export class ReplyParser {
  readonly #options: ReplyParserOptions
  readonly #headBytes = new Uint8Array(FRAME_BYTES.extendedReply)
  #state: State = HEAD
  /** What is being filled: the head, a control payload, or the target of a read. */
  #target: Bytes
  #filled = 0
  #isLent = false

  constructor(options: ReplyParserOptions) {
    this.#options = options
    this.#target = this.#headBytes.subarray(0, MAGIC_BYTES)
  }

  /** The request whose target was lent to the transport: nobody may free those bytes now. */
  get lentTo(): PendingRequest | undefined {
    return this.#isLent && this.#state.kind === 'data' ? this.#state.current.request : undefined
  }

  /** Where the next bytes of a read belong, if that is worth a read of its own. */
  window(): Bytes | undefined {
    this.#isLent =
      this.#state.kind === 'data' &&
      !this.#state.current.request.isSettled &&
      this.#target.length - this.#filled >= MIN_WINDOW_BYTES
    return this.#isLent ? this.#target.subarray(this.#filled) : undefined
  }

  /** @throws GranaryError `GRANARY_PROTOCOL` when the server breaks the protocol: the connection is of no use then */
  filled(count: number): void {
    this.#isLent = false
    this.#filled += count
    if (this.#filled === this.#target.length) this.#complete()
  }

  /** @throws GranaryError `GRANARY_PROTOCOL` when the server breaks the protocol: the connection is of no use then */
  push(bytes: Bytes): void {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(this.#target.length - this.#filled, bytes.length - at)
      // The target of an abandoned read belongs to its caller again: its bytes are counted, not kept.
      if (this.#state.kind !== 'data' || !this.#state.current.request.isSettled)
        this.#target.set(bytes.subarray(at, at + count), this.#filled)
      this.#filled += count
      at += count
      if (this.#filled === this.#target.length) this.#complete()
    }
  }

  #expect(state: State, target: Bytes): void {
    this.#state = state
    this.#target = target
    this.#filled = 0
    if (target.length === 0) this.#complete()
  }

  #complete(): void {
    const state = this.#state
    if (state.kind === 'head') this.#completeHead()
    else if (state.kind === 'data') this.#completeChunk(state.current)
    else this.#completeControl(state.current, this.#target, state.dataBytes)
  }

  #completeHead(): void {
    if (this.#target.length === MAGIC_BYTES) {
      const length = replyHeadBytes(viewOf(this.#headBytes).getUint32(0), this.#options.style)
      this.#target = this.#headBytes.subarray(0, length)
      return
    }
    const head = decodeReplyHead(this.#target)
    const cookie = head.cookie.high * 2 ** 32 + head.cookie.low
    const request = this.#options.find(cookie)
    if (request === undefined) throw protocolError('a reply to no request', { cookie })
    if (head.kind === 'simple') this.#beginSimple(head, request, cookie)
    else this.#beginChunk(head, { request, cookie, type: head.type, isLast: (head.flags & CHUNK_DONE) !== 0 })
  }

  #beginSimple({ error }: SimpleReply, request: PendingRequest, cookie: number): void {
    const { command, offset, length } = request.spec
    const current = { request, cookie, type: CHUNK.none, isLast: true }
    if (command === COMMAND.read && this.#options.style !== 'simple')
      throw protocolError('a simple reply to READ although structured replies were agreed')
    if (error !== 0) {
      request.note(errorOfReply({ error, message: '' }, { command: request.name, offset, length }))
      this.#completeChunk(current)
    } else if (command === COMMAND.read) this.#expect({ kind: 'data', current }, request.claim(offset, length))
    else if (command === COMMAND.blockStatus) throw protocolError('a simple reply to BLOCK_STATUS')
    else this.#completeChunk(current)
  }

  #beginChunk({ type, length }: ChunkHeader, current: Current): void {
    const payload = (controlBytes: number, isAllowed: boolean, dataBytes = 0): void => {
      if (!isAllowed) throw protocolError('a chunk has a length that its type cannot have', { type, length })
      this.#expect({ kind: 'control', current, dataBytes }, new Uint8Array(controlBytes))
    }
    switch (type) {
      case CHUNK.none:
        return payload(0, length === 0 && current.isLast)
      case CHUNK.offsetData:
        return payload(8, length > 8 && length - 8 <= current.request.spec.length, length - 8)
      case CHUNK.offsetHole:
        return payload(12, length === 12)
      case this.#options.style === 'extended' ? CHUNK.blockStatusExtended : CHUNK.blockStatus:
        return payload(
          length,
          current.request.spec.command === COMMAND.blockStatus &&
            length <= maxStatusBytes(this.#options.style === 'extended'),
        )
      default:
        if ((type & CHUNK_ERROR_BIT) === 0) throw protocolError('a chunk of unknown type', { type })
        return payload(length, length <= MAX_ERROR_PAYLOAD_BYTES)
    }
  }

  #completeControl(current: Current, payload: Bytes, dataBytes: number): void {
    const { request, type } = current
    if (type === CHUNK.offsetData) {
      const target = request.claim(readUint64(viewOf(payload), 0), dataBytes)
      this.#expect({ kind: 'data', current }, target)
      return
    }
    if (type === CHUNK.offsetHole) {
      const view = viewOf(payload)
      const target = request.claim(readUint64(view, 0), view.getUint32(8))
      if (!request.isSettled) target.fill(0)
    } else if (type === CHUNK.blockStatus || type === CHUNK.blockStatusExtended) this.#takeStatus(request, payload)
    else if (type !== CHUNK.none) {
      const { offset, length } = request.spec
      request.note(errorOfReply(decodeErrorPayload(payload, type), { command: request.name, offset, length }))
    }
    this.#completeChunk(current)
  }

  #takeStatus(request: PendingRequest, payload: Bytes): void {
    const { contextId, extents } = decodeStatusChunk(payload, this.#options.style === 'extended')
    if (request.statuses.has(contextId)) throw protocolError('two block statuses for one context', { contextId })
    request.statuses.set(contextId, extents)
  }

  #completeChunk({ request, cookie, isLast }: Current): void {
    this.#state = HEAD
    this.#target = this.#headBytes.subarray(0, MAGIC_BYTES)
    this.#filled = 0
    if (!isLast) return
    this.#options.done(cookie)
    request.finish()
  }

  /** Forgets what is under way, so that no target is written any more. */
  stop(): void {
    this.#state = HEAD
    this.#target = NO_BYTES
    this.#filled = 0
    this.#isLent = false
  }
}
