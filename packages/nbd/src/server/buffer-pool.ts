/** Buffers for payloads, used again: fresh memory costs a page fault every 4 KiB. @module */
import type { Bytes } from '@granary/core'

const MIN_BYTES = 4096
const MAX_POOLED_BYTES = 4 * 1024 * 1024

export class BufferPool {
  readonly #capacityBytes: number
  readonly #free = new Map<number, ArrayBuffer[]>()
  #freeBytes = 0

  /** @param capacityBytes kept for later use at most */
  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  /** Bytes of any content: whoever takes them fills them all, or shows them to nobody. */
  take(length: number): Bytes {
    const roomBytes = roomFor(length)
    const buffer = this.#free.get(roomBytes)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(roomBytes).subarray(0, length)
    this.#freeBytes -= roomBytes
    return new Uint8Array(buffer, 0, length)
  }

  /** Takes back what `take` gave. Nobody may use it afterwards. */
  giveBack(bytes: Bytes): void {
    const buffer = bytes.buffer as ArrayBuffer
    if (buffer.byteLength > MAX_POOLED_BYTES || this.#freeBytes + buffer.byteLength > this.#capacityBytes) return
    const free = this.#free.get(buffer.byteLength) ?? []
    this.#free.set(buffer.byteLength, free)
    free.push(buffer)
    this.#freeBytes += buffer.byteLength
  }
}

/** Powers of two where buffers are pooled. */
const roomFor = (length: number): number =>
  length > MAX_POOLED_BYTES ? length : Math.max(MIN_BYTES, 2 ** Math.ceil(Math.log2(length)))
