import fc from 'fast-check'
import t from 'tap'
import { formatBytes, formatDuration, formatRate, parseBytes, rateMeter, throttle } from '../src/index.ts'
import type { ProgressEvent, ProgressPhase } from '../src/index.ts'

const event = (doneBytes: number, phase: ProgressPhase = 'copy'): ProgressEvent => ({
  phase,
  doneBytes,
  readBytes: 0,
  storedBytes: 0,
})

t.test('lets through the first event, some, and the last of each phase', async t => {
  const seen: string[] = []
  let ms = 0
  const progress = throttle(
    ({ phase, doneBytes }) => seen.push(`${phase} ${doneBytes}`),
    10,
    () => ms,
  )
  for (; ms <= 250; ms += 10) progress.report(event(ms))
  t.strictSame(seen, ['copy 0', 'copy 100', 'copy 200'])
  progress.report(event(7, 'verify'))
  t.strictSame(seen.slice(3), ['copy 250', 'verify 7'])
  progress.flush()
  t.equal(seen.length, 5, 'nothing was held back')
  progress.report(event(8, 'verify'))
  progress.flush()
  progress.flush()
  t.strictSame(seen.slice(5), ['verify 8'])
})

t.test('a rate follows the window, and shows a stall', async t => {
  let ms = 0
  const meter = rateMeter({ windowMs: 1000, now: () => ms })
  t.equal(meter.bytesPerSecond(), undefined)
  t.equal(meter.secondsLeft(10), undefined)
  meter.update(0)
  t.equal(meter.bytesPerSecond(), undefined, 'one moment is no rate')
  let done = 0
  for (let i = 0; i < 300; i++) {
    ms += 10
    meter.update((done += 1000))
  }
  t.equal(meter.bytesPerSecond(), 100_000)
  t.equal(meter.secondsLeft(done + 200_000), 2)
  t.equal(meter.secondsLeft(0), 0)
  for (let i = 0; i < 200; i++) {
    ms += 10
    meter.update((done += 3000))
  }
  t.equal(meter.bytesPerSecond(), 300_000, 'the slower past is forgotten')
  ms += 9000
  t.ok((meter.bytesPerSecond() ?? 0) < 50_000, 'a stall shows without an update')
  meter.update(done)
  ms += 1
  meter.update(done)
  t.equal(meter.secondsLeft(done + 1), undefined, 'nothing moves: no end in sight')
})

t.test('sizes read as people write them', async t => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [10_239, '10.0 KiB'],
    [1024 ** 2 - 1, '1.00 MiB'],
    [640 * 1024 ** 2, '640 MiB'],
    [1023.4 * 1024 ** 3, '1023 GiB'],
    [2 ** 53, '8.00 PiB'],
    [-2048, '-2.00 KiB'],
  ] as const)
    t.equal(formatBytes(bytes), text)
  t.equal(formatRate(1024 ** 2), '1.00 MiB/s')
})

t.test('times read as people write them', async t => {
  for (const [seconds, text] of [
    [0, '0:00'],
    [7.4, '0:07'],
    [59.6, '1:00'],
    [724, '12:04'],
    [3612, '1:00:12'],
    [2 * 86_400 + 3 * 3600, '2d 03:00:00'],
    [-5, '0:00'],
  ] as const)
    t.equal(formatDuration(seconds), text)
})

t.test('sizes are read in the usual spellings, and nothing else', async t => {
  for (const [text, bytes] of [
    ['0', 0],
    ['4096', 4096],
    ['128k', 131_072],
    ['128K', 131_072],
    ['4MiB', 4 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    ['20 GB', 20e9],
    ['3kB', 3000],
    ['7B', 7],
    [' 1t ', 1024 ** 4],
  ] as const)
    t.equal(parseBytes(text), bytes, text)
  for (const text of [
    '',
    'k',
    '-1',
    '1e3',
    '0x10',
    '1kk',
    '0.3',
    '0.0001k',
    '8P9',
    '10 iB',
    '9007199254740992',
    '99999T',
  ])
    t.throws(() => parseBytes(text), { code: 'GRANARY_INVALID_ARGUMENT', detail: { text } }, text)
  const roundTrip = fc.property(
    fc.integer({ min: 0, max: 8191 }),
    fc.constantFrom('', 'K', 'M', 'G'),
    (count, unit) => {
      const bytes = count * 1024 ** ['', 'K', 'M', 'G'].indexOf(unit)
      return parseBytes(`${count}${unit}`) === bytes && (unit === '' || parseBytes(`${count} ${unit}iB`) === bytes)
    },
  )
  await t.resolves(async () => fc.assert(roundTrip, { seed: 4 }))
})
