/**
 * Buffers that are used again: a fresh one per piece costs more in page faults than the copy itself. They are on shared
 * memory, so that a disk may fill them from other threads.
 *
 * @module
 */
import type { Bytes } from '../bytes.ts'

/** Holds as many buffers as were ever in use at once; its users bound that. */
export class BufferPool {
  readonly #bufferBytes: number
  readonly #free: Bytes[] = []

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes
  }

  /** Runs `use` with a buffer of old content, and takes it back. */
  async borrow<Result>(use: (buffer: Bytes) => Promise<Result>): Promise<Result> {
    const buffer = this.take()
    try {
      return await use(buffer)
    } finally {
      this.give(buffer)
    }
  }

  take(): Bytes {
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(this.#bufferBytes))
  }

  give(buffer: Bytes): void {
    this.#free.push(buffer)
  }
}
