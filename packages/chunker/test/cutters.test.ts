import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { DATA, WINDOW_BYTES, chunkerArenaBytes, createChunker, parseChunker } from '../src/index.ts'
import type { Chunker, Cuts } from '../src/index.ts'
import { BLOCK, SECRET, blockRun, contentOf, tailBytes } from './content.ts'
import { isZero, referencePieces } from './twins.ts'
import type { Piece } from './twins.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 200 : 10_000
const CHUNKERS = ['grid:32k', 'fixed:64k', 'fastcdc:16k']
const ROOM = 4 * 1024 * 1024

const piecesOf = ({ count, lengths, kinds }: Cuts): Piece[] =>
  Array.from({ length: count }, (_, at) => ({
    length: lengths[at] as number,
    kind: kinds[at] === DATA ? 'data' : 'zero',
  }))

const open = (name: string, secret: Bytes = SECRET): { chunker: Chunker; slice: { pointer: number; bytes: Bytes } } => {
  const parameters = parseChunker(name)
  const arena = new Arena(chunkerArenaBytes(parameters) + ROOM)
  const chunker = createChunker(parameters, secret, { arena })
  return { chunker, slice: arena.allocate(ROOM) }
}

/** Pushes the content in batches, zeros as zeros that are nowhere in memory, and overwrites what is no longer pending. */
const cutInSteps = (
  chunker: Chunker,
  slice: { pointer: number; bytes: Bytes },
  content: Bytes,
  steps: readonly (readonly [number, boolean])[],
): Piece[] => {
  const cutter = chunker.openCutter()
  const pieces: Piece[] = []
  let given = 0
  const batches = [...steps, [content.length, false] as const]
  for (let at = 0, step = 0; at < content.length; step++) {
    const [blocks, mayOmitZeros] = batches[Math.min(step, batches.length - 1)] as readonly [number, boolean]
    const batch = content.subarray(at, at + Math.min(blocks * BLOCK, content.length))
    slice.bytes.fill(0xff)
    slice.bytes.set(batch)
    const isOmitted = mayOmitZeros && isZero(batch)
    pieces.push(...piecesOf(isOmitted ? cutter.pushZeros(batch.length) : cutter.push(slice.pointer, batch.length)))
    at += batch.length
    given = pieces.reduce((sum, { length }) => sum + length, 0)
    if (!cutter.isInZeroRun && chunker.parameters.strategy !== 'fixed') assert.equal(cutter.pendingBytes, at - given)
    assert.ok(cutter.pendingBytes <= chunker.maxPendingBytes)
  }
  return [...pieces, ...piecesOf(cutter.finish())]
}

for (const name of CHUNKERS) {
  t.test(`${name} cuts as its plain description, however the window comes`, async t => {
    const { chunker, slice } = open(name)
    const cases = fc.property(
      fc.array(blockRun, { maxLength: 12 }),
      tailBytes,
      fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()), { maxLength: 20 }),
      (runs, tail, steps) => {
        const content = contentOf(runs, tail)
        const expected = referencePieces(content, chunker.parameters, SECRET)
        slice.bytes.set(content)
        assert.deepEqual(piecesOf(chunker.cutWindow(slice.pointer, content.length)), expected)
        assert.deepEqual(piecesOf(chunker.cutBytes(content)), expected)
        assert.deepEqual(cutInSteps(chunker, slice, content, steps), expected)
      },
    )
    t.doesNotThrow(() => fc.assert(cases, { numRuns: RUNS, seed: 1 }))
    t.comment(`${RUNS} cases`)
  })
}

t.test('random content is cut as the plain description says, at every size', async t => {
  const content = seededBytes(3 * 1024 * 1024 + 5000, 2)
  for (const name of [
    'grid:32k',
    'grid:128k',
    'grid:1m',
    'fixed:64k',
    'fixed:4m',
    'fastcdc:16k',
    'fastcdc:64k',
    'fastcdc:1m',
  ]) {
    const { chunker } = open(name)
    t.strictSame(piecesOf(chunker.cutBytes(content)), referencePieces(content, chunker.parameters, SECRET), name)
  }
})

t.test('other secrets cut elsewhere, but for fixed', async t => {
  const content = seededBytes(4 * 1024 * 1024, 3)
  const cutsWith = (name: string, secret: Bytes): string =>
    JSON.stringify(piecesOf(open(name, secret).chunker.cutBytes(content)))
  const [one, other] = [seededBytes(32, 4), seededBytes(32, 5)]
  for (const name of ['grid:32k', 'fastcdc:16k']) t.not(cutsWith(name, one), cutsWith(name, other))
  t.equal(cutsWith('fixed:64k', one), cutsWith('fixed:64k', other))
})

t.test('an empty window has no pieces; cutters of one chunker do not disturb each other', async t => {
  for (const name of CHUNKERS) {
    const { chunker, slice } = open(name)
    t.strictSame(piecesOf(chunker.cutBytes(new Uint8Array(0))), [])
    // Block by block, as what the gear hash remembers between batches decides only a cut in 4096 bytes or so.
    const contents = [seededBytes(8 * 1024 * 1024, 6), seededBytes(8 * 1024 * 1024, 7)]
    const cutters = contents.map(() => chunker.openCutter())
    const pieces: Piece[][] = contents.map(() => [])
    for (let at = 0; at < 8 * 1024 * 1024; at += BLOCK) {
      for (const [n, content] of contents.entries()) {
        slice.bytes.set(content.subarray(at, at + BLOCK))
        const cuts = cutters[n]?.push(slice.pointer, BLOCK)
        if (cuts) pieces[n]?.push(...piecesOf(cuts))
      }
    }
    for (const [n, cutter] of cutters.entries()) pieces[n]?.push(...piecesOf(cutter.finish()))
    t.strictSame(
      pieces,
      contents.map(content => piecesOf(chunker.cutBytes(content))),
    )
  }
})

t.test('refuses a short secret, bytes outside the arena, a full arena, and bytes after a part of a block', async t => {
  for (const name of CHUNKERS) {
    const { chunker, slice } = open(name)
    t.throws(() => createChunker(chunker.parameters, new Uint8Array(31)), { code: 'GRANARY_INVALID_ARGUMENT' })
    const full = new Arena(65_536)
    full.allocate(65_000)
    t.throws(() => createChunker(chunker.parameters, SECRET, { arena: full }), { code: 'GRANARY_LIMIT' })
    t.throws(() => chunker.cutWindow(2 ** 31, BLOCK), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.throws(() => chunker.cutBytes(new Uint8Array(WINDOW_BYTES + 1)), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.throws(() => chunker.cutWindow(-1, BLOCK), { code: 'GRANARY_INVALID_ARGUMENT' })
    const cutter = chunker.openCutter()
    cutter.push(slice.pointer, BLOCK + 1)
    t.throws(() => cutter.push(slice.pointer, BLOCK), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.throws(() => cutter.pushZeros(BLOCK), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.strictSame(
      piecesOf(cutter.finish()).reduce((sum, { length }) => sum + length, 0),
      BLOCK + 1,
    )
    cutter.push(slice.pointer, BLOCK)
    t.ok(piecesOf(cutter.finish()).length > 0, 'a finished cutter takes the next window')
  }
})
