/** LZNT1, the compression of NTFS. @see MS-XCA, section 2.5 @module */
import type { Bytes } from '@granary/core'
import { corrupt } from '../errors.ts'

const CHUNK_BYTES = 4096
const COMPRESSED = 0x8000

/** Chunks of 4 KiB each; what isn't there reads as zeros. */
export const decompressLznt1 = (source: Bytes, length: number, where: string): Bytes => {
  const target = new Uint8Array(length)
  let at = 0
  for (let start = 0; start < length && at + 2 <= source.length; start += CHUNK_BYTES) {
    const header = (source[at] as number) | ((source[at + 1] as number) << 8)
    if (header === 0) break
    const end = at + 3 + (header & 0xfff)
    if (end > source.length) throw corrupt(where, 'a compressed chunk inside its unit', header)
    const chunk = source.subarray(at + 2, end)
    const out = target.subarray(start, Math.min(start + CHUNK_BYTES, length))
    if ((header & COMPRESSED) === 0) out.set(chunk.subarray(0, out.length))
    else decompressChunk(chunk, out, where)
    at = end
  }
  return target
}

const decompressChunk = (source: Bytes, target: Bytes, where: string): void => {
  let at = 0
  let done = 0
  while (at < source.length && done < target.length) {
    const flags = source[at++] as number
    for (let bit = 0; bit < 8 && at < source.length && done < target.length; bit++) {
      if (((flags >> bit) & 1) === 0) {
        target[done++] = source[at++] as number
        continue
      }
      const word = (source[at] as number) | ((source[at + 1] ?? 0) << 8)
      at += 2
      // The further in, the more of the sixteen bits are the distance.
      let lengthBits = 12
      for (let position = done - 1; position >= 16; position >>= 1) lengthBits--
      const distance = (word >> lengthBits) + 1
      const length = (word & ((1 << lengthBits) - 1)) + 3
      if (distance > done) throw corrupt(where, 'a match inside the chunk', distance)
      for (let i = 0; i < length && done < target.length; i++, done++) target[done] = target[done - distance] as number
    }
  }
}
