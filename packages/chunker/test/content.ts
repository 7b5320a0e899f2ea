/** Disk content that meets every rule of the chunkers often: few kinds of blocks, in runs. */
import fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { gridVerdict } from './twins.ts'

export const BLOCK = 4096

export const SECRET = seededBytes(32, 1)

/** Blocks by what grid:32k says of them: zero, never a cut, a cut of long chunks, a cut of any chunk; and one mostly zero. */
const paletteOf = (): Bytes[] => {
  const wanted = [(v: Verdict) => !v.endsLong, (v: Verdict) => v.endsLong && !v.ends, (v: Verdict) => v.ends]
  const palette: Bytes[] = [new Uint8Array(BLOCK)]
  for (const isWanted of wanted) {
    for (let seed = 100, found = 0; found < 2; seed++) {
      const block = seededBytes(BLOCK, seed)
      if (!isWanted(gridVerdict(block, 32_768, SECRET))) continue
      palette.push(block)
      found++
    }
  }
  const nearlyZero = new Uint8Array(BLOCK)
  nearlyZero[BLOCK - 1] = 1
  return [...palette, nearlyZero]
}

type Verdict = ReturnType<typeof gridVerdict>

const PALETTE: readonly Bytes[] = paletteOf()

/** Equal blocks in a row. Zero runs are as common as all else, and their lengths are near the limit. */
export const blockRun: Arbitrary<{ symbol: number; count: number }> = fc.record({
  symbol: fc.oneof(fc.constant(0), fc.constant(1), fc.nat(PALETTE.length - 1)),
  count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 5, max: 11 }), fc.integer({ min: 1, max: 40 })),
})

/** The runs one after the other, and `tail` bytes of the last kind of block. */
export const contentOf = (runs: readonly { symbol: number; count: number }[], tail = 0): Bytes => {
  const symbols = runs.flatMap(({ symbol, count }) => Array.from({ length: count }, () => symbol))
  const content = new Uint8Array(symbols.length * BLOCK + tail)
  for (const [block, symbol] of symbols.entries()) content.set(PALETTE[symbol] as Bytes, block * BLOCK)
  content.set((PALETTE[symbols.at(-1) ?? 1] as Bytes).subarray(BLOCK - tail), symbols.length * BLOCK)
  return content
}

export const tailBytes: Arbitrary<number> = fc.oneof(
  fc.constant(0),
  fc.constant(0),
  fc.integer({ min: 1, max: BLOCK - 1 }),
)
