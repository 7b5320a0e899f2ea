/** Counter mode with internal re-keying (CTR-ACPKM). @see RFC 8645 section 6.2.2, and 6.2.1 for the change of keys @module */
import type { Bytes } from '@granary/core'
import { blockCipher, keyCipher } from './block-cipher.ts'
import { expectLength, invalid } from './check.ts'
import { ctrOver, wasmStream } from './ctr.ts'
import type { Ctr } from './ctr.ts'

export interface CtrAcpkmOptions {
  /** How many bytes each section key serves: a multiple of the block size. */
  readonly sectionBytes: number
  /** Where in the key stream to begin, bytes. @default 0 */
  readonly offset?: number
}

/** The constant D of ACPKM: bytes 0x80, 0x81, ... as long as the key. */
const meshKey = (name: string, key: Bytes): Bytes =>
  blockCipher(name, key, { blockBits: 128 }).encrypt(Uint8Array.from(key, (_, i) => 0x80 + i))

/**
 * A cipher with 128-bit blocks in CTR-ACPKM. The counter block is iv || counter, which starts at 0 in the right half
 * and goes on through the sections. Seeking backwards derives section keys from the first one again.
 *
 * @param iv half a block, 8 bytes
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the cipher has no such name or key size, no 128-bit block, or the
 *   key is not whole blocks, the iv not half a block, or a section not whole blocks
 */
export const ctrAcpkm = (name: string, key: Bytes, iv: Bytes, { sectionBytes, offset = 0 }: CtrAcpkmOptions): Ctr => {
  expectLength('iv', iv, 8)
  if (!(Number.isSafeInteger(sectionBytes) && sectionBytes > 0 && sectionBytes % 16 === 0))
    throw invalid(`sectionBytes: expected a multiple of 16, got ${sectionBytes}`, {
      argument: 'sectionBytes',
      got: sectionBytes,
    })
  if (key.length % 16 !== 0)
    throw invalid(`ACPKM needs a key of whole blocks, got ${key.length} bytes`, { argument: 'key', got: key.length })
  const counter = new Uint8Array(16)
  counter.set(iv)
  const createSection = (number: number, sectionKey: Bytes) => ({
    number,
    key: sectionKey,
    stream: wasmStream(keyCipher(name, sectionKey, { blockBits: 128 }), counter),
  })
  const first = createSection(0, key.slice())
  let section = first
  const enter = (number: number): void => {
    if (section.number === number) return
    const from = number > section.number ? section : first
    let current = from.key
    for (let at = from.number; at < number; at++) current = meshKey(name, current)
    section = createSection(number, current)
  }
  return ctrOver((at, bytes) => {
    const result = new Uint8Array(bytes.length)
    for (let done = 0; done < bytes.length;) {
      enter(Math.floor((at + done) / sectionBytes))
      const left = sectionBytes - ((at + done) % sectionBytes)
      const piece = bytes.subarray(done, done + left)
      result.set(section.stream(at + done, piece), done)
      done += piece.length
    }
    return result
  }, offset)
}
