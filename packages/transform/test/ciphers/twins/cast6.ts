import { castSboxes } from '../../../src/ciphers/cast6.ts'
import { at, join, rotl, split } from './twin.ts'
import type { Twin } from './twin.ts'

const S = (box: number, x: number): number => at(castSboxes()[box - 1] as Uint32Array, x)
const word = (x: number): number => x >>> 0

/** RFC 2612 section 2.2. */
const f = (kind: number, D: number, Km: number, Kr: number): number => {
  if (kind === 1) {
    const I = rotl(word(Km + D), Kr)
    return word((S(1, I >>> 24) ^ S(2, (I >>> 16) & 255)) - S(3, (I >>> 8) & 255) + S(4, I & 255))
  }
  if (kind === 2) {
    const I = rotl(word(Km ^ D), Kr)
    return word((S(1, I >>> 24) - S(2, (I >>> 16) & 255) + S(3, (I >>> 8) & 255)) ^ S(4, I & 255))
  }
  const I = rotl(word(Km - D), Kr)
  return word((word(S(1, I >>> 24) + S(2, (I >>> 16) & 255)) ^ S(3, (I >>> 8) & 255)) - S(4, I & 255))
}

/** RFC 2612 sections 2.3 and 2.4. */
export const cast6: Twin = key => {
  const k = new Uint32Array(8)
  k.set(split(key, false))
  let Cm = 0x5a827999
  let Cr = 19
  const KM: number[][] = []
  const KR: number[][] = []
  const targets = [6, 5, 4, 3, 2, 1, 0, 7]
  const kinds = [1, 2, 3, 1, 2, 3, 1, 2]
  for (let i = 0; i < 12; i++) {
    for (let octave = 0; octave < 2; octave++)
      for (const [step, target] of targets.entries()) {
        k[target] = at(k, target) ^ f(at(kinds, step), at(k, (target + 1) % 8), Cm, Cr)
        Cm = word(Cm + 0x6ed9eba1)
        Cr = (Cr + 17) % 32
      }
    KR.push([at(k, 0) & 31, at(k, 2) & 31, at(k, 4) & 31, at(k, 6) & 31])
    KM.push([at(k, 7), at(k, 5), at(k, 3), at(k, 1)])
  }
  return block => {
    let [A, B, C, D] = split(block, false) as [number, number, number, number]
    for (let i = 0; i < 12; i++) {
      const m = KM[i] as number[]
      const r = KR[i] as number[]
      if (i < 6) {
        C = word(C ^ f(1, D, at(m, 0), at(r, 0)))
        B = word(B ^ f(2, C, at(m, 1), at(r, 1)))
        A = word(A ^ f(3, B, at(m, 2), at(r, 2)))
        D = word(D ^ f(1, A, at(m, 3), at(r, 3)))
      } else {
        D = word(D ^ f(1, A, at(m, 3), at(r, 3)))
        A = word(A ^ f(3, B, at(m, 2), at(r, 2)))
        B = word(B ^ f(2, C, at(m, 1), at(r, 1)))
        C = word(C ^ f(1, D, at(m, 0), at(r, 0)))
      }
    }
    return join([A, B, C, D], false)
  }
}
