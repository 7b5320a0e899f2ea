/** What a zstd library can do for us. @module */
import type { Bytes } from '../bytes.ts'

export interface ZstdEngine {
  readonly name: 'system' | 'node' | 'native' | 'wasm'
  /** True when `decompress` never holds more than its target, whatever the frame says. */
  readonly isBounded: boolean
  /** A function that makes one frame of each block. What it gives is the receiver's own. */
  compressor(level: number): (bytes: Bytes) => Bytes
  /**
   * Decodes one frame to the start of `target`. Throws whatever the library throws on damage, or when there is no room.
   *
   * @returns bytes written
   */
  decompress(frame: Bytes, target: Bytes): number
}

/** For libraries that give out memory of their own. */
export const copyPlain = (plain: Bytes, target: Bytes): number => {
  if (plain.length > target.length) throw new RangeError(`${plain.length} bytes, room for ${target.length}`)
  target.set(plain)
  return plain.length
}
