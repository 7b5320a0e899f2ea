/** The counter mode of the Ukrainian standard, for Kalyna. @see DSTU 7624:2014, section 7 (counter mode) @module */
import type { Bytes } from '@granary/core'
import { blockCipherOf, keyCipher } from './block-cipher.ts'
import type { BlockCipherOptions } from './block-cipher.ts'
import { expectLength } from './check.ts'
import { advanceCounter } from './counter.ts'
import { ctrOver } from './ctr.ts'
import type { Ctr } from './ctr.ts'

/** Blocks enciphered at once. */
const BATCH_BLOCKS = 512

export interface CtrDstuOptions extends Pick<BlockCipherOptions, 'blockBits'> {
  /** Where in the key stream to begin, bytes. @default 0 */
  readonly offset?: number
}

/**
 * A cipher in the counter mode of DSTU 7624: the key stream is E(s + 1), E(s + 2), ..., where s = E(iv) is a
 * little-endian integer that wraps. For exchange with others; `ctr` is the faster mode.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name, key or block size, or the iv is not one block
 */
export const ctrDstu = (name: string, key: Bytes, iv: Bytes, { offset = 0, blockBits }: CtrDstuOptions = {}): Ctr => {
  const keyed = keyCipher(name, key, blockBits === undefined ? {} : { blockBits })
  const { blockBytes } = keyed
  expectLength('iv', iv, blockBytes)
  const cipher = blockCipherOf(keyed)
  const start = cipher.encrypt(iv).toReversed() // Big-endian from here on.
  const counters = (first: number, count: number): Bytes => {
    const blocks = new Uint8Array(count * blockBytes)
    const counter = start.slice()
    advanceCounter(counter, first + 1)
    for (let i = 0; i < count; i++) {
      blocks.set(counter.toReversed(), i * blockBytes)
      advanceCounter(counter, 1)
    }
    return blocks
  }
  return ctrOver((at, bytes) => {
    const result = new Uint8Array(bytes.length)
    for (let done = 0; done < bytes.length;) {
      const skip = (at + done) % blockBytes
      const length = Math.min(bytes.length - done, BATCH_BLOCKS * blockBytes - skip)
      const first = (at + done - skip) / blockBytes
      const stream = cipher.encrypt(counters(first, Math.ceil((skip + length) / blockBytes)))
      for (let i = 0; i < length; i++) result[done + i] = (bytes[done + i] as number) ^ (stream[skip + i] as number)
      done += length
    }
    return result
  }, offset)
}
