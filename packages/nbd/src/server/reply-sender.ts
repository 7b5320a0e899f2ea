/**
 * Writes replies in the style that was agreed. Every frame is queued in one go, so frames never mix.
 *
 * @see doc/proto.md, "Transmission"
 * @module
 */
import type { Bytes } from '@granary/core'
import { encodeStatusChunk } from '../protocol/block-status.ts'
import type { StatusChunk } from '../protocol/block-status.ts'
import { CHUNK, CHUNK_DONE } from '../protocol/constants.ts'
import { encodeErrorPayload } from '../protocol/error-payload.ts'
import { viewOf, writeUint64 } from '../protocol/fields.ts'
import { encodeChunkHeader, encodeSimpleReply } from '../protocol/replies.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import type { Request } from '../protocol/requests.ts'
import type { Wire } from './wire.ts'

export class ReplySender {
  readonly #wire: Wire
  readonly #style: ReplyStyle

  constructor(wire: Wire, style: ReplyStyle) {
    this.#wire = wire
    this.#style = style
  }

  /** Success without data. */
  async done(request: Request): Promise<void> {
    if (this.#style === 'extended') await this.#chunk(request, { type: CHUNK.none, isLast: true })
    else await this.#write(encodeSimpleReply(request.cookie, 0))
  }

  /** @param message for people; simple replies have no room for it */
  async failed(request: Request, errno: number, message: string): Promise<void> {
    if (this.#style === 'simple') await this.#write(encodeSimpleReply(request.cookie, errno))
    else
      await this.#chunk(request, { type: CHUNK.error, isLast: true, payloadHead: encodeErrorPayload(errno, message) })
  }

  /** The bytes of a READ, which must stay unchanged until this resolves. */
  async data(request: Request, bytes: Bytes): Promise<void> {
    if (this.#style === 'simple') {
      this.#wire.write(encodeSimpleReply(request.cookie, 0))
      if (bytes.length > 0) await this.#write(bytes)
      return
    }
    if (bytes.length === 0) return await this.#chunk(request, { type: CHUNK.none, isLast: true })
    const payloadHead = new Uint8Array(8)
    writeUint64(viewOf(payloadHead), 0, request.offset)
    await this.#chunk(request, { type: CHUNK.offsetData, isLast: true, payloadHead, payload: bytes })
  }

  /** One chunk per meta context. */
  async statuses(request: Request, statuses: readonly StatusChunk[]): Promise<void> {
    const isExtended = this.#style === 'extended'
    const type = isExtended ? CHUNK.blockStatusExtended : CHUNK.blockStatus
    await Promise.all(
      statuses.map(async (status, i) =>
        this.#chunk(request, {
          type,
          isLast: i === statuses.length - 1,
          payloadHead: encodeStatusChunk(status, isExtended),
        }),
      ),
    )
  }

  async #chunk(
    { cookie, offset }: Request,
    chunk: { readonly type: number; readonly isLast: boolean; readonly payloadHead?: Bytes; readonly payload?: Bytes },
  ): Promise<void> {
    const { type, isLast, payloadHead = new Uint8Array(0), payload } = chunk
    const length = payloadHead.length + (payload?.length ?? 0)
    const fields = { cookie, flags: isLast ? CHUNK_DONE : 0, type, length, requestOffset: offset, payloadHead }
    const header = encodeChunkHeader(fields, this.#style === 'extended')
    if (payload === undefined) return await this.#write(header)
    this.#wire.write(header)
    await this.#write(payload)
  }

  async #write(bytes: Bytes): Promise<void> {
    await new Promise<void>(resolve => this.#wire.write(bytes, resolve))
  }
}
