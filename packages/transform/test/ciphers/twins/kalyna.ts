import { kalynaSboxes } from '../../../src/ciphers/kalyna.ts'
import { at, gf } from './twin.ts'
import type { Twin } from './twin.ts'

const times = gf(0x11d)
const V = [0x01, 0x01, 0x05, 0x01, 0x08, 0x06, 0x07, 0x04]

/** S-boxes, row shifts, matrix; the state is columns of eight bytes. */
const round = (state: Uint8Array): Uint8Array => {
  const columns = state.length / 8
  const shifted = new Uint8Array(state.length)
  for (const [i, byte] of state.entries()) {
    const row = i % 8
    const column = (Math.floor(i / 8) + Math.floor((row * state.length) / 64)) % columns
    shifted[8 * column + row] = at(kalynaSboxes()[row % 4] as Uint8Array, byte)
  }
  return shifted.map((_, i) => {
    const column = i - (i % 8)
    return V.reduce((sum, factor, j) => sum ^ times(factor, at(shifted, column + ((i + j) % 8))), 0)
  })
}

/** Adds column by column, modulo 2^64. */
const add = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  let carry = 0
  return a.map((byte, i) => {
    if (i % 8 === 0) carry = 0
    const sum = byte + at(b, i) + carry
    carry = sum >> 8
    return sum
  })
}
const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ at(b, i))

/** Oliynykov et al., sections 3 and 4. */
export const kalyna: Twin = (key, { blockBytes }) => {
  const rounds = key.length / 16 === 1 ? 10 : key.length / 16 === 2 ? 14 : 18
  const isDouble = key.length > blockBytes
  const Ka = key.slice(0, blockBytes)
  const Kw = isDouble ? key.slice(blockBytes) : Ka
  const start = new Uint8Array(blockBytes)
  start[0] = (blockBytes + key.length) / 8 + 1
  const Kt = round(add(round(xor(round(add(start, Ka)), Kw)), Ka))
  const keys: Uint8Array[] = []
  for (let i = 0; i <= rounds; i += 2) {
    // v is 0x0001...0001 in 16-bit pieces, moved left by i / 2 bits.
    const v = new Uint8Array(blockBytes)
    for (let j = 0; j < blockBytes; j += 2) {
      const piece = 1 << (i / 2)
      v[j] = piece & 255
      v[j + 1] = piece >> 8
    }
    const modifier = add(Kt, v)
    const turn = isDouble ? 8 * Math.floor(i / 4) : 4 * i
    const turned = key.map((_, j) => at(key, (j + turn) % key.length))
    const part = isDouble && i % 4 === 2 ? turned.slice(blockBytes) : turned.slice(0, blockBytes)
    const even = add(round(xor(round(add(part, modifier)), modifier)), modifier)
    const by = blockBytes / 4 + 3
    keys.push(
      even,
      even.map((_, j) => at(even, (j + by) % blockBytes)),
    )
  }
  return block => {
    let state = add(block, keys[0] as Uint8Array)
    for (let i = 1; i < rounds; i++) state = xor(round(state), keys[i] as Uint8Array)
    return add(round(state), keys[rounds] as Uint8Array)
  }
}
