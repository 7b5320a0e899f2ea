/** Camellia. @see RFC 3713 @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { wasmBase64 } from './camellia.wasm.ts'
import { at, writeWords } from './words.ts'

/** SBOX1, section 2.4.4. The others are turned versions of it. */
export const CAMELLIA_SBOX1_HEX: string =
  '70822cecb327c0e5e4855735ea0cae4123ef6b934519a521ed0e4f4e1d6592bd86b8af8f7ceb1fce3e30dc5f5ec50b1a' +
  'a6e139cad5475d3dd9015ad651566c4d8b0d9a66fbccb02d74122b20f0b18499df4ccbc2347e76056db7a931d11704d7' +
  '14583a61de1b111c320f9c165318f222fe44cfb2c3b57a912408e8a860fc6950aad0a07da1896297545b1e95e0ff64d2' +
  '10c40048a3f775db8a03e6da093fdd94875c8302cd4a90337367f6f39d7fbfe2529bd826c837c63b81966f4b13be632e' +
  'e979a78c9f6ebc8e29f5f9b62ffdb4597898066ae74671bad425ab4288a28dfa7207b955f8eeac0a36492a683c38f1a4' +
  '4028d37bbbc943c115e3adf477c7809e'

const turnByte = (byte: number, bits: number): number => ((byte << bits) | (byte >> (8 - bits))) & 0xff

/** SBOX1 to SBOX4, made when first used. */
const sboxes = (): readonly Uint8Array[] => (boxes ??= makeSboxes())
let boxes: readonly Uint8Array[] | undefined

const makeSboxes = (): readonly Uint8Array[] => {
  const first = Uint8Array.from(Buffer.from(CAMELLIA_SBOX1_HEX, 'hex'))
  return [
    first,
    first.map(y => turnByte(y, 1)),
    first.map(y => turnByte(y, 7)),
    first.map((_, x) => at(first, turnByte(x, 1))),
  ]
}

/** Which S-box each byte of a half goes through, and which bytes of the result it goes into (y1 first): section 2.4.1. */
const PLACES = [
  { box: 0, into: '11101001' },
  { box: 1, into: '01111100' },
  { box: 2, into: '10110110' },
  { box: 3, into: '11010011' },
  { box: 1, into: '01110111' },
  { box: 2, into: '10111011' },
  { box: 3, into: '11011101' },
  { box: 0, into: '11101110' },
] as const

/** SP of one byte, as eight bytes. */
const spread = (y: number, into: string): Uint8Array => Uint8Array.from(into, bit => (bit === '1' ? y : 0))

const makeTables = (): Bytes => {
  const tables = new Uint8Array(16_384)
  for (const [place, { box, into }] of PLACES.entries())
    for (const [x, y] of (sboxes()[box] as Uint8Array).entries()) tables.set(spread(y, into), 2048 * place + 8 * x)
  return tables
}

/** The F-function of section 2.4.1, on big-endian halves. */
const f = (half: bigint, subkey: bigint): bigint => {
  const result = new Uint8Array(8)
  for (const [place, { box, into }] of PLACES.entries()) {
    const x = Number(((half ^ subkey) >> BigInt(56 - 8 * place)) & 0xffn)
    const image = spread(at(sboxes()[box] as Uint8Array, x), into)
    for (let i = 0; i < 8; i++) result[i] = at(result, i) ^ at(image, i)
  }
  return toInteger(result)
}

const toInteger = (bytes: Bytes): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

const MASK_64 = (1n << 64n) - 1n
const MASK_128 = (1n << 128n) - 1n

const SIGMA = [
  0xa09e667f3bcc908bn,
  0xb67ae8584caa73b2n,
  0xc6ef372fe94f82ben,
  0x54ff53a5f1d36f1cn,
  0x10e527fade682d1dn,
  0xb05688c2b3e6c1fdn,
] as const

/** Two rounds on a block, keyed by constants. */
const stir = (block: bigint, first: bigint, second: bigint): bigint => {
  let left = block >> 64n
  let right = block & MASK_64
  right ^= f(left, first)
  left ^= f(right, second)
  return (left << 64n) | right
}

/** The intermediate keys KL, KR, KA, KB: section 2.2. */
const intermediateKeys = (key: Bytes): Record<'L' | 'R' | 'A' | 'B', bigint> => {
  const L = toInteger(key.subarray(0, 16))
  let R = toInteger(key.subarray(16))
  if (key.length === 24) R = (R << 64n) | (R ^ MASK_64)
  const A = stir(stir(L ^ R, SIGMA[0], SIGMA[1]) ^ L, SIGMA[2], SIGMA[3])
  const B = stir(A ^ R, SIGMA[4], SIGMA[5])
  return { L, R, A, B }
}

/**
 * Subkeys in order of use: which intermediate key, turned left by how much. Each gives its halves, except that 'h' or 'l'
 * asks for one of them only. The tables of section 2.2.
 */
const ORDER_128 = 'L0 A0 L15 A15 A30 L45 A45h L60l A60 L77 L94 A94 L111 A111'
const ORDER_256 = 'L0 B0 R15 A15 R30 B30 L45 A45 L60 R60 B60 L77 A77 R94 A94 L111 B111'

const expandKey = (key: Bytes, area: Bytes): void => {
  const keys = intermediateKeys(key)
  const subkeys = (key.length === 16 ? ORDER_128 : ORDER_256).split(' ').flatMap(entry => {
    const word = keys[entry[0] as keyof typeof keys]
    const bits = BigInt(Number.parseInt(entry.slice(1), 10))
    const turned = ((word << bits) | (word >> (128n - bits))) & MASK_128
    const halves = [turned >> 64n, turned & MASK_64]
    return entry.endsWith('h') ? halves.slice(0, 1) : entry.endsWith('l') ? halves.slice(1) : halves
  })
  // Backwards, but the two whitening keys of an end stay in order.
  const backwards = subkeys.toReversed()
  backwards.unshift(...backwards.splice(0, 2).toReversed())
  backwards.push(...backwards.splice(-2).toReversed())
  const layers = key.length === 16 ? 3 : 4
  for (const [part, order] of [subkeys, backwards].entries()) {
    writeWords(area, 288 * part, [layers])
    const view = new DataView(area.buffer, area.byteOffset + 288 * part + 8)
    for (const [i, subkey] of order.entries()) view.setBigUint64(8 * i, subkey)
  }
}

export const camellia: BlockCipherSpec = {
  name: 'camellia',
  sizes: [{ blockBits: 128, keyBits: [128, 192, 256] }],
  tweakBytes: 0,
  expandedBytes: 576,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: makeTables,
  expandKey,
  openssl: { family: 'camellia', isFaster: false },
}
