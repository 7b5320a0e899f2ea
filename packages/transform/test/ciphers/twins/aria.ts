import { aesBox } from './aes.ts'
import { at, gf, xor } from './twin.ts'
import type { Twin } from './twin.ts'

const times = gf(0x11b)

/** RFC 5794 section 2.4.2: S2 is B x^247 + b; the matrix as printed, rows from bit 0 down, columns from bit 0 on. */
const B = ['01011110', '00111101', '11010111', '10011101', '00101100', '10000001', '01011101', '11010011']
const raise247 = (x: number): number => {
  let y = 1
  for (let i = 0; i < 247; i++) y = times(y, x)
  return y
}
const S1 = aesBox
const S2 = Array.from({ length: 256 }, (_, x) => {
  const y = raise247(x)
  return (
    B.reduce((sum, row, bit) => {
      const dot = Array.from(row).reduce((total, digit, column) => total + Number(digit) * ((y >> column) & 1), 0)
      return sum | ((dot & 1) << bit)
    }, 0) ^ 0xe2
  )
})
const inverse = (box: readonly number[]): number[] => box.map((_, y) => box.indexOf(y))
const X1 = inverse(S1)
const X2 = inverse(S2)

const A = `3 4 6 8 9 13 14;2 5 7 8 9 12 15;1 4 6 10 11 12 15;0 5 7 10 11 13 14;0 2 5 8 11 14 15;1 3 4 9 10 14 15;
0 2 7 9 10 12 13;1 3 6 8 11 12 13;0 1 4 7 10 13 15;0 1 5 6 11 12 14;2 3 5 6 8 13 15;2 3 4 7 9 12 14;1 2 6 7 9 11 12;
0 3 6 7 8 10 13;0 3 4 5 9 11 14;1 2 4 5 8 10 15`
  .split(';')
  .map(row => row.trim().split(' ').map(Number))

const diffuse = (x: Uint8Array): Uint8Array => Uint8Array.from(A, row => row.reduce((sum, i) => sum ^ at(x, i), 0))
const layer = (x: Uint8Array, boxes: readonly (readonly number[])[]): Uint8Array =>
  x.map((byte, i) => at(boxes[i % 4] as readonly number[], byte))
const SL1 = [S1, S2, X1, X2]
const SL2 = [X1, X2, S1, S2]

const toInteger = (x: Uint8Array): bigint => BigInt(`0x${Buffer.from(x).toString('hex')}`)
const toBytes = (x: bigint): Uint8Array => Uint8Array.from(Buffer.from(x.toString(16).padStart(32, '0'), 'hex'))
const right = (x: Uint8Array, bits: bigint): Uint8Array => {
  const whole = toInteger(x)
  return toBytes(((whole >> bits) | (whole << (128n - bits))) & ((1n << 128n) - 1n))
}
const C = [
  0x517cc1b727220a94fe13abe8fa9a6ee0n,
  0x6db14acc9e21c820ff28b1d5ef5de2b0n,
  0xdb92371d2126e9700324977504e8c90en,
].map(toBytes)

/** RFC 5794 sections 2.2 and 2.3. */
export const aria: Twin = key => {
  const rounds = 8 + key.length / 4
  const CK = [0, 1, 2].map(i => C[(i + key.length / 8 - 2) % 3] as Uint8Array)
  const KL = key.slice(0, 16)
  const KR = new Uint8Array(16)
  KR.set(key.subarray(16))
  const W1 = xor(diffuse(layer(xor(KL, CK[0] as Uint8Array), SL1)), KR)
  const W2 = xor(diffuse(layer(xor(W1, CK[1] as Uint8Array), SL2)), KL)
  const W3 = xor(diffuse(layer(xor(W2, CK[2] as Uint8Array), SL1)), W1)
  const W = [KL, W1, W2, W3]
  const keys = [19n, 31n, 67n, 97n, 109n].flatMap(bits =>
    W.map((word, i) => xor(word, right(W[(i + 1) % 4] as Uint8Array, bits))),
  )
  return block => {
    let state = block
    for (let r = 1; r < rounds; r++)
      state = diffuse(layer(xor(state, keys[r - 1] as Uint8Array), r % 2 === 1 ? SL1 : SL2))
    return xor(layer(xor(state, keys[rounds - 1] as Uint8Array), SL2), keys[rounds] as Uint8Array)
  }
}
