import { seededBytes } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import { isZero, zeroRuns, zeros } from '../src/index.ts'
import type { ZeroRun } from '../src/index.ts'

t.test('one byte anywhere makes a range not zero', async t => {
  const bytes = new Uint8Array(new SharedArrayBuffer(700_000))
  t.equal(isZero(bytes), true)
  t.equal(isZero(new Uint8Array(0)), true)
  for (const at of [0, 1, 262_143, 262_144, 262_145, 699_999]) {
    bytes[at] = 1
    t.equal(isZero(bytes), false, `byte ${at}`)
    t.equal(isZero(bytes, 0, at), true, `before byte ${at}`)
    t.equal(isZero(bytes, at + 1), true, `after byte ${at}`)
    t.equal(isZero(bytes, at, at + 1), false)
    bytes[at] = 0
  }
})

t.test('zeros come in any length up to 256 KiB', async t => {
  t.equal(zeros(10).length, 10)
  t.equal(zeros(2 ** 40).length, 256 * 1024)
  t.equal(isZero(zeros(2 ** 40)), true)
})

const BLOCK = 16

/** A buffer as a row of blocks (with data or not) and an odd tail. */
interface Drawn {
  readonly blocks: boolean[]
  readonly tail: { readonly length: number; readonly hasData: boolean }
  readonly minBlocks: number
}

const bytesOf = ({ blocks, tail }: Drawn): Uint8Array => {
  const bytes = new Uint8Array(blocks.length * BLOCK + tail.length)
  for (const [i, hasData] of blocks.entries()) if (hasData) bytes[i * BLOCK + (i % BLOCK)] = 1
  if (tail.hasData && tail.length > 0) bytes[bytes.length - 1] = 1
  return bytes
}

const checkCover = (bytes: Uint8Array, runs: readonly ZeroRun[]): void => {
  let at = 0
  for (const [i, run] of runs.entries()) {
    if (run.offset !== at || run.length <= 0) throw new Error(`run ${run.offset}+${run.length}, expected one at ${at}`)
    if (run.isZero === runs[i - 1]?.isZero) throw new Error(`run ${run.offset} is like the one before`)
    at += run.length
    if (run.isZero && !isZero(bytes, run.offset, at)) throw new Error(`run ${run.offset} has data`)
  }
  if (at !== bytes.length) throw new Error(`covers ${at} of ${bytes.length}`)
}

/** Every long enough row of zero blocks lies in a run of zeros. */
const checkFound = ({ blocks, minBlocks }: Drawn, runs: readonly ZeroRun[]): void => {
  for (let i = 0; i + minBlocks <= blocks.length; i++) {
    if (blocks.slice(i, i + minBlocks).includes(true)) continue
    const run = runs.findLast(({ offset }) => offset <= i * BLOCK)
    const isFound = run?.isZero === true && run.offset + run.length >= (i + minBlocks) * BLOCK
    if (!isFound) throw new Error(`zeros at block ${i} are missed`)
  }
}

t.test('runs cover the buffer, alternate, are zero where they say so, and miss no long row of zeros', async t => {
  const drawn: fc.Arbitrary<Drawn> = fc.record({
    blocks: fc.array(fc.boolean(), { maxLength: 40 }),
    tail: fc.record({ length: fc.nat({ max: BLOCK - 1 }), hasData: fc.boolean() }),
    minBlocks: fc.integer({ min: 1, max: 5 }),
  })
  const check = (buffer: Drawn): void => {
    const bytes = bytesOf(buffer)
    const runs = [...zeroRuns(bytes, { blockBytes: BLOCK, minZeroBytes: buffer.minBlocks * BLOCK })]
    checkCover(bytes, runs)
    checkFound(buffer, runs)
  }
  await t.resolves(async () => fc.assert(fc.property(drawn, check), { seed: 1, numRuns: 1000 }))
})

t.test('a short row of zeros between data is given as data, at the edges as zeros', async t => {
  const bytes = seededBytes(20 * 4096, 1)
  for (const at of [0, 10 * 4096, 19 * 4096]) bytes.fill(0, at, at + 4096)
  t.strictSame(
    [...zeroRuns(bytes)],
    [
      { offset: 0, length: 4096, isZero: true },
      { offset: 4096, length: 18 * 4096, isZero: false },
      { offset: 19 * 4096, length: 4096, isZero: true },
    ],
  )
})
