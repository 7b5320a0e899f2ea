import { gf, xor, at } from './twin.ts'
import type { Twin } from './twin.ts'

const times = gf(0x11b)

/** S(x) by stepping through the powers of the generator 3 and of its inverse 0xf6 side by side: FIPS 197 section 5.1.1. */
export const aesBox: readonly number[] = (() => {
  const box = Array.from({ length: 256 }, () => 0x63)
  let x = 1
  let inverse = 1
  do {
    let y = 0
    for (let bit = 0; bit < 8; bit++) {
      const sum = [0, 4, 5, 6, 7].reduce((total, step) => total + ((inverse >> ((bit + step) % 8)) & 1), 0)
      y |= (sum & 1) << bit
    }
    box[x] = y ^ 0x63
    x = times(x, 3)
    inverse = times(inverse, 0xf6)
  } while (x !== 1)
  return box
})()

/** FIPS 197, figures 5 and 11. */
export const aes: Twin = key => {
  const keyWords = key.length / 4
  const rounds = keyWords + 6
  const schedule = [...key]
  let constant = 1
  while (schedule.length < 16 * (rounds + 1)) {
    let word = schedule.slice(-4)
    const i = schedule.length / 4
    if (i % keyWords === 0) {
      word = [...word.slice(1), at(word, 0)].map(byte => at(aesBox, byte))
      word[0] = at(word, 0) ^ constant
      constant = times(constant, 2)
    } else if (keyWords > 6 && i % keyWords === 4) word = word.map(byte => at(aesBox, byte))
    const before = schedule.slice(-4 * keyWords)
    schedule.push(...word.map((byte, j) => byte ^ at(before, j)))
  }
  return block => {
    let state = xor(block, schedule)
    for (let round = 1; round <= rounds; round++) {
      const shifted = state.map((_, i) => at(aesBox, at(state, (i + 4 * (i % 4)) % 16)))
      const mixed = shifted.map((_, i) => {
        const column = i - (i % 4)
        const byte = (step: number): number => at(shifted, column + ((i + step) % 4))
        return times(2, byte(0)) ^ times(3, byte(1)) ^ byte(2) ^ byte(3)
      })
      state = xor(round === rounds ? shifted : mixed, schedule.slice(16 * round))
    }
    return state
  }
}
