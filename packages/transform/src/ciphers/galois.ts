/** Arithmetic in GF(2^8), from which S-boxes and diffusion matrices of many ciphers are made. @module */

/** The product of two polynomials modulo `polynomial` (of degree 8, its x^8 term included). */
export const multiply = (a: number, b: number, polynomial: number): number => {
  let product = 0
  for (let left = a, right = b; right !== 0; right >>= 1) {
    if (right & 1) product ^= left
    left <<= 1
    if (left & 0x100) left ^= polynomial
  }
  return product
}

/** `base` to the power `exponent`. With exponent 254 that is the inverse, and 0 for 0. */
export const power = (base: number, exponent: number, polynomial: number): number => {
  let result = 1
  for (let square = base, left = exponent; left !== 0; left >>= 1) {
    if (left & 1) result = multiply(result, square, polynomial)
    square = multiply(square, square, polynomial)
  }
  return result
}

/** 1 when an odd number of bits is set. */
export const parity = (bits: number): number => {
  let left = bits
  for (let shift = 16; shift > 0; shift >>= 1) left ^= left >> shift
  return left & 1
}

/** The table of a function on bytes. */
export const tabulate = (value: (x: number) => number): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, x) => value(x))

/** The inverse of a permutation of bytes. */
export const invert = (box: Uint8Array): Uint8Array => {
  const inverse = new Uint8Array(256)
  for (const [x, y] of box.entries()) inverse[y] = x
  return inverse
}
