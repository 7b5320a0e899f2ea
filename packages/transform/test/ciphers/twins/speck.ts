import { joinLongs, low64, rotl64, splitLongs } from './twin.ts'
import type { Twin } from './twin.ts'

/** Beaulieu et al., "The Simon and Speck Families of Lightweight Block Ciphers", section 4, with n = 64, alpha 8, beta 3. */
const round = (x: bigint, y: bigint, k: bigint): [bigint, bigint] => {
  const sum = low64(rotl64(x, 56) + y) ^ k
  return [sum, rotl64(y, 3) ^ sum]
}

export const speck: Twin = key => {
  const [k0, ...l] = splitLongs(key) as [bigint, ...bigint[]]
  const rounds = 31 + l.length
  const k = [k0]
  for (let i = 0; i < rounds - 1; i++) {
    const [next, key] = round(l[i] as bigint, k[i] as bigint, BigInt(i))
    l.push(next)
    k.push(key)
  }
  return block => {
    const [low, high] = splitLongs(block) as [bigint, bigint]
    const [x, y] = k.reduce(([x, y], key) => round(x, y, key), [high, low])
    return joinLongs([y, x])
  }
}
