/** Writes that leave together. @module */
import type { Duplex } from 'node:stream'
import type { Bytes } from '@granary/core'

/**
 * A function that queues bytes on a stream; what is queued in one turn of the event loop leaves in one system call, in order.
 * The bytes must stay unchanged until `sent` is called, which also happens on failure.
 */
export const gatherWrites = (stream: Duplex): ((bytes: Bytes, sent?: () => void) => void) => {
  let isCorked = false
  return (bytes, sent) => {
    if (!isCorked) {
      isCorked = true
      stream.cork()
      process.nextTick(() => {
        isCorked = false
        stream.uncork()
      })
    }
    stream.write(bytes, sent)
  }
}
