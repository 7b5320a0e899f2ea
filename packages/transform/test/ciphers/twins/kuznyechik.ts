import { gostPi } from '../../../src/ciphers/kuznyechik.ts'
import { at, gf, xor } from './twin.ts'
import type { Twin } from './twin.ts'

const times = gf(0x1c3)
const FACTORS = [148, 32, 133, 16, 194, 192, 1, 251, 1, 192, 194, 16, 133, 32, 148, 1]

/** RFC 7801 section 4.2: R once, then sixteen times. */
const R = (a: Uint8Array): Uint8Array =>
  Uint8Array.of(
    a.reduce((sum, x, i) => sum ^ times(x, at(FACTORS, i)), 0),
    ...a.subarray(0, 15),
  )
const L = (a: Uint8Array): Uint8Array => Array.from({ length: 16 }).reduce((state: Uint8Array) => R(state), a)
const LSX = (k: Uint8Array, a: Uint8Array): Uint8Array => L(xor(k, a).map(x => at(gostPi(), x)))

/** RFC 7801 sections 4.3 and 4.4. */
export const kuznyechik: Twin = key => {
  const keys: Uint8Array[] = [key.slice(0, 16), key.slice(16)]
  let [a1, a0]: [Uint8Array, Uint8Array] = [key.slice(0, 16), key.slice(16)]
  for (let i = 1; i <= 32; i++) {
    const number = new Uint8Array(16)
    number[15] = i
    ;[a1, a0] = [xor(LSX(L(number), a1), a0), a1]
    if (i % 8 === 0) keys.push(a1, a0)
  }
  return block =>
    xor(
      keys.slice(0, 9).reduce((state, k) => LSX(k, state), block),
      keys[9] as Uint8Array,
    )
}
