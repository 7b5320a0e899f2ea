/** HChaCha20 as draft-irtf-cfrg-xchacha, section 2.2, reads: the ChaCha20 rounds of key and nonce, without the final addition. */
import { rotl, split, join } from './ciphers/twins/twin.ts'

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]

const quarter = (state: number[], a: number, b: number, c: number, d: number): void => {
  const at = (i: number): number => state[i] as number
  for (const [bigger, lesser] of [
    [16, 12],
    [8, 7],
  ] as const) {
    state[a] = (at(a) + at(b)) >>> 0
    state[d] = rotl(at(d) ^ at(a), bigger)
    state[c] = (at(c) + at(d)) >>> 0
    state[b] = rotl(at(b) ^ at(c), lesser)
  }
}

/** @param nonce 16 bytes */
export const hChaCha20 = (key: Uint8Array, nonce: Uint8Array): Uint8Array => {
  const state = [...CONSTANTS, ...split(key, true), ...split(nonce, true)]
  for (let double = 0; double < 10; double++) {
    for (let i = 0; i < 4; i++) quarter(state, i, 4 + i, 8 + i, 12 + i)
    for (let i = 0; i < 4; i++) quarter(state, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  return join([...state.slice(0, 4), ...state.slice(12)], true)
}
