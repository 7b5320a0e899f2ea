import t from 'tap'
import { formatChunker, isSameChunker, parseChunker, readChunkerParameters } from '../src/index.ts'

const KiB = 1024

t.test('the short form gives the sizes, and the sizes the short form', async t => {
  t.strictSame(parseChunker('grid:128k'), {
    strategy: 'grid',
    minBytes: 32 * KiB,
    averageBytes: 128 * KiB,
    maxBytes: 512 * KiB,
  })
  t.strictSame(parseChunker('fixed:4m'), {
    strategy: 'fixed',
    minBytes: 4096 * KiB,
    averageBytes: 4096 * KiB,
    maxBytes: 4096 * KiB,
  })
  t.strictSame(parseChunker('fastcdc:64k'), {
    strategy: 'fastcdc',
    minBytes: 16 * KiB,
    averageBytes: 64 * KiB,
    maxBytes: 256 * KiB,
  })
  t.strictSame(parseChunker('grid:1024k'), parseChunker('grid:1m'))
  for (const text of ['grid:32k', 'grid:128k', 'grid:1m', 'fixed:64k', 'fixed:4m', 'fastcdc:16k', 'fastcdc:1m']) {
    t.equal(formatChunker(parseChunker(text)), text)
  }
  t.strictSame(
    ['grid', 'fixed', 'fastcdc'].map(name => formatChunker(parseChunker(name))),
    ['grid:128k', 'fixed:128k', 'fastcdc:64k'],
  )
})

t.test('refuses names and sizes outside the table', async t => {
  const refused = [
    '',
    'grid:',
    'grid:16k',
    'grid:2m',
    'grid:100k',
    'grid:128',
    'grid:128K',
    'grid:0k',
    'fixed:32k',
    'fixed:8m',
  ]
  for (const text of [
    ...refused,
    'fastcdc:8k',
    'rabin:64k',
    'toString:64k',
    ' grid:128k',
    'grid:128k\n',
    'grid:99999999k',
  ]) {
    t.throws(() => parseChunker(text), { code: 'GRANARY_INVALID_ARGUMENT' }, text)
  }
})

t.test('recorded parameters survive JSON, and unknown ones are refused', async t => {
  const parameters = parseChunker('grid:256k')
  const recorded: unknown = JSON.parse(JSON.stringify(parameters))
  t.strictSame(readChunkerParameters(recorded), parameters)
  t.equal(isSameChunker(readChunkerParameters(recorded), parameters), true)
  for (const other of ['grid:128k', 'fixed:256k', 'fastcdc:256k'])
    t.equal(isSameChunker(parameters, parseChunker(other)), false)

  const strange = [
    undefined,
    null,
    7,
    'grid',
    [],
    {},
    { ...parameters, strategy: 'constructor' },
    { ...parameters, minBytes: 4096 },
  ]
  for (const value of [...strange, { ...parameters, averageBytes: 3 }, { ...parameters, averageBytes: '256' }]) {
    t.throws(() => readChunkerParameters(value), { code: 'GRANARY_UNSUPPORTED' })
  }
})
