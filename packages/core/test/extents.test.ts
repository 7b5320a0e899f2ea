import fc from 'fast-check'
import t from 'tap'
import { alignRanges, clipExtents, dataRanges, markDirty, mergeExtents, overlayExtents } from '../src/index.ts'
import type { Extent, ExtentKind, Range } from '../src/index.ts'

/**
 * The model: a stream of extents is what it says of each byte. `undefined` where it says nothing.
 * `fileOffset` is that of the byte itself.
 */
type Model<Value> = (Value | undefined)[]
type Said = Omit<Extent, 'offset' | 'length'>

const SIZE = 60

const modelOf = async (extents: AsyncIterable<Extent> | Iterable<Extent>): Promise<Model<Said>> => {
  const model: Model<Said> = Array.from({ length: SIZE })
  let end = 0
  for await (const { offset, length, ...said } of extents) {
    if (offset < end) throw new Error(`extent at ${offset} overlaps the one before, which ends at ${end}`)
    end = offset + length
    for (let i = offset; i < end; i++) {
      model[i] = said.fileOffset === undefined ? said : { ...said, fileOffset: said.fileOffset + (i - offset) }
    }
  }
  return model
}

const collect = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Ascending, touching extents from 0 on. */
const extentStreams: fc.Arbitrary<Extent[]> = fc
  .array(
    fc.record({
      length: fc.integer({ min: 1, max: 12 }),
      kind: fc.constantFrom<ExtentKind>('data', 'zero', 'hole'),
      dirty: fc.constantFrom(true, false, undefined),
      fileOffset: fc.option(fc.constantFrom(0, 1000), { nil: undefined }),
    }),
    { maxLength: 10 },
  )
  .map(parts => {
    let offset = 0
    const extents: Extent[] = []
    for (const { length, kind, dirty, fileOffset } of parts) {
      if (offset + length > SIZE) break
      extents.push({
        offset,
        length,
        kind,
        ...(dirty === undefined ? {} : { dirty }),
        // Most go on where the one before ends, so that merging has something to do.
        ...(fileOffset === undefined ? {} : { fileOffset: fileOffset + offset }),
      })
      offset += length
    }
    return extents
  })

/** Ascending ranges with gaps, some of them touching. */
const rangeStreams: fc.Arbitrary<Range[]> = fc
  .array(fc.record({ gap: fc.nat({ max: 8 }), length: fc.integer({ min: 1, max: 10 }) }), { maxLength: 8 })
  .map(parts => {
    let at = 0
    const ranges: Range[] = []
    for (const { gap, length } of parts) {
      if (at + gap + length > SIZE) break
      ranges.push({ offset: at + gap, length })
      at += gap + length
    }
    return ranges
  })

const covered = (ranges: readonly Range[]): boolean[] =>
  Array.from({ length: SIZE }, (_, i) => ranges.some(({ offset, length }) => offset <= i && i < offset + length))

const holds = <Drawn>(drawn: fc.Arbitrary<Drawn>, check: (drawn: Drawn) => Promise<void>): Promise<void> =>
  fc.assert(fc.asyncProperty(drawn, check), { seed: 2, numRuns: 400 })

const expectSame = (found: unknown, wanted: unknown): void => {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return
  throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`)
}

t.test('clipping keeps what is inside and says the same of it', async t => {
  const drawn = fc.record({ extents: extentStreams, offset: fc.nat({ max: SIZE }), length: fc.nat({ max: SIZE }) })
  await t.resolves(
    holds(drawn, async ({ extents, offset, length }) => {
      const wanted = (await modelOf(extents)).map((said, i) => (i >= offset && i < offset + length ? said : undefined))
      expectSame(await modelOf(clipExtents(extents, { offset, length })), wanted)
    }),
  )
})

t.test('merging says the same with the fewest extents', async t => {
  await t.resolves(
    holds(extentStreams, async extents => {
      const merged = await collect(mergeExtents(extents))
      const model = await modelOf(extents)
      expectSame(await modelOf(merged), model)
      // A border is needed exactly where two neighbouring bytes differ in more than an offset that goes on.
      const step = (i: number): string => {
        const said = model[i]
        return JSON.stringify(said?.fileOffset === undefined ? said : { ...said, fileOffset: said.fileOffset - i })
      }
      const said = model.filter(said => said !== undefined).length
      let borders = said > 0 ? 1 : 0
      for (let i = 1; i < said; i++) if (step(i) !== step(i - 1)) borders++
      expectSame(merged.length, borders)
    }),
  )
})

t.test('an overlay gives each piece what covers it', async t => {
  await t.resolves(
    holds(fc.record({ extents: extentStreams, over: rangeStreams }), async ({ extents, over }) => {
      const pieces = await collect(overlayExtents(extents, over))
      expectSame(await modelOf(pieces.map(({ extent }) => extent)), await modelOf(extents))
      for (const { extent, over: found } of pieces) {
        const touching = over.filter(
          range => range.offset < extent.offset + extent.length && extent.offset < range.offset + range.length,
        )
        expectSame(touching, found === undefined ? [] : [found])
        if (found === undefined) continue
        if (found.offset > extent.offset || found.offset + found.length < extent.offset + extent.length)
          throw new Error(`${extent.offset}+${extent.length} sticks out of ${found.offset}+${found.length}`)
      }
    }),
  )
})

t.test('marking makes dirty what is listed, and nothing else', async t => {
  await t.resolves(
    holds(fc.record({ extents: extentStreams, dirty: rangeStreams }), async ({ extents, dirty }) => {
      const isDirty = covered(dirty)
      const wanted = (await modelOf(extents)).map((said, i) => said && isDirty[i])
      expectSame(
        (await modelOf(markDirty(extents, dirty))).map(said => said?.dirty),
        wanted,
      )
    }),
  )
})

t.test('data ranges are the bytes to read, joined', async t => {
  await t.resolves(
    holds(fc.record({ extents: extentStreams, skipClean: fc.boolean() }), async ({ extents, skipClean }) => {
      const ranges = await collect(dataRanges(extents, { skipClean }))
      const wanted = (await modelOf(extents)).map(
        said => said !== undefined && said.kind === 'data' && !(skipClean && said.dirty === false),
      )
      expectSame(covered(ranges), wanted)
      for (const [i, { offset }] of ranges.entries()) {
        const before = ranges[i - 1]
        if (before !== undefined && before.offset + before.length >= offset) throw new Error('two ranges touch')
      }
    }),
  )
})

t.test('aligning covers whole units, and no others', async t => {
  const drawn = fc.record({ ranges: rangeStreams, unit: fc.integer({ min: 1, max: 16 }), isCut: fc.boolean() })
  await t.resolves(
    holds(drawn, async ({ ranges, unit, isCut }) => {
      const aligned = await collect(alignRanges(ranges, unit, isCut ? { sizeBytes: SIZE } : {}))
      const isCovered = covered(ranges)
      const wanted = isCovered.map((_, i) => {
        const start = i - (i % unit)
        return isCovered.slice(start, start + unit).includes(true)
      })
      expectSame(covered(aligned), wanted)
      for (const [i, { offset, length }] of aligned.entries()) {
        const before = aligned[i - 1]
        if (before !== undefined && before.offset + before.length >= offset) throw new Error('two ranges touch')
        if (isCut && offset + length > SIZE) throw new Error('sticks out')
        if (!isCut && (offset + length) % unit !== 0) throw new Error('not whole units')
      }
    }),
  )
})

t.test('refuses units that are none', async t => {
  for (const unit of [0, -1, 0.5, Number.NaN])
    await t.rejects(collect(alignRanges([{ offset: 0, length: 1 }], unit)), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('streams that are left early are closed', async t => {
  let isClosed = 0
  async function* endless(): AsyncGenerator<Extent> {
    try {
      for (let offset = 0; ; offset += 10) yield { offset, length: 10, kind: 'data' }
    } finally {
      isClosed++
    }
  }
  t.equal((await collect(clipExtents(endless(), { offset: 5, length: 10 }))).length, 2)
  t.equal(isClosed, 1)
  for await (const { extent } of overlayExtents(endless(), endless())) if (extent.offset > 50) break
  t.equal(isClosed, 3)
})
