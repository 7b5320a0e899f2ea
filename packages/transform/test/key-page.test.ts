import { seededBytes, seededRandom } from '@granary/testing'
import t from 'tap'
import { formatKeyPage, parseKeyPage } from '../src/index.ts'

const key = seededBytes(32, 1)
const page = formatKeyPage(key)

const parsed = (lines: readonly string[]): unknown => {
  try {
    return parseKeyPage(lines.join('\n'))
  } catch (error) {
    const { code, detail } = error as { code: string; detail: { line: unknown } }
    return [code, detail.line]
  }
}

const bad = (line: number | string): unknown => ['GRANARY_INVALID_ARGUMENT', line]

t.test('a printed key comes back, however it was typed', async t => {
  t.equal(page.length, 5)
  t.match(page[0], /^1 {2}[0-9a-f]{8} [0-9a-f]{8} {2}[0-9a-f]{4}$/)
  t.strictSame(parsed(page), key)
  t.strictSame(parsed(page.map(line => line.toUpperCase())), key)
  t.strictSame(parsed(page.map(line => line.replaceAll(' ', ''))), key)
  t.strictSame(parsed(page.toReversed()), key, 'lines carry their numbers')
  t.strictSame(parsed(['# a heading', '', ...page.flatMap(line => [`  ${line}\t\r`, ''])]), key)
  t.strictSame(parsed([Buffer.from(key).toString('hex')]), key, 'hexadecimal')
})

t.test('every mistyped digit is found, and its line named', async t => {
  let missed = 0
  for (const [i, line] of page.entries()) {
    const first = i < 4 ? 1 : 3
    for (let at = first; at < line.length; at++) {
      if (line[at] === ' ') continue
      for (const digit of '0123456789abcdef') {
        if (digit === line[at]) continue
        const typed = page.with(i, line.slice(0, at) + digit + line.slice(at + 1))
        const outcome = JSON.stringify(parsed(typed))
        if (outcome !== JSON.stringify(bad(i < 4 ? i + 1 : 'all'))) missed++
      }
    }
  }
  // 16 bits a line: one change in 65,536 would slip through a line's sum; the sum of all then finds it, but names itself.
  t.equal(missed, 0)
})

t.test('lines that are missing, twice, swapped or of another key are named', async t => {
  const other = formatKeyPage(seededBytes(32, 2))
  t.strictSame(parsed(page.toSpliced(2, 1)), bad(3))
  t.strictSame(parsed(page.slice(0, 4)), bad('all'))
  t.strictSame(parsed([...page, page[1] as string]), bad(2))
  t.strictSame(parsed([...page, page[4] as string]), bad('all'))
  t.strictSame(parsed(page.with(1, other[1] as string)), bad('all'), 'a whole line of another page')
  const swapped = page.with(0, `1${(page[1] as string).slice(1)}`).with(1, `2${(page[0] as string).slice(1)}`)
  t.strictSame(parsed(swapped), bad(1), 'the number is in the checksum')
  t.strictSame(parsed(page.with(0, '1')), bad(1))
  t.strictSame(parsed(['hello']), bad('of no number'))
  t.strictSame(parsed([]), bad(1))
  t.strictSame(parsed(['x'.repeat(20_000)]), bad('page'))
  t.throws(() => formatKeyPage(key.subarray(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('noise is refused, and no message repeats what was typed', async t => {
  const random = seededRandom(3)
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: random(120) }, () =>
      String.fromCodePoint(random(4) === 0 ? 10 : 32 + random(95)),
    ).join('')
    try {
      parseKeyPage(text)
      t.fail(`took ${text}`)
    } catch (error) {
      if ((error as { code?: string }).code !== 'GRANARY_INVALID_ARGUMENT') t.fail(String(error))
    }
  }
  const digits = (page[2] as string).slice(3, 11)
  const failure = await (async () => parseKeyPage(page.with(2, `3  ${digits} 00000000  0000`).join('\n')))().catch(
    String,
  )
  t.match(failure, /line 3/)
  t.notMatch(failure, digits)
})
