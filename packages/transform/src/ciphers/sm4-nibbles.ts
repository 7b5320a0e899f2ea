/**
 * SM4's S-box by look-ups of four bits, for assembly/ciphers/sm4.ts.
 *
 * S(x) = A(1 / A(x)) with A(x) = M x + 0xd3. GF(2^8) is taken as pairs over its subfield GF(2^4): an element is i alpha + k,
 * where alpha^2 = a alpha + a. Its inverse is (i alpha + k + a i) / n with the norm n = k^2 + a i k + a i^2, and both
 * coordinates are sums of p = (k + a i) / n and q = (k + a i + a k) / n, whose inverses take four divisions in GF(2^4):
 * 1 / p = 1 / (1 / i + a / k) + i + k and 1 / q = 1 / (1 / (i + k) + a / k) + i.
 *
 * The kernel keeps every byte x of its state as the coordinates of M x, so that a round begins with them, and ends with
 * tables that lead back there. 0xd3 is added by the round keys.
 *
 * @see Hamburg, "Accelerating AES with Vector Permute Instructions", CHES 2009, section 3
 * @module
 */
import type { Bytes } from '@granary/core'
import { multiply, parity, power, tabulate } from './galois.ts'
import { at } from './words.ts'

/** x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1. */
const POLYNOMIAL = 0x1f5

/** What A adds. */
const ADDED = 0xd3

const NIBBLES = Array.from({ length: 16 }, (_, nibble) => nibble)
const BYTES = Array.from({ length: 256 }, (_, byte) => byte)

const times = (x: number, y: number): number => multiply(x, y, POLYNOMIAL)
const inverse = (x: number): number => power(x, 254, POLYNOMIAL)

/** The matrix M: row i is 0xa7 turned left by i. */
const linear = (x: number): number =>
  [0, 1, 2, 3, 4, 5, 6, 7].reduce((sum, bit) => sum | (parity(x & turnByte(0xa7, bit)) << bit), 0)

const turnByte = (x: number, bits: number): number => ((x << bits) | (x >> (8 - bits))) & 0xff

/** S(x), as Liu et al. found ("Analysis of the SMS4 Block Cipher", ACISP 2007). */
export const sm4Substitute = (x: number): number => linear(inverse(linear(x) ^ ADDED)) ^ ADDED

/** The field and how its elements are written. */
interface Field {
  /** Element of GF(2^4) by its four bits. */
  readonly elements: readonly number[]
  readonly nibbleOf: ReadonlyMap<number, number>
  readonly a: number
  readonly alpha: number
  /** i << 4 | k by element of GF(2^8). */
  readonly coordinatesOf: ReadonlyMap<number, number>
  /** The state's form of a byte. */
  readonly entered: Uint8Array
}

const makeField = (): Field => {
  const subfield = BYTES.filter(x => power(x, 16, POLYNOMIAL) === x)
  const elements = subfield.reduce((span, x) => (span.includes(x) ? span : [...span, ...span.map(y => x ^ y)]), [
    0,
  ] as readonly number[])
  const [a, alpha] = subfield
    .filter(x => x !== 0)
    .flatMap(x => BYTES.filter(y => !subfield.includes(y) && times(y, y) === (times(x, y) ^ x)).map(y => [x, y]))
    .at(0) as [number, number]
  const coordinatesOf = new Map(
    BYTES.map(pair => [times(elements[pair >> 4] as number, alpha) ^ (elements[pair & 15] as number), pair]),
  )
  const nibbleOf = new Map(elements.map((x, nibble) => [x, nibble]))
  const entered = tabulate(x => coordinatesOf.get(linear(x)) as number)
  return { elements, nibbleOf, a, alpha, coordinatesOf, entered }
}

const field = (): Field => (made ??= makeField())
let made: Field | undefined

const enter = (x: number): number => at(field().entered, x)

/** M (1 / (i alpha + k)) by p and q. */
const invertFrom = (p: number, q: number): number => {
  const { a, alpha } = field()
  const overA = inverse(a)
  const k = times(p ^ q, overA) // k / n; (p + k / n) / a is i / n.
  return linear(times(times(p ^ k, overA), alpha) ^ p)
}

/** L turns words by 2, 10, 18 and 24 bits: what of a byte stays in its place, and what comes two places on or three. */
const stay = (y: number): number => (y ^ (y << 2)) & 0xff
const move = (y: number): number => turnByte(y, 2)

/** The kernel's tables, sixteen bytes each. Nothing is found at 0x80, which stands for a division by zero. */
export const sm4Tables = (): Bytes => {
  const { elements, nibbleOf, a } = field()
  const element = (nibble: number): number => elements[nibble] as number
  const divide = (x: number) => (nibble: number) =>
    nibble === 0 ? 0x80 : (nibbleOf.get(times(x, inverse(element(nibble)))) as number)
  const leave = new Map(BYTES.map(x => [enter(x), x]))
  const fromP = (nibble: number): number => invertFrom(inverse(element(nibble)), 0)
  const fromQ = (nibble: number): number => invertFrom(0, inverse(element(nibble)))
  const tables: readonly ((nibble: number) => number)[] = [
    divide(1),
    divide(a),
    nibble => enter(stay(fromP(nibble))),
    nibble => enter(stay(fromQ(nibble))),
    nibble => enter(move(fromP(nibble))),
    nibble => enter(move(fromQ(nibble))),
    enter,
    nibble => enter(nibble << 4),
    nibble => leave.get(nibble) as number,
    nibble => leave.get(nibble << 4) as number,
  ]
  return Uint8Array.from(tables.flatMap(table => NIBBLES.map(table)))
}

/**
 * Round keys for the kernel, from those of the standard in the order of use. The S-box's first 0xd3 is added to each. Its
 * second one is left out by the rounds, so words 4 to 7 miss L(0xd3d3d3d3), which is each 0xd3 turned by two, words 8 to 11
 * don't (it was left out twice), and so on to the last four, which are whole: the keys of rounds that see an odd number of
 * such words make it up.
 */
export const sm4RoundKeys = (keys: readonly number[]): number[] =>
  keys.map((key, round) => {
    const missing = [1, 2, 3].filter(i => ((round + i) >> 2) & 1).length
    return [24, 16, 8, 0].reduce((word, shift) => {
      const byte = ((key >>> shift) & 0xff) ^ (missing % 2 === 1 ? move(ADDED) : 0)
      return word | ((enter(byte) ^ (field().coordinatesOf.get(ADDED) as number)) << shift)
    }, 0)
  })
