/** Multiplication in GF(2^128) over arena memory: see assembly/ciphers/gf128.ts. @module */
import { compileKernel } from '@granary/core'
import type { Arena } from '@granary/core'
import { wasmBase64 } from './gf128.wasm.ts'

/** Arguments are pointers and counts of 16-byte blocks. */
export interface Gf128Kernel {
  /** sum ^= hashes[0] * data[0] ^ hashes[1] * data[1] ^ ... */
  multiplyAdd(sum: number, hashes: number, data: number, blocks: number): void
  /** hash = (hash ^ block) * h for every block, in the bit order of GCM. */
  ghash(hash: number, h: number, data: number, blocks: number): void
  fillHalfCounters(counter: number, target: number, blocks: number, half: 0 | 8): void
  /** target ^= source, `length` bytes, a multiple of 16. */
  xorInto(target: number, source: number, length: number): void
}

const instantiate = compileKernel<Gf128Kernel>(wasmBase64)
const kernels = new WeakMap<Arena, Gf128Kernel>()

/** The kernel over an arena, made once for each. */
export const gf128Of = (arena: Arena): Gf128Kernel => {
  const kernel = kernels.get(arena) ?? instantiate(arena)
  kernels.set(arena, kernel)
  return kernel
}
