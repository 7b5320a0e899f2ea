import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import t from 'tap'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { DATA, WINDOW_BYTES, chunk, chunkTransform, createChunker, parseChunker } from '../src/index.ts'
import type { Chunk } from '../src/index.ts'
import { SECRET, blockRun, contentOf, tailBytes } from './content.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 100 : 3000
const NAMES = ['grid:32k', 'fixed:64k', 'fastcdc:16k']

/** What of the chunks must not depend on how the stream was split; checks that they cover the content. */
const summaryOf = (chunks: readonly Chunk[], content: Bytes): string[] => {
  let at = 0
  const summary = chunks.map(piece => {
    assert.equal(piece.offset, at)
    const expected = content.subarray(at, at + piece.length)
    const bytes = piece.kind === 'data' ? piece.bytes : new Uint8Array(piece.length)
    assert.equal(Buffer.compare(bytes, expected), 0)
    at += piece.length
    return `${piece.kind} ${piece.length}`
  })
  assert.equal(at, content.length)
  return summary
}

const collect = async (source: AsyncIterable<Chunk>): Promise<Chunk[]> => {
  const chunks: Chunk[] = []
  for await (const piece of source) chunks.push(piece)
  return chunks
}

const splitAt = function* (content: Bytes, sizes: readonly number[]): Generator<Bytes> {
  let at = 0
  for (const size of sizes) {
    yield content.slice(at, at + size)
    at += size
  }
  yield content.slice(at)
}

/** A stage has taken what it needs of an item when it asks for the next. */
const overwriting = function* (source: Iterable<Bytes>): Generator<Bytes> {
  for (const item of source) {
    yield item
    item.fill(0xee)
  }
}

const windowCuts = (name: string, content: Bytes): string[] => {
  const { count, lengths, kinds } = createChunker(parseChunker(name), SECRET).cutBytes(content)
  return Array.from({ length: count }, (_, at) => `${kinds[at] === DATA ? 'data' : 'zero'} ${lengths[at]}`)
}

for (const name of NAMES) {
  const options = { parameters: parseChunker(name), secret: SECRET }

  t.test(`${name}: any split of a stream gives the same chunks, which are those of a disk`, async t => {
    const cases = fc.asyncProperty(
      fc.array(blockRun, { maxLength: 40 }),
      tailBytes,
      fc.array(fc.oneof(fc.nat(10), fc.nat(9000), fc.nat(900_000)), { maxLength: 12 }),
      async (runs, tail, sizes) => {
        const content = contentOf(runs, tail)
        const expected = windowCuts(name, content)
        assert.deepEqual(
          summaryOf(await collect(chunk(options)(overwriting(splitAt(content, sizes)))), content),
          expected,
        )
        const stream = Readable.from(splitAt(content, sizes), { objectMode: false }).pipe(chunkTransform(options))
        assert.deepEqual(summaryOf(await collect(stream as AsyncIterable<Chunk>), content), expected)
      },
    )
    await t.resolves(fc.assert(cases, { numRuns: RUNS, seed: 4 }))
    t.comment(`${RUNS} cases`)
  })

  t.test(`${name}: a disk as a stream is cut at windows, and else without end`, async t => {
    const content = new Uint8Array(WINDOW_BYTES + 3 * 1024 * 1024)
    content.set(seededBytes(2 * 1024 * 1024, 5), WINDOW_BYTES - 1024 * 1024)
    const windows = [content.subarray(0, WINDOW_BYTES), content.subarray(WINDOW_BYTES)]
    const asDisk = await collect(chunk({ ...options, isDisk: true })([content]))
    t.strictSame(
      summaryOf(asDisk, content),
      windows.flatMap(window => windowCuts(name, window)),
    )
    const asStream = await collect(chunk({ ...options, isDisk: false })([content]))
    const isCutAtWindow = asStream.some(({ offset }) => offset === WINDOW_BYTES)
    t.equal(summaryOf(asStream, content).length > 0 && isCutAtWindow, name === 'fixed:64k')
    const byDefault = await collect(chunk(options)([content]))
    t.equal(byDefault.length, (name === 'fastcdc:16k' ? asStream : asDisk).length)
  })

  t.test(`${name}: an empty stream has no chunks`, async t => {
    t.strictSame(await collect(chunk(options)([])), [])
    t.strictSame(await collect(Readable.from([]).pipe(chunkTransform(options)) as AsyncIterable<Chunk>), [])
  })
}

t.test('an abort ends a stage with the reason and closes its source', async t => {
  const options = { parameters: parseChunker('grid'), secret: SECRET }
  const reason = new Error('enough')
  let isClosed = false
  const endless = function* (): Generator<Bytes> {
    try {
      for (let seed = 0; ; seed++) yield seededBytes(1024 * 1024, seed)
    } finally {
      isClosed = true
    }
  }
  const controller = new AbortController()
  await t.rejects(async () => {
    for await (const piece of chunk({ ...options, signal: controller.signal })(endless())) {
      if (piece.offset > 0) controller.abort(reason)
    }
  }, reason)
  t.equal(isClosed, true)

  isClosed = false
  const other = new AbortController()
  const sink = new Writable({
    objectMode: true,
    write(_piece, _encoding, done) {
      other.abort(reason)
      done()
    },
  })
  await t.rejects(pipeline(endless(), chunkTransform(options), sink, { signal: other.signal }), { name: 'AbortError' })
  t.equal(isClosed, true)
  t.throws(() => chunkTransform({ ...options, secret: new Uint8Array(1) }), { code: 'GRANARY_INVALID_ARGUMENT' })
  await t.rejects(collect(chunk(options)(['text'] as unknown as Bytes[])), { code: 'GRANARY_INVALID_ARGUMENT' })
})
