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

t.test('runs cover the buffer, alternate, and are zero where they say so', async t => {
  const BLOCK = 16
  // A buffer is drawn as a row of blocks (zero or not) and an odd tail.
  const buffers = fc.tuple(fc.array(fc.boolean(), { maxLength: 40 }), fc.nat({ max: BLOCK - 1 }), fc.boolean())
  const check = ([blocks, tailBytes, isTailZero]: [boolean[], number, boolean], minBlocks: number): void => {
    const bytes = new Uint8Array(blocks.length * BLOCK + tailBytes)
    for (const [i, hasData] of blocks.entries()) if (hasData) bytes[i * BLOCK + (i % BLOCK)] = 1
    if (!isTailZero && tailBytes > 0) bytes[bytes.length - 1] = 1
    const runs = [...zeroRuns(bytes, { blockBytes: BLOCK, minZeroBytes: minBlocks * BLOCK })]
    let at = 0
    let last: ZeroRun | undefined
    for (const run of runs) {
      const isRight =
        run.offset === at &&
        run.length > 0 &&
        run.isZero !== last?.isZero &&
        (!run.isZero || isZero(bytes, run.offset, run.offset + run.length))
      if (!isRight) throw new Error(`run ${run.offset}+${run.length} after ${last?.offset}+${last?.length}`)
      at += run.length
      last = run
    }
    if (at !== bytes.length) throw new Error(`covers ${at} of ${bytes.length}`)
    // Every long enough row of zero blocks is found as such.
    for (let i = 0; i + minBlocks <= blocks.length; i++) {
      if (minBlocks === 0 || blocks.slice(i, i + minBlocks).some(Boolean)) continue
      const run = runs.find(run => run.offset <= i * BLOCK && run.offset + run.length >= (i + minBlocks) * BLOCK)
      if (run?.isZero !== true) throw new Error(`zeros at block ${i} are missed`)
    }
  }
  await t.resolves(async () =>
    fc.assert(
      fc.property(buffers, fc.integer({ min: 1, max: 5 }), (drawn, minBlocks) => check(drawn, minBlocks)),
      { seed: 1, numRuns: 1000 },
    ),
  )
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
