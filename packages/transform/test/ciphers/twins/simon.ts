import { joinLongs, low64, rotl64, splitLongs } from './twin.ts'
import type { Twin } from './twin.ts'

/** The sequences z2, z3, z4 from their shift registers would be longer than the sequences: as printed in the paper, section 3.2. */
const Z = [
  '10101111011100000011010010011000101000010001111110010110110011',
  '11011011101011000110010111100000010010001010011100110100001111',
  '11010001111001101011011000100000010111000011001010010011101111',
]

/** The paper, sections 3.1 and 3.2, with n = 64. */
export const simon: Twin = key => {
  const m = key.length / 8
  const k = splitLongs(key)
  const rounds = [68, 69, 72][m - 2] as number
  for (let i = m; i < rounds; i++) {
    let tmp = rotl64(k[i - 1] as bigint, 61)
    if (m === 4) tmp ^= k[i - 3] as bigint
    tmp ^= rotl64(tmp, 63)
    const z = BigInt((Z[m - 2] as string).charAt((i - m) % 62))
    k.push((2n ** 64n - 4n) ^ z ^ (k[i - m] as bigint) ^ tmp)
  }
  return block => {
    let [y, x] = splitLongs(block) as [bigint, bigint]
    for (const key of k) [x, y] = [y ^ (rotl64(x, 1) & rotl64(x, 8)) ^ rotl64(x, 2) ^ key, x]
    return joinLongs([y, x].map(low64))
  }
}
