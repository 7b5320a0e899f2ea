/** Kuznyechik. @see GOST R 34.12-2015, RFC 7801 @module */
import { compileKernel } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { invert, multiply } from './galois.ts'
import { wasmBase64 } from './kuznyechik.wasm.ts'
import { at } from './words.ts'

/** x^8 + x^7 + x^6 + x + 1, RFC 7801 section 2.2. */
const POLYNOMIAL = 0x1c3

const PI_HEX =
  'fceedd11cf6e3116fbc4fada23c5044de977f0db932e99ba1736f1bb14cd5fc1f918655ae25cef21811c3c428b018e4f' +
  '058402aee36a8fa0060bed987fd4d31feb342c51eac848abf22a68a2fd3aceccb5700e56080c7612bf7213479cb75d87' +
  '15a19629107b9ac7f391786f9d9eb2b13275193dff358a7e6d54c680c3bd0d57dff524a93ea843c9d779d6f67c22b903' +
  'e00fecde7a94b0bcdce828504e330a4aa79760731e0062441ab83882649f2641ad454692275e552f8ca3a57d69d5953b' +
  '0758b34086ac1df730376be488d9e789e11b83494c3ff8fe8d53aa90cad88561207167a42d2b095bcb9b25d0bee56c52' +
  '59a674d2e6f4b4c0d166afc2394b63b6'

/** The substitution Pi, RFC 7801 section 4.1.1; Streebog has the same one. */
export const gostPi = (): Uint8Array => (pi ??= Uint8Array.from(Buffer.from(PI_HEX, 'hex')))
let pi: Uint8Array | undefined

/** The coefficients of the linear function l, RFC 7801 section 4.1.2, that of the first byte first. */
const COEFFICIENTS = [148, 32, 133, 16, 194, 192, 1, 251, 1, 192, 194, 16, 133, 32, 148, 1]

/** L = R^16: sixteen times, l of the block becomes its first byte and the last byte falls out. */
const linear = (block: Uint8Array): Uint8Array => {
  const state = Array.from(block)
  for (let i = 0; i < 16; i++) {
    let sum = 0
    for (const [place, byte] of state.entries()) sum ^= multiply(byte, at(COEFFICIENTS, place), POLYNOMIAL)
    state.pop()
    state.unshift(sum)
  }
  return Uint8Array.from(state)
}

const inverseLinear = (block: Uint8Array): Uint8Array => {
  const state = Array.from(block)
  for (let i = 0; i < 16; i++) {
    const first = state.shift() as number
    let sum = first // The coefficient of the last byte is 1.
    for (const [place, byte] of state.entries()) sum ^= multiply(byte, at(COEFFICIENTS, place), POLYNOMIAL)
    state.push(sum)
  }
  return Uint8Array.from(state)
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ at(b, i))

/** Writes, for every place in a block, the images of its 256 substituted values under a linear function. */
const writeLookUps = (target: Bytes, box: Uint8Array, transform: (block: Uint8Array) => Uint8Array): void => {
  for (let place = 0; place < 16; place++) {
    // Linear: the image of a byte is the sum of the images of its bits.
    const bits = Array.from({ length: 8 }, (_, bit) => {
      const block = new Uint8Array(16)
      block[place] = 1 << bit
      return transform(block)
    })
    for (const [x, y] of box.entries()) {
      const chosen = bits.filter((_, bit) => (y >> bit) & 1)
      target.set(chosen.reduce(xor, new Uint8Array(16)), (place * 256 + x) * 16)
    }
  }
}

/** LS, inverse LS, S, inverse S: see assembly/ciphers/kuznyechik.ts. */
const makeTables = (): Bytes => {
  const tables = new Uint8Array(131_584)
  writeLookUps(tables.subarray(0, 65_536), gostPi(), linear)
  writeLookUps(tables.subarray(65_536), invert(gostPi()), inverseLinear)
  tables.set(gostPi(), 131_072)
  tables.set(invert(gostPi()), 131_328)
  return tables
}

/** RFC 7801 section 4.3: eight Feistel rounds, keyed by the iteration constants L(1), L(2), ..., for every two round keys. */
const roundKeys = (key: Bytes): Uint8Array[] => {
  let left: Uint8Array = key.slice(0, 16)
  let right: Uint8Array = key.slice(16)
  const keys = [left, right]
  for (let i = 1; i <= 32; i++) {
    const number = new Uint8Array(16)
    number[15] = i
    const substituted = xor(left, linear(number)).map(byte => at(gostPi(), byte))
    const mixed = xor(linear(substituted), right)
    right = left
    left = mixed
    if (i % 8 === 0) keys.push(left, right)
  }
  return keys
}

const expandKey = (key: Bytes, area: Bytes): void => {
  const keys = roundKeys(key)
  for (const [i, roundKey] of keys.entries()) {
    area.set(roundKey, 16 * i)
    area.set(i === 0 ? roundKey : inverseLinear(roundKey), 160 + 16 * (9 - i))
  }
}

export const kuznyechik: BlockCipherSpec = {
  name: 'kuznyechik',
  sizes: [{ blockBits: 128, keyBits: [256] }],
  tweakBytes: 0,
  expandedBytes: 320,
  instantiate: compileKernel<BlockKernel>(wasmBase64),
  tables: makeTables,
  expandKey,
}
