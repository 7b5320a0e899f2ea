/** Images by their own rules: names, sizes, what can't be read, limits. */
import { GranaryError, isGranaryError } from '@granary/core'
import { planIso } from '@granary/extract'
import type { IsoEntry, IsoImage } from '@granary/extract'
import fc from 'fast-check'
import t from 'tap'
import { contentEntry, namesOf, randomFiles, statOf, textEntry } from './helpers/random-files.ts'

const bytesOf = async (image: IsoImage): Promise<Buffer> => {
  const pieces = []
  for await (const piece of image.write()) pieces.push(piece)
  return Buffer.concat(pieces)
}

t.test('an image is as long as it said, in whole sectors', async t => {
  for (const count of [0, 1, 40, 300]) {
    const image = await planIso(randomFiles({ seed: count, count }).entries)
    const bytes = await bytesOf(image)
    t.equal(bytes.length, image.sizeBytes)
    t.equal(bytes.length % 2048, 0)
    t.strictSame(image.errors, [])
  }
})

t.test('two runs over the same files make the same image, but for the random id of the set', async t => {
  const make = async (): Promise<string> => {
    const image = await planIso(randomFiles({ seed: 5, count: 60 }).entries, { timeNs: 10n ** 18n })
    return (await bytesOf(image)).subarray(300 * 2048).toString('hex')
  }
  t.ok((await make()) === (await make()))
})

t.test('what can not be read has no name in the image, and its reason is told', async t => {
  const bad = (path: string, read: () => AsyncIterable<Uint8Array>): IsoEntry => ({
    path: namesOf(path),
    stat: statOf('file', { sizeBytes: 400_000 }),
    open: async () => ({ sizeBytes: 400_000, read }),
  })
  const damage = new GranaryError('GRANARY_CORRUPT', 'block 7 is damaged')
  const entries = [
    textEntry('good-one.txt', 'CONTENT-ONE'),
    { ...bad('bad-open.bin', async function* () {}), open: async () => await Promise.reject(damage) },
    bad('bad-midway.bin', async function* () {
      yield new Uint8Array(100_000).fill(0x42)
      throw damage
    }),
    bad('bad-short.bin', async function* () {
      yield new Uint8Array(399_999)
    }),
    bad('bad-long.bin', async function* () {
      yield new Uint8Array(400_000)
      yield new Uint8Array(1)
    }),
    bad('bad-linked.bin', async function* () {
      yield new Uint8Array(1)
      throw damage
    }),
    { ...bad('folder/bad-second-name.bin', async function* () {}), linkKey: 'k' },
    textEntry('good-two.txt', 'CONTENT-TWO'),
  ]
  Object.assign(entries[5] as IsoEntry, { linkKey: 'k' })
  const image = await planIso(entries)
  const text = (await bytesOf(image)).toString('latin1')
  t.equal(text.length, image.sizeBytes, 'the size holds whatever fails')
  t.strictSame(
    image.errors.map(({ path, error }) => [path, isGranaryError(error) ? error.code : String(error)]),
    [
      ['/bad-open.bin', 'GRANARY_CORRUPT'],
      ['/bad-midway.bin', 'GRANARY_CORRUPT'],
      ['/bad-short.bin', 'GRANARY_SIZE'],
      ['/bad-long.bin', 'GRANARY_SIZE'],
      ['/bad-linked.bin', 'GRANARY_CORRUPT'],
    ],
  )
  for (const name of ['good-one.txt', 'GOOD_ONE.TXT', 'CONTENT-ONE', 'CONTENT-TWO']) t.match(text, name)
  t.notMatch(text, /BAD_/, 'not in ISO 9660')
  t.notMatch(text, '\x01\0bad-', 'not in Rock Ridge')
  t.notMatch(text, Buffer.from('bad-', 'utf16le').swap16().toString('latin1'), 'not in Joliet')
  const inUdf = [...text.matchAll(/bad-/g)].map(({ index }) => text.charCodeAt(index - 39 + 18))
  t.strictSame(inUdf, [4, 4, 4, 4, 4, 4], 'in UDF as deleted ones')
})

t.test('names: each view keeps its limits, nothing has the name of another, and every change is listed', async t => {
  const letters = fc.constantFrom('a', 'A', 'b', '.', ' ', 'ж', 'Ж', '日', '🙂', '~', '1', '?', '*', 'é', '_', '-')
  const name = fc.array(letters, { minLength: 1, maxLength: 130 }).map(parts => parts.join(''))
  const names = fc.uniqueArray(
    fc.oneof(
      name,
      fc.tuple(name, fc.constantFrom('x', 'X', '.txt')).map(pair => pair.join('')),
    ),
    {
      maxLength: 40,
    },
  )
  await fc.assert(
    fc.asyncProperty(names, async names => {
      const valid = names.filter(text => text !== '.' && text !== '..')
      const long = valid
        .map(text => text + 'y'.repeat(text.length % 3 === 0 ? 200 : 0))
        .filter((text, i, all) => all.indexOf(text) === i)
      const image = await planIso(long.map(text => textEntry('x', 'x', { path: [{ text }] })))
      const text = (await bytesOf(image)).toString('latin1')
      const rockRidge = rockRidgeNames(text)
      t.equal(new Set(rockRidge).size, rockRidge.length, 'unique in Rock Ridge')
      t.ok(rockRidge.every(name => name.length <= 253))
      const unchanged = long.filter(text => Buffer.byteLength(text) <= 253)
      for (const name of unchanged)
        t.ok(rockRidge.includes(Buffer.from(name).toString('latin1')), 'a name that fits is kept')
      t.equal(
        image.changedNames > 0,
        rockRidge.some(name => name.startsWith('GRANARY-NAMES')),
      )
    }),
    { seed: 6, numRuns: 40 },
  )
})

/** All names in NM entries: letters, length, version 1, flag 1 where the name goes on in the next. */
const rockRidgeNames = (text: string): string[] => {
  const names: string[] = []
  let begun = ''
  for (const { index } of text.matchAll(/NM/g)) {
    const [length, version, flags] = [2, 3, 4].map(offset => text.charCodeAt(index + offset)) as [
      number,
      number,
      number,
    ]
    if (version !== 1 || flags > 1) continue
    begun += text.slice(index + 5, index + length)
    if (flags === 1) continue
    names.push(begun)
    begun = ''
  }
  return names
}

t.test('a thousand long names that begin alike are shortened in no time, each to its own', async t => {
  const entries = Array.from({ length: 5000 }, (_, i) =>
    textEntry(`${'n'.repeat(240)}${String(i).padStart(5, '0')}`, ''),
  )
  const image = await planIso(entries)
  t.equal(image.changedNames, 5000, 'in Joliet; Rock Ridge and UDF hold 245')
})

t.test('the list of names has a bound, for paths of deep folders are long', async t => {
  const names = Array.from({ length: 450 }, (_, i) => ({ text: `${'d'.repeat(196)}${String(i).padStart(4, '0')}` }))
  const image = await planIso([{ path: names, stat: statOf('dir') }])
  t.equal(image.changedNames, 450, 'all are counted')
  t.ok(image.sizeBytes < 24 * 1024 * 1024, `the image has ${image.sizeBytes} bytes`)
  t.match((await bytesOf(image)).toString('latin1'), /The list ends here: \d+ more names were changed\./)
})

t.test('the list of names never takes the name of a file', async t => {
  const image = await planIso([
    textEntry('GRANARY-NAMES.txt', 'mine'),
    textEntry('granary_names-1.TXT', 'mine too'),
    textEntry('a?b', ''),
  ])
  const text = (await bytesOf(image)).toString('latin1')
  t.match(text, 'Joliet\ta_b\t/a?b')
  t.match(text, 'GRANARY_NAMES.TXT;1')
  t.match(text, 'GRANARY-NAMES-2.txt')
})

t.test('what an image can not hold is refused, or is that file’s error', async t => {
  const codeOf = async (entries: readonly IsoEntry[]): Promise<unknown> =>
    await planIso(entries).then(
      () => 'no error',
      (error: unknown) => (isGranaryError(error) ? error.code : error),
    )
  t.equal(await codeOf([textEntry('a', ''), textEntry('a', '')]), 'GRANARY_INVALID_ARGUMENT')
  t.equal(await codeOf([textEntry('a', ''), textEntry('a/b', '')]), 'GRANARY_INVALID_ARGUMENT')
  const directories = Array.from({ length: 65_535 }, (_, i) => ({ path: namesOf(String(i)), stat: statOf('dir') }))
  t.equal(await codeOf(directories), 'GRANARY_LIMIT')
  const names = Array.from({ length: 500_001 }, (_, i) => ({
    ...textEntry('', ''),
    path: [{ text: `${i}` }],
    linkKey: 'k',
  }))
  t.equal(await codeOf(names), 'GRANARY_LIMIT', 'names of one file take memory, too')
  const huge = { path: namesOf('huge'), stat: statOf('file', { sizeBytes: 2 ** 40 }) }
  const image = await planIso([huge, textEntry('small', 'x')])
  t.match(image.errors, [{ path: '/huge', error: { code: 'GRANARY_LIMIT' } }])
  t.equal(image.files, 1)
  const many = Array.from({ length: 50 }, (_, i) => ({
    path: namesOf(String(i)),
    stat: statOf('file', { sizeBytes: 2 ** 37.6 - (2 ** 37.6 % 1) }),
    linkKey: String(i),
  }))
  t.equal(await codeOf(many), 'GRANARY_LIMIT', 'more than 8 TiB')
})

t.test('an abort ends the writing', async t => {
  const image = await planIso([
    textEntry('a', 'x'),
    { path: namesOf('b'), stat: statOf('file', { sizeBytes: 10 }), ...contentEntry(new Uint8Array(10)) },
  ])
  const controller = new AbortController()
  await t.rejects(async () => {
    for await (const piece of image.write({ signal: controller.signal }))
      if (piece.length > 0) controller.abort(new Error('enough'))
  }, /enough/)
})
