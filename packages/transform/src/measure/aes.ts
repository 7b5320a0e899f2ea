/**
 * node:crypto's AES-256-CTR, the yardstick that ciphers are held against on machines that differ.
 *
 * `update` gives its result in new memory. In a process of its own, results of 1 MiB come in pages that the system has to
 * give first, which takes three times as long as AES. In one that has done other things the C library may keep such pages,
 * or not, from one minute to the next: the same loop gave 1.4 GB/s, and later 4.7. See `measureAes`.
 *
 * @module
 */
import { createCipheriv, randomBytes } from 'node:crypto'
import { race } from './race.ts'

const MESSAGE_BYTES = 2 ** 20

/** Results of this size come in memory that the process has already. */
const PIECE_BYTES = 32 * 1024

/** MB (10^6 bytes) per CPU second of one thread, the median of several turns. */
export interface AesFigures {
  /** By messages of 1 MiB, an `update` each. */
  readonly aesMegabytesPerSecond: number
  /** By pieces of 32 KiB: AES without the wait for pages. */
  readonly aesPiecesMegabytesPerSecond: number
  /** Where false, no processes were started for it, and the first figure may be anything up to the second and more. */
  readonly aesInOwnProcess: boolean
}

/** Measures AES in this process, so many seconds of CPU time for each figure. */
export const measureAesHere = (seconds: number): AesFigures => {
  const cipher = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16))
  const data = randomBytes(MESSAGE_BYTES)
  const measure = (bytes: number): number => {
    const piece = data.subarray(0, bytes)
    const [speed = 0] = race([{ bytes, run: () => cipher.update(piece) }], seconds)
    return Math.round(speed)
  }
  // One after the other: small results in between would make the C library keep the pages of large ones.
  const aesMegabytesPerSecond = measure(MESSAGE_BYTES)
  return { aesMegabytesPerSecond, aesPiecesMegabytesPerSecond: measure(PIECE_BYTES), aesInOwnProcess: false }
}
