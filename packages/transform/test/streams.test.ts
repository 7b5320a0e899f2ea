import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Bytes } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import {
  compress,
  compressTransform,
  open,
  openTransform,
  seal,
  sealTransform,
  suites,
  uncompress,
  uncompressTransform,
} from '../src/index.ts'
import type { Piece } from '../src/index.ts'
import { sampleBytes } from './sample-bytes.ts'

const key = seededBytes(32, 1)

const collect = async <Item>(source: AsyncIterable<Item>): Promise<Item[]> => {
  const items: Item[] = []
  for await (const item of source) items.push(item)
  return items
}

/** `bytes` in pieces of random lengths. */
const split = (bytes: Bytes, seed: number, most = 100_000): Bytes[] => {
  const random = seededRandom(seed)
  const pieces: Bytes[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random(most)
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

/** Chunks as a chunker yields them, with a run of zeros among them. */
const chunksOf = (seed: number, count: number): Piece[] => {
  const random = seededRandom(seed)
  const pieces: Piece[] = []
  let offset = 0
  for (let i = 0; i < count; i++) {
    const length = 1 + random(150_000)
    if (random(4) === 0) pieces.push({ kind: 'zero', offset, length: length * 1000 })
    else pieces.push({ kind: 'data', offset, length, bytes: sampleBytes(length, seed + i) })
    offset += pieces.at(-1)?.length ?? 0
  }
  return pieces
}

/** What the pieces stand for, zeros as their length only. */
const contentOf = (pieces: readonly Piece[]): unknown[] =>
  pieces.map(piece =>
    piece.kind === 'zero'
      ? [piece.kind, piece.offset, piece.length]
      : [piece.kind, piece.offset, piece.length, Buffer.from(piece.bytes).toString('base64')],
  )

const joined = (pieces: readonly Piece[]): Buffer =>
  Buffer.concat(pieces.map(piece => (piece.kind === 'data' ? piece.bytes : Buffer.alloc(piece.length))))

t.test('chunks: compress, seal, open and uncompress give the chunks back', async t => {
  for (const { name: suite } of suites) {
    for (const compression of [{ name: 'zstd', level: 1 }, { name: 'lz4' }, { name: 'none' }, {}] as const) {
      const chunks = chunksOf(2, 12)
      const sealed = Buffer.concat(await collect(seal({ key, suite })(compress(compression)(chunks))))
      const opened = uncompress()(open({ key })(split(sealed, 3)))
      t.strictSame(contentOf(await collect(opened)), contentOf(chunks), `${suite}, ${JSON.stringify(compression)}`)
    }
  }
})

t.test('plain bytes, however they are split: with and without compression', async t => {
  const property = fc.asyncProperty(fc.nat(500_000), fc.nat(), fc.boolean(), async (length, seed, isCompressed) => {
    const plain = sampleBytes(length, seed)
    const source = split(plain, seed)
    const sealed = await collect(seal({ key })(isCompressed ? compress({ level: 1 })(source) : source))
    const pieces = await collect(uncompress()(open({ key })(split(Buffer.concat(sealed), seed + 1, 5000))))
    return Buffer.compare(joined(pieces), plain) === 0
  })
  await t.resolves(fc.assert(property, { seed: 4, numRuns: 25 }))
})

t.test('the Transforms do the same in a pipeline', async t => {
  const plain = sampleBytes(700_000, 5)
  const sealed: Bytes[] = []
  await pipeline(
    Readable.from(split(plain, 6)),
    compressTransform({ level: 3 }),
    sealTransform({ key }),
    async source => {
      for await (const bytes of source as AsyncIterable<Bytes>) sealed.push(bytes)
    },
  )
  const opened: Piece[] = []
  await pipeline(Readable.from(sealed), openTransform({ key }), uncompressTransform(), async source => {
    for await (const piece of source as AsyncIterable<Piece>) opened.push(piece)
  })
  t.equal(Buffer.compare(joined(opened), plain), 0)
  const tampered = Buffer.concat(sealed)
  tampered[5000] = (tampered[5000] as number) ^ 1
  await t.rejects(pipeline(Readable.from([tampered]), openTransform({ key }), uncompressTransform(), drain), {
    code: 'GRANARY_AUTHENTICATION',
  })
  await t.rejects(pipeline(Readable.from([tampered.subarray(0, 1000)]), openTransform({ key }), drain), {
    code: 'GRANARY_CORRUPT',
  })
})

const drain = async (source: AsyncIterable<unknown>): Promise<void> => {
  for await (const item of source) if (item === undefined) return
}

/** The header, the sealed records with their prefixes, and the end record of a stream. */
const partsOf = (sealed: Bytes): Bytes[] => {
  const parts = [sealed.subarray(0, 76)]
  for (let at = 76; at < sealed.length;) {
    const end = at + 4 + new DataView(sealed.buffer, sealed.byteOffset).getUint32(at)
    parts.push(sealed.subarray(at, end))
    at = end
  }
  return parts
}

const codeOf = async (bytes: readonly Bytes[], withKey: Bytes = key): Promise<string> => {
  try {
    await drain(open({ key: withKey })(bytes))
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

t.test('records that were moved, left out, repeated, cut off or added are noticed', async t => {
  const sealed = Buffer.concat(await collect(seal({ key })(chunksOf(7, 4))))
  const [header, a, b, c, d, end] = partsOf(sealed) as [Bytes, Bytes, Bytes, Bytes, Bytes, Bytes]
  const other = partsOf(Buffer.concat(await collect(seal({ key })(chunksOf(7, 4)))))
  t.equal(await codeOf([header, a, b, c, d, end]), 'none')
  t.equal(await codeOf([header, b, a, c, d, end]), 'GRANARY_AUTHENTICATION', 'moved')
  t.equal(await codeOf([header, a, c, d, end]), 'GRANARY_AUTHENTICATION', 'left out')
  t.equal(await codeOf([header, a, a, b, c, d, end]), 'GRANARY_AUTHENTICATION', 'repeated')
  t.equal(await codeOf([header, a, b, c, end]), 'GRANARY_AUTHENTICATION', 'its tail left out')
  t.equal(await codeOf([header, a, other[2] as Bytes, c, d, end]), 'GRANARY_AUTHENTICATION', 'of another stream')
  t.equal(await codeOf([header, a, b, c, d]), 'GRANARY_CORRUPT', 'its end left out')
  t.equal(await codeOf([header, a, b, c, d, end, end]), 'GRANARY_CORRUPT', 'its end twice')
  t.equal(await codeOf([header, a, b, c, d, end, new Uint8Array(1)]), 'GRANARY_CORRUPT', 'bytes added')
  t.equal(await codeOf([header, a, b, c, d, Buffer.concat([end, end])]), 'GRANARY_CORRUPT')
  t.equal(await codeOf([header]), 'GRANARY_CORRUPT')
  t.equal(await codeOf([]), 'GRANARY_CORRUPT')
  t.equal(await codeOf([sealed], seededBytes(32, 8)), 'GRANARY_WRONG_KEY')
  for (let length = 0; length < sealed.length; length += 997) {
    if ((await codeOf([sealed.subarray(0, length)])) !== 'GRANARY_CORRUPT') t.fail(`cut off after ${length}`)
  }
})

t.test('every flipped bit of a stream is noticed', async t => {
  const pieces: Piece[] = [
    { kind: 'data', offset: 0, length: 60, bytes: seededBytes(60, 9) },
    { kind: 'zero', offset: 60, length: 1e12 },
  ]
  const sealed = Buffer.concat(await collect(seal({ key })(pieces)))
  const seen = new Map<string, number>()
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const flipped = Buffer.from(sealed)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    const code = await codeOf([flipped])
    seen.set(code, (seen.get(code) ?? 0) + 1)
  }
  t.notOk(seen.has('none'), JSON.stringify([...seen]))
  t.strictSame(
    [...seen.keys()].filter(code => !code.startsWith('GRANARY_')),
    [],
  )
})

t.test('no byte of a record comes out before its tag, and all before it have come out', async t => {
  const sealed = Buffer.concat(await collect(seal({ key })(chunksOf(10, 4))))
  const parts = partsOf(sealed).map(part => Buffer.from(part))
  const third = parts[3] as Buffer
  third[third.length - 1] = (third.at(-1) as number) ^ 1
  const seen: Piece[] = []
  await t.rejects(
    (async () => {
      for await (const piece of open({ key })([Buffer.concat(parts)])) seen.push(piece)
    })(),
    { code: 'GRANARY_AUTHENTICATION' },
  )
  t.equal(seen.length, 2)
})

t.test('streams that are not ones: absurd lengths, other versions, suites and formats', async t => {
  const sealed = Buffer.concat(await collect(seal({ key })([seededBytes(100, 11)])))
  const changed = (at: number, value: number): Bytes[] => {
    const bytes = Buffer.from(sealed)
    bytes[at] = value
    return [bytes]
  }
  t.equal(await codeOf(changed(0, 0)), 'GRANARY_CORRUPT')
  t.equal(await codeOf(changed(8, 2)), 'GRANARY_UNSUPPORTED')
  t.equal(await codeOf(changed(9, 255)), 'GRANARY_UNSUPPORTED')
  t.equal(await codeOf(changed(9, 2)), 'GRANARY_AUTHENTICATION', 'the other suite')
  t.equal(await codeOf(changed(10, 1)), 'GRANARY_UNSUPPORTED')
  t.equal(await codeOf(changed(76, 0xff)), 'GRANARY_CORRUPT', 'a record of 4 GiB')
  t.equal(await codeOf(changed(79, 3)), 'GRANARY_CORRUPT', 'a record shorter than its header')
})

t.test('bad options and sources', async t => {
  const code = 'GRANARY_INVALID_ARGUMENT'
  t.throws(() => seal({ key: key.subarray(1) }), { code })
  t.throws(() => open({ key: key.subarray(1) }), { code })
  t.throws(() => openTransform({ key: key.subarray(1) }), { code })
  t.throws(() => seal({ key, suite: 'rot13' }), { code: 'GRANARY_UNSUPPORTED' })
  const gap: Piece[] = [
    { kind: 'zero', offset: 0, length: 10 },
    { kind: 'zero', offset: 20, length: 10 },
  ]
  await t.rejects(drain(seal({ key })(gap)), { code, detail: { offset: 20, expected: 10 } })
  await t.rejects(drain(seal({ key })(['text'] as unknown as Bytes[])), { code })
  await t.rejects(drain(compress()([null] as unknown as Bytes[])), { code })
  for (const piece of [
    { kind: 'zero', offset: 0, length: -1 },
    { kind: 'zero', offset: 0.5, length: 1 },
    { kind: 'data', offset: 0, length: 10, bytes: seededBytes(9, 1) },
    { kind: 'hole', offset: 0, length: 1 },
  ]) {
    await t.rejects(drain(seal({ key })([piece as Piece])), { code }, JSON.stringify(piece))
  }
  const wrong: Piece = { kind: 'data', offset: 0, length: 10, bytes: seededBytes(9, 1), compression: 0 }
  await t.rejects(drain(uncompress()([wrong])), { code: 'GRANARY_CORRUPT' })
})

t.test('an abort ends a stage with its reason, and closes the source', async t => {
  const reason = new Error('enough')
  for (const run of [
    (signal: AbortSignal, source: AsyncIterable<Bytes>) => compress({ signal })(source),
    (signal: AbortSignal, source: AsyncIterable<Bytes>) => seal({ key, signal })(source),
  ]) {
    const controller = new AbortController()
    let isClosed = false
    const endless = (async function* () {
      try {
        for (let i = 0; ; i++) {
          if (i === 3) controller.abort(reason)
          yield seededBytes(200_000, i)
        }
      } finally {
        isClosed = true
      }
    })()
    await t.rejects(drain(run(controller.signal, endless)), reason)
    t.ok(isClosed)
    await t.rejects(drain(run(AbortSignal.abort(reason), endless)), reason)
  }
})

t.test('a stage is a factory: each use is a stream of its own, sealed under its own salt', async t => {
  const stage = seal({ key })
  const [first, second] = [await collect(stage([new Uint8Array(10)])), await collect(stage([new Uint8Array(10)]))]
  t.notSame(first, second)
  t.equal(await codeOf(first), 'none')
  t.equal(await codeOf(second), 'none')
  t.equal(await codeOf(await collect(stage([]))), 'none', 'an empty stream has an end, too')
})
