/** Cuts an arriving byte stream into the frames its owner asks for, whatever the packets were. @module */
import type { Bytes, GranaryError } from '@granary/core'
import { protocolError } from './fields.ts'

/** Bytes kept before the peer is told to wait. */
const HIGH_WATER_BYTES = 256 * 1024

/** Pieces below this are put together: each would cost far more than its bytes, and a peer may send many of them. */
const SMALL_BYTES = 1024
const JOINED_BYTES = 4096

/** How a reader stops and starts the flow it is fed by. */
export interface Flow {
  readonly pause: () => void
  readonly resume: () => void
}

interface Waiter {
  readonly needBytes: number
  readonly resolve: () => void
}

/**
 * A queue of bytes with one producer and one consumer. The consumer may have one call under way at a time.
 * It holds at most 256 KiB beyond what the consumer waits for, if the producer obeys `flow`.
 */
export class FrameReader {
  readonly #flow: Flow
  readonly #chunks: Bytes[] = []
  /** Where small pieces are put together; its filled part may be the last chunk. */
  #joined: Bytes = new Uint8Array(0)
  /** Bytes of the first chunk that are used up. */
  #used = 0
  #bufferedBytes = 0
  #isPaused = false
  #waiter: Waiter | undefined
  #end: { readonly error: GranaryError | undefined } | undefined

  constructor(flow: Flow = { pause: () => undefined, resume: () => undefined }) {
    this.#flow = flow
  }

  /** Bytes that arrived and were not asked for yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Adds bytes, which the reader owns from now on. Many small pieces cost no more than few large ones. */
  push(bytes: Bytes): void {
    if (bytes.length === 0) return
    this.#append(bytes)
    this.#bufferedBytes += bytes.length
    if (this.#waiter !== undefined) {
      if (this.#bufferedBytes >= this.#waiter.needBytes) this.#wake()
    } else if (this.#bufferedBytes > HIGH_WATER_BYTES && !this.#isPaused) {
      this.#isPaused = true
      this.#flow.pause()
    }
  }

  #append(bytes: Bytes): void {
    const last = this.#chunks.at(-1)
    if (last === undefined || bytes.length >= SMALL_BYTES) {
      this.#chunks.push(bytes)
      return
    }
    const isJoined = last.buffer === this.#joined.buffer && last.length + bytes.length <= JOINED_BYTES
    const filled = isJoined ? last.length : 0
    if (!isJoined) this.#joined = new Uint8Array(JOINED_BYTES)
    this.#joined.set(bytes, filled)
    this.#chunks[this.#chunks.length - (isJoined ? 1 : 0)] = this.#joined.subarray(0, filled + bytes.length)
  }

  /** Says that no more bytes come. What is here can still be read; then `error` is thrown, or "cut short". */
  end(error?: GranaryError): void {
    this.#end ??= { error }
    this.#wake()
  }

  /**
   * The next `length` bytes.
   *
   * @throws GranaryError `GRANARY_PROTOCOL` when the stream ends before them, or what `end` was given
   */
  async read(length: number): Promise<Bytes> {
    if (this.#bufferedBytes < length) await this.#wait(length)
    return this.#take(length)
  }

  /** Like `read`, but undefined when the stream ends exactly here. */
  async readOrEnd(length: number): Promise<Bytes | undefined> {
    if (this.#bufferedBytes < length) {
      await this.#arrival(length)
      if (this.#bufferedBytes === 0 && this.#end !== undefined && this.#end.error === undefined) return undefined
      this.#expect(length)
    }
    return this.#take(length)
  }

  /** The next `length` bytes if they are here already and in one piece; they stay for `read` or `drop`. */
  peek(length: number): Bytes | undefined {
    const chunk = this.#chunks[0]
    return chunk !== undefined && chunk.length - this.#used >= length
      ? chunk.subarray(this.#used, this.#used + length)
      : undefined
  }

  /** Uses up what `peek` showed. */
  drop(length: number): void {
    this.#takePart(length)
  }

  /** Fills `target` with the next bytes, as they come. */
  async readInto(target: Bytes): Promise<void> {
    for (let filled = 0; filled < target.length;) {
      if (this.#bufferedBytes === 0) await this.#wait(1)
      const part = this.#takePart(target.length - filled)
      target.set(part, filled)
      filled += part.length
    }
  }

  /** Drops the next `length` bytes, as they come. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      if (this.#bufferedBytes === 0) await this.#wait(1)
      left -= this.#takePart(left).length
    }
  }

  async #wait(needBytes: number): Promise<void> {
    await this.#arrival(needBytes)
    this.#expect(needBytes)
  }

  /** Resolves when enough bytes are here, or no more will come. */
  async #arrival(needBytes: number): Promise<void> {
    if (this.#end !== undefined) return
    if (this.#isPaused) {
      this.#isPaused = false
      this.#flow.resume()
    }
    // Resuming may deliver bytes, or the end, before it returns.
    if (this.#bufferedBytes >= needBytes || this.#end !== undefined) return
    await new Promise<void>(resolve => {
      this.#waiter = { needBytes, resolve }
    })
  }

  #expect(needBytes: number): void {
    if (this.#bufferedBytes >= needBytes) return
    throw (
      this.#end?.error ??
      protocolError('the stream ends in the middle of a frame', {
        expectedBytes: needBytes,
        foundBytes: this.#bufferedBytes,
      })
    )
  }

  #wake(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.resolve()
  }

  #take(length: number): Bytes {
    const first = this.#takePart(length)
    if (first.length === length) return first
    const whole = new Uint8Array(length)
    whole.set(first)
    for (let filled = first.length; filled < length;) {
      const part = this.#takePart(length - filled)
      whole.set(part, filled)
      filled += part.length
    }
    return whole
  }

  /** Up to `length` bytes of the first chunk, without copying. */
  #takePart(length: number): Bytes {
    const chunk = this.#chunks[0]
    if (chunk === undefined) return new Uint8Array(0)
    const part = chunk.subarray(this.#used, this.#used + length)
    this.#used += part.length
    this.#bufferedBytes -= part.length
    if (this.#used === chunk.length) {
      this.#chunks.shift()
      this.#used = 0
    }
    return part
  }
}
