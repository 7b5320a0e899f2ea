import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Arena } from '@granary/core'
import type { ArenaSlice, Bytes, ExtentKind } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { DATA, chunkerArenaBytes, createChunker, leastRecutBytes, parseChunker, recutWindow } from '../src/index.ts'
import type { Chunker, ParentPiece, RecutOptions, WindowChange } from '../src/index.ts'
import { BLOCK, SECRET, blockRun, contentOf, tailBytes } from './content.ts'
import { isZero } from './twins.ts'
import type { Piece } from './twins.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 4000 : 200_000

const open = (name: string): { chunker: Chunker; buffer: ArenaSlice } => {
  const parameters = parseChunker(name)
  const arena = new Arena(chunkerArenaBytes(parameters) + 4 * parameters.maxBytes)
  const chunker = createChunker(parameters, SECRET, { arena })
  return { chunker, buffer: arena.allocate(leastRecutBytes(chunker)) }
}

const fullMap = (chunker: Chunker, content: Bytes): Piece[] => {
  const { count, lengths, kinds } = chunker.cutBytes(content)
  return Array.from({ length: count }, (_, at) => ({
    length: lengths[at] as number,
    kind: kinds[at] === DATA ? 'data' : 'zero',
  }))
}

interface Recut {
  readonly pieces: Piece[]
  /** Which pieces of the parent were kept. */
  readonly kept: number[]
  readonly reads: { readonly offset: number; readonly length: number }[]
}

/** Cuts `content` knowing the map of `before`, and checks every piece that comes out. */
const recut = async (
  { chunker, buffer }: ReturnType<typeof open>,
  before: Bytes | undefined,
  content: Bytes,
  changes: readonly WindowChange[],
  annotate: (piece: Piece, at: number) => readonly ParentPiece[] = piece => [piece],
): Promise<Recut> => {
  const parent = before && fullMap(chunker, before).flatMap(annotate)
  const reads: Recut['reads'] = []
  const pieces: Piece[] = []
  const kept: number[] = []
  let at = 0
  let lastFrom = ''
  const read = async (offset: number, target: Bytes): Promise<void> => {
    assert.ok(target.length > 0 && offset + target.length <= content.length)
    target.set(content.subarray(offset, offset + target.length))
    reads.push({ offset, length: target.length })
  }
  for await (const piece of recutWindow({ chunker, buffer, length: content.length, parent, changes, read })) {
    assert.equal(piece.offset, at)
    const now = content.subarray(at, at + piece.length)
    if (piece.from === 'parent') {
      assert.equal(piece.length, parent?.[piece.piece]?.length)
      assert.equal(piece.kind, parent?.[piece.piece]?.kind)
      assert.equal(Buffer.compare(now, (before as Bytes).subarray(at, at + piece.length)), 0, 'kept what changed')
      kept.push(piece.piece)
    } else if (piece.kind === 'data') {
      assert.equal(Buffer.compare(piece.slice.bytes, now), 0, 'bytes of a chunk')
      const { pointer, bytes } = piece.slice
      assert.equal(pointer, bytes.byteOffset)
    } else assert.ok(isZero(now))
    const kind = piece.kind === 'data' ? 'data' : 'zero'
    const last = pieces.at(-1)
    const isLonger = kind === 'zero' && last?.kind === 'zero'
    if (isLonger) assert.equal(`${lastFrom} ${piece.from}`, 'parent parent', 'zeros are one piece but for annotations')
    lastFrom = piece.from
    if (isLonger) pieces.splice(-1, 1, { kind, length: last.length + piece.length })
    else pieces.push({ kind, length: piece.length })
    at += piece.length
  }
  assert.deepEqual(pieces, fullMap(chunker, content))
  const ordered = reads.every(({ offset }, n) => n === 0 || offset >= end(reads[n - 1]))
  assert.ok(ordered, 'no byte is read twice')
  return { pieces, kept, reads }
}

const end = (range: { readonly offset: number; readonly length: number } | undefined): number =>
  range === undefined ? 0 : range.offset + range.length

const bytesRead = ({ reads }: Recut): number => reads.reduce((sum, { length }) => sum + length, 0)

interface Edit {
  /** Where, in 1/1000 of the window, or near a cut of the parent when `nearCut` says so. */
  readonly place: number
  readonly nearCut: boolean
  readonly shift: number
  readonly runs: readonly { symbol: number; count: number }[]
  /** Cuts a part of a block off both ends of the change: what is declared need not be aligned. */
  readonly isRagged: boolean
  readonly isQuiet: boolean
}

const anEdit: fc.Arbitrary<Edit> = fc.record({
  place: fc.nat(999),
  nearCut: fc.boolean(),
  shift: fc.integer({ min: -9, max: 9 }),
  runs: fc.array(
    blockRun.map(({ symbol, count }) => ({ symbol, count: Math.min(count, 12) })),
    { minLength: 1, maxLength: 2 },
  ),
  isRagged: fc.boolean(),
  isQuiet: fc.boolean(),
})

type Resize = readonly [more: readonly { symbol: number; count: number }[], tail: number, keep: number]

/** Most disks keep their size; others are cut short to a share, longer by some blocks, or both. */
const aResize: fc.Arbitrary<Resize | null> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(blockRun, { maxLength: 2 }), tailBytes, fc.constantFrom(0, 0.3, 0.6, 0.9, 1, 1)),
  },
)

/** Applies edits, and says what changed as changed-block tracking would. */
const applyEdits = (content: Bytes, cuts: readonly number[], edits: readonly Edit[]): WindowChange[] => {
  const changes: WindowChange[] = []
  const offsetOf = ({ place, nearCut, shift }: Edit): number => {
    const base = nearCut ? (cuts[Math.floor((place / 1000) * cuts.length)] ?? 0) : (place / 1000) * content.length
    return Math.max(0, Math.floor(base / BLOCK) + shift) * BLOCK
  }
  for (const edit of edits.toSorted((a, b) => offsetOf(a) - offsetOf(b))) {
    const from = Math.max(offsetOf(edit), end(changes.at(-1)))
    if (from >= content.length) continue
    const fill = contentOf(edit.runs).subarray(0, content.length - from)
    const offset = edit.isRagged ? from + 1 : from
    const changed = edit.isRagged ? fill.subarray(1, -1) : fill
    if (changed.length === 0) continue
    if (!edit.isQuiet) content.set(changed, offset)
    const isZeroNow = isZero(content.subarray(offset, offset + changed.length))
    const kinds: ExtentKind[] = ['data', 'zero', 'hole']
    changes.push({ offset, length: changed.length, kind: isZeroNow ? (kinds[edit.place % 3] as ExtentKind) : 'data' })
  }
  return changes
}

/** The content cut short, and other blocks behind it; `replaced` is where bytes that were there before may differ. */
const resized = (before: Bytes, resize: Resize | null): { content: Bytes; replaced: number | undefined } => {
  if (resize === null) return { content: before.slice(), replaced: undefined }
  const [more, tail, keep] = resize
  const kept = before.subarray(0, Math.ceil(before.length * keep))
  const added = contentOf(more, tail)
  const content = new Uint8Array(Buffer.concat([kept, added]))
  const isReplaced = kept.length < before.length && added.length > 0
  return { content, replaced: isReplaced ? kept.length - (kept.length % BLOCK) : undefined }
}

const cutsOf = (pieces: readonly Piece[]): number[] => {
  let at = 0
  return pieces.map(({ length }) => (at += length))
}

/** A zero piece may be recorded in parts, some of them holes. */
const inParts = (piece: Piece, at: number): readonly ParentPiece[] =>
  piece.kind === 'data' || piece.length < 2 * BLOCK || at % 2 === 0
    ? [piece]
    : [
        { length: BLOCK, kind: 'hole' },
        { length: piece.length - BLOCK, kind: 'zero' },
      ]

for (const [name, runs] of [
  ['grid:32k', RUNS],
  ['fixed:64k', RUNS],
  ['fastcdc:16k', Math.ceil(RUNS / 10)],
] as const) {
  t.test(`${name}: a changed window is cut as in full, whatever the changes`, async t => {
    const opened = open(name)
    let readBytes = 0
    let allBytes = 0
    const cases = fc.asyncProperty(
      fc.array(blockRun, { minLength: 1, maxLength: 10 }),
      tailBytes,
      fc.array(anEdit, { maxLength: 5 }),
      aResize,
      async (blocks, tail, edits, resize) => {
        const before = contentOf(blocks, tail)
        const { content, replaced } = resized(before, resize)
        if (content.length === 0) return
        // Where other bytes took the place of old ones, that is a change; what a longer disk has in addition is not declared.
        const edited = content.subarray(0, replaced ?? content.length)
        const changes = applyEdits(edited, cutsOf(fullMap(opened.chunker, before)), edits)
        if (replaced !== undefined) changes.push({ offset: replaced, length: content.length - replaced, kind: 'data' })
        readBytes += bytesRead(await recut(opened, before, content, changes, inParts))
        allBytes += content.length
      },
    )
    await t.resolves(fc.assert(cases, { numRuns: runs, seed: 2 }))
    t.comment(`${runs} cases, ${Math.round((100 * readBytes) / allBytes)} % of the bytes read`)
  })

  t.test(`${name}: without a parent all but known zeros is read, and cut as in full`, async t => {
    const opened = open(name)
    const cases = fc.asyncProperty(
      fc.array(blockRun, { minLength: 1, maxLength: 10 }),
      tailBytes,
      fc.array(anEdit, { maxLength: 5 }),
      async (blocks, tail, edits) => {
        const content = contentOf(blocks, tail)
        const known = applyEdits(content, [], edits)
        await recut(opened, undefined, content, known)
      },
    )
    await t.resolves(fc.assert(cases, { numRuns: Math.ceil(runs / 10), seed: 3 }))
  })
}

t.test('zeros at the start of a chunk that did not change join a zero run before it', async t => {
  const opened = open('grid:32k')
  // The first chunk is cut at its largest size in the middle of 8 zero blocks, 7 of which are its own.
  const before = contentOf([
    { symbol: 1, count: 25 },
    { symbol: 0, count: 8 },
    { symbol: 1, count: 4 },
  ])
  t.equal(fullMap(opened.chunker, before)[0]?.length, opened.chunker.parameters.maxBytes)
  const content = before.slice().fill(0, 20 * BLOCK, 25 * BLOCK)
  const found = await recut(opened, before, content, [{ offset: 20 * BLOCK, length: 5 * BLOCK, kind: 'data' }])
  t.strictSame(found.pieces[1], { kind: 'zero', length: 13 * BLOCK })
})

t.test('what changed is all that is read: whole chunks of it, and no more', async t => {
  const opened = open('grid:32k')
  const before = seededBytes(2 * 1024 * 1024, 10)
  const pieces = fullMap(opened.chunker, before)
  const cuts = cutsOf(pieces)
  const unchanged = await recut(opened, before, before, [])
  t.strictSame([unchanged.reads, unchanged.kept.length], [[], pieces.length])

  const [start, next] = [cuts[20], cuts[21]] as [number, number]
  const content = before.slice()
  content[start + 5000] = 1 ^ (content[start + 5000] as number)
  const one = await recut(opened, before, content, [{ offset: start + 5000, length: 1, kind: 'data' }])
  t.equal(one.reads[0]?.offset, start, 'begins at the start of the chunk')
  t.ok(bytesRead(one) >= next - start)
  t.ok(one.kept.length >= pieces.length - 4, `${pieces.length - one.kept.length} chunks are not kept`)

  const known = await recut(opened, before, new Uint8Array(before.length), [
    { offset: 0, length: before.length, kind: 'hole' },
  ])
  t.strictSame([known.reads, known.pieces], [[], [{ kind: 'zero', length: before.length }]])
})

t.test('an abort ends it, and a failing read comes through', async t => {
  const { chunker, buffer } = open('grid:32k')
  const reason = new Error('enough')
  const controller = new AbortController()
  const drain = async (signal: AbortSignal | undefined, read: () => Promise<void>): Promise<void> => {
    for await (const piece of recutWindow({ chunker, buffer, length: 2 ** 25, changes: [], read, signal })) t.ok(piece)
  }
  const abortive = async (): Promise<void> => controller.abort(reason)
  await t.rejects(drain(controller.signal, abortive), reason)
  await t.rejects(
    drain(undefined, () => Promise.reject(reason)),
    reason,
  )
})

t.test('refuses a window, pieces, changes or a buffer out of range', async t => {
  const { chunker, buffer } = open('grid:32k')
  const good = { chunker, buffer, length: 10 * BLOCK, changes: [], read: async (): Promise<void> => undefined }
  const change = (offset: number, length: number): WindowChange => ({ offset, length, kind: 'data' })
  const data = (length: number): ParentPiece => ({ length, kind: 'data' })
  const bad: Partial<RecutOptions>[] = [
    { length: 0 },
    { length: 2 ** 25 + 1 },
    { length: 4096.5 },
    { parent: [data(0)] },
    { parent: [{ length: -BLOCK, kind: 'zero' }] },
    { parent: [{ length: 2 ** 25 + BLOCK, kind: 'zero' }] },
    // Cut with other parameters.
    { parent: [data(100), data(10 * BLOCK - 100)] },
    { changes: [change(0, 10 * BLOCK + 1)] },
    { changes: [change(-1, 1)] },
    { changes: [change(5, -1)] },
    { changes: [change(BLOCK, BLOCK), change(BLOCK, BLOCK)] },
    { changes: [change(Number.NaN, 1)] },
    { buffer: { ...buffer, bytes: buffer.bytes.subarray(1) } },
    { buffer: { ...buffer, bytes: new Uint8Array(buffer.bytes.length) } },
  ]
  for (const options of bad) {
    await t.rejects(recutWindow({ ...good, ...options }).next(), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
})
