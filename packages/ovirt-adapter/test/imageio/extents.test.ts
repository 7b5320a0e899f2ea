/** Lists of extents: parsed as they come, whole or refused, and kept small. CONTRACT §6.5 */
import t from 'tap'
import type { Extent, ExtentKind } from '@granary/core'
import { seededRandom } from '@granary/testing'
import { ExtentList } from '../../src/imageio/extent-list.ts'
import { ExtentParser } from '../../src/imageio/extent-parser.ts'
import type { ExtentRow } from '../../src/imageio/extent-parser.ts'

const collect = async (extents: AsyncIterable<Extent>): Promise<Extent[]> => {
  const all: Extent[] = []
  for await (const extent of extents) all.push(extent)
  return all
}

const parse = (text: string, pieceLength: number): ExtentRow[] => {
  const rows: ExtentRow[] = []
  const parser = new ExtentParser(row => rows.push(row))
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceLength) parser.write(bytes.subarray(at, at + pieceLength))
  parser.end()
  return rows
}

const ROWS = '[{"start": 0, "length": 10, "zero": true, "hole": true},\n {"start":10,"length":5,"dirty":false}] \n'

t.test('rows come out the same however the text is cut', async t => {
  for (let pieceLength = 1; pieceLength <= ROWS.length; pieceLength++)
    t.same(parse(ROWS, pieceLength), [
      { start: 0, length: 10, zero: true, hole: true, dirty: undefined },
      { start: 10, length: 5, zero: undefined, hole: false, dirty: false },
    ])
})

for (const text of [
  '',
  '[',
  '[]',
  '{}',
  '[{"start":0,"length":1}',
  '[{"start":0,"length":1},]',
  '[{"start":0,"length":1}] x',
  '[{"start":"0","length":1}]',
  '[{"start":0,"length":1e99}]',
  '[{"start":0,"length":1,"zero":"yes"}]',
  '[{"start":0,"length":1 "zero":true}]',
  `[{"start":0,"length":1,"x":"${'y'.repeat(2000)}"}]`,
  `[${' '.repeat(5)}"${'z'.repeat(5000)}`,
])
  t.test(`refused: ${text.slice(0, 40)}`, async t => {
    for (const pieceLength of [1, 7, 10_000]) t.throws(() => parse(text, pieceLength), { code: 'GRANARY_PROTOCOL' })
  })

t.test('a list gives back what was put in, any range of it', async t => {
  const random = seededRandom(1)
  const list = new ExtentList()
  const states: string[] = []
  for (let i = 0; i < 400; i++) {
    const kind = (['data', 'zero', 'hole'] as const)[random(3)] as ExtentKind
    const dirty = [true, false, undefined][random(3)]
    const length = random(20) + 1
    list.add(length, kind, dirty)
    states.push(...Array.from({ length }, () => `${kind} ${dirty}`))
  }
  for (let i = 0; i < 50; i++) {
    const offset = random(states.length)
    const length = random(states.length - offset) + 1
    const found: string[] = []
    for (const { kind, dirty, ...range } of await collect(list.in({ offset, length }))) {
      t.equal(range.offset, offset + found.length)
      found.push(...Array.from({ length: range.length }, () => `${kind} ${dirty}`))
    }
    t.equal(found.join(), states.slice(offset, offset + length).join())
  }
})

t.test('a disk in too many pieces is told in larger ones: nothing changed or written is left out', async t => {
  const random = seededRandom(2)
  const maxRuns = 64
  const list = new ExtentList({ maxRuns })
  const wanted: { kind: ExtentKind; dirty: boolean; start: number; end: number }[] = []
  for (let at = 0, i = 0; i < 5000; i++) {
    const length = (random(4) + 1) * 4096
    const [kind, dirty] = [random(2) === 0 ? 'data' : 'hole', random(2) === 0] as const
    list.add(length, kind, dirty)
    wanted.push({ kind, dirty, start: at, end: at + length })
    at += length
  }
  t.ok(list.runs <= maxRuns, `${list.runs} runs`)
  const told = await collect(list.in({ offset: 0, length: list.endBytes }))
  t.equal(
    told.reduce((sum, extent) => sum + extent.length, 0),
    list.endBytes,
  )
  for (const { kind, dirty, start, end } of wanted)
    for (const extent of told) {
      if (extent.offset >= end || extent.offset + extent.length <= start) continue
      if (kind === 'data' && extent.kind !== 'data') t.fail(`data at ${start} is told as ${extent.kind}`)
      if (dirty && extent.dirty !== true) t.fail(`a change at ${start} is not told`)
    }
})
