/**
 * MARS, with the key schedule as tweaked for the second round of the AES process.
 *
 * @see Burwick et al., "MARS - a candidate cipher for AES", revised September 1999
 * @module
 */
import { createHash } from 'node:crypto'
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { wasmBase64 } from './mars.wasm.ts'
import { at, readWordsLE, rotateLeft32, writeWords } from './words.ts'

/** Section 3.1: S[5i..5i+4] = SHA-1(5i, c1, c2, c3), words little-endian; c3 was chosen for the S-box's properties. */
const SBOX_SEED = [0xb7e15162, 0x243f6a88, 0x02917d59]

/** The 512 words of the S-box, made when first used. */
export const marsSbox = (): Uint32Array => (sbox ??= makeSbox())
let sbox: Uint32Array | undefined

const makeSbox = (): Uint32Array => {
  const words: number[] = []
  while (words.length < 512) {
    const message = new Uint8Array(16)
    writeWords(message, 0, [words.length, ...SBOX_SEED])
    words.push(...readWordsLE(createHash('sha1').update(message).digest()))
  }
  const box = Uint32Array.from(words.slice(0, 512))
  mend(box.subarray(0, 256))
  mend(box.subarray(256))
  return box
}

const hasTwoZeroBytes = (word: number): boolean =>
  [0, 8, 16, 24].filter(shift => ((word >>> shift) & 0xff) === 0).length >= 2

/** In each half two entries shall differ in at least three of their bytes: where they don't, the first is tripled. */
const mend = (half: Uint32Array): void => {
  for (let i = 0; i < 256; i++) {
    const isAlike = half.subarray(i + 1).some(other => hasTwoZeroBytes(other ^ at(half, i)))
    if (isAlike) half[i] = Math.imul(at(half, i), 3)
  }
}

/** A 1 for every bit that lies inside a run of ten or more equal bits, ends of the run excluded; bits 0, 1, 31 never. */
const runMask = (word: number): number => {
  let mask = 0
  for (let start = 0; start < 32;) {
    let end = start
    while (end < 32 && ((word >>> end) & 1) === ((word >>> start) & 1)) end++
    if (end - start >= 10) for (let bit = start + 1; bit < end - 1; bit++) mask |= 1 << bit
    start = end
  }
  return (mask & 0x7fff_fffc) >>> 0
}

/** Section 3.2: linear expansion, four rounds of stirring, ten words at a time; then weak multiplication keys are mended. */
const expandKey = (key: Bytes, area: Bytes): void => {
  const box = marsSbox()
  const words = readWordsLE(key)
  const t = new Uint32Array(15)
  t.set(words)
  t[words.length] = words.length
  const k: number[] = []
  for (let j = 0; j < 4; j++) {
    for (let i = 0; i < 15; i++)
      t[i] = at(t, i) ^ rotateLeft32(at(t, (i + 8) % 15) ^ at(t, (i + 13) % 15), 3) ^ (4 * i + j)
    for (let pass = 0; pass < 4; pass++)
      for (let i = 0; i < 15; i++) t[i] = rotateLeft32(at(t, i) + at(box, at(t, (i + 14) % 15) & 511), 9)
    for (let i = 0; i < 10; i++) k.push(at(t, (4 * i) % 15))
  }
  for (let i = 5; i <= 35; i += 2) {
    const low = at(k, i) & 3
    const word = (at(k, i) | 3) >>> 0
    const pattern = rotateLeft32(at(box, 265 + low), at(k, i - 1) & 31)
    k[i] = (word ^ (pattern & runMask(word))) >>> 0
  }
  writeWords(area, 0, k)
}

export const mars: BlockCipherSpec = {
  name: 'mars',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 160,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: () => {
    const tables = new Uint8Array(2048)
    writeWords(tables, 0, marsSbox())
    return tables
  },
  expandKey,
}
