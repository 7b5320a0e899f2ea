/**
 * LZ4 block decompression as lz4_Block_format.md has it, to be read beside it. The kernel is held against it: both give the
 * same bytes or both refuse.
 */
import type { Bytes } from '@granary/core'

/** The plaintext of a block, or undefined when it is not a block of exactly `plainLength` bytes. */
export const twinDecompress = (block: Bytes, plainLength: number): Bytes | undefined => {
  const plain: number[] = []
  let at = 0
  const next = (): number => {
    const byte = block[at++]
    if (byte === undefined) throw new RangeError('the block ends too early')
    return byte
  }
  const readLength = (nibble: number): number => {
    let length = nibble
    if (nibble < 15) return length
    for (let byte = 255; byte === 255;) {
      byte = next()
      length += byte
    }
    return length
  }
  try {
    for (;;) {
      const token = next()
      const literals = readLength(token >> 4)
      if (plain.length + literals > plainLength) return undefined
      for (let i = 0; i < literals; i++) plain.push(next())
      if (at === block.length) break
      const offset = next() | (next() << 8)
      if (offset === 0 || offset > plain.length) return undefined
      const length = readLength(token & 15) + 4
      if (plain.length + length > plainLength) return undefined
      for (let i = 0; i < length; i++) plain.push(plain[plain.length - offset] as number)
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
  return plain.length === plainLength ? Uint8Array.from(plain) : undefined
}
