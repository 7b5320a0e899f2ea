/** The byte stream to one client. @module */
import type { Duplex } from 'node:stream'
import type { Bytes } from '@granary/core'
import { gatherWrites } from '../gathered-writes.ts'
import { FrameReader } from '../protocol/frame-reader.ts'

/** Sends bytes, gathered per turn of the event loop, and reads frames of what arrives. */
export class Wire {
  readonly reader: FrameReader
  readonly #stream: Duplex
  readonly #write: (bytes: Bytes, sent?: () => void) => void
  #unsentBytes = 0
  #lastSentMs = 0
  readonly #onData = (bytes: Bytes): void => this.reader.push(bytes)
  readonly #onEnd = (): void => this.reader.end()

  constructor(stream: Duplex) {
    this.#stream = stream
    this.#write = gatherWrites(stream)
    this.reader = new FrameReader({ pause: () => stream.pause(), resume: () => stream.resume() })
    stream.on('data', this.#onData)
    stream.on('end', this.#onEnd)
    stream.on('close', this.#onEnd)
    stream.on('error', this.#onEnd)
  }

  get isDestroyed(): boolean {
    return this.#stream.destroyed
  }

  /** What the client has not taken yet, and when it last took something (`performance.now()`). */
  get backlog(): { readonly bytes: number; readonly lastSentMs: number } {
    return { bytes: this.#unsentBytes, lastSentMs: this.#lastSentMs }
  }

  /**
   * Queues bytes, which must stay unchanged until `sent` is called. Calls in one turn are sent in one go, in order.
   *
   * @param sent called when the stream needs the bytes no more, also on failure
   */
  write(bytes: Bytes, sent?: () => void): void {
    if (this.#unsentBytes === 0) this.#lastSentMs = performance.now()
    this.#unsentBytes += bytes.length
    this.#write(bytes, () => {
      this.#unsentBytes -= bytes.length
      this.#lastSentMs = performance.now()
      sent?.()
    })
  }

  /** Sends what is queued, says goodbye, and resolves when the stream is closed. */
  async end(): Promise<void> {
    if (this.#stream.closed || this.#stream.destroyed) return
    await new Promise<void>(resolve => {
      this.#stream.once('close', resolve)
      this.#stream.end(() => this.#stream.destroy())
    })
  }

  destroy(): void {
    this.#stream.destroy()
  }

  /** Gives the stream away, for TLS to be put over it. */
  release(): Duplex {
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onEnd)
    // Whoever has the stream now hears of its end; an error that nobody listens to would end the process.
    this.#stream.on('error', () => undefined)
    this.#stream.pause()
    return this.#stream
  }
}
