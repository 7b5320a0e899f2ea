import { memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { diskReaderContract, seededBytes, seededRandom } from '@granary/testing'
import t from 'tap'
import { compress, open, openSealedDisk, seal, suites } from '../src/index.ts'

const SEGMENT = 131_072
const key = seededBytes(32, 1)

const collect = async (source: AsyncIterable<Bytes>): Promise<Bytes> => {
  const pieces: Bytes[] = []
  for await (const piece of source) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

const sealed = async (plain: Bytes, suite = 'aes-256-gcm'): Promise<Bytes> =>
  await collect(seal({ key, suite })([plain]))

const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

for (const length of [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT + 77])
  diskReaderContract(
    `a sealed stream of ${length} bytes`,
    async () => {
      const content = seededBytes(length, length)
      return { disk: await openSealedDisk(memoryDisk(await sealed(content)), { key }), content }
    },
    { reads: 60 },
  )

t.test('every suite: any place reads without what lies before', async t => {
  const content = seededBytes(3 * SEGMENT + 5, 2)
  for (const { name } of suites) {
    const bytes = await sealed(content, name)
    bytes.fill(0, 200, SEGMENT) // The first segment is gone.
    await using disk = await openSealedDisk(memoryDisk(bytes), { key })
    const target = new Uint8Array(SEGMENT)
    await disk.read(2 * SEGMENT - 100, target)
    if (Buffer.compare(target, content.subarray(2 * SEGMENT - 100, 3 * SEGMENT - 100)) !== 0) t.fail(name)
    const code = await codeOf(async () => await disk.read(0, target))
    if (code !== 'GRANARY_AUTHENTICATION') t.fail(`${name}: ${code}`)
  }
  t.pass(`${suites.length} suites`)
})

t.test('a stream that is cut off anywhere is refused before anything is read', async t => {
  const bytes = await sealed(seededBytes(2 * SEGMENT + 1000, 3))
  const random = seededRandom(4)
  const lengths = [0, 1, 75, 76, 77, bytes.length - 1, ...Array.from({ length: 400 }, () => random(bytes.length))]
  const overhead = 4 + 18 + 16
  lengths.push(76 + overhead, 76 + SEGMENT + overhead, 76 + 2 * (SEGMENT + overhead), bytes.length - overhead)
  const codes = new Set<string>()
  for (const length of lengths)
    codes.add(await codeOf(async () => await openSealedDisk(memoryDisk(bytes.slice(0, length)), { key })))
  t.strictSame([...codes].toSorted(), ['GRANARY_AUTHENTICATION', 'GRANARY_CORRUPT'])
  t.equal(
    await codeOf(async () => await openSealedDisk(memoryDisk(new Uint8Array([...bytes, 0])), { key })),
    'GRANARY_AUTHENTICATION',
  )
})

t.test('segments that were moved, repeated or taken from another stream are refused where they are read', async t => {
  const content = seededBytes(4 * SEGMENT, 5)
  const [bytes, other] = [await sealed(content), await sealed(content)]
  const stride = SEGMENT + 4 + 18 + 16
  const at = (segment: number): number => 76 + segment * stride
  const changed: Record<string, Bytes> = { swapped: bytes.slice(), repeated: bytes.slice(), foreign: bytes.slice() }
  changed['swapped']?.set(bytes.subarray(at(1), at(2)), at(2))
  changed['swapped']?.set(bytes.subarray(at(2), at(3)), at(1))
  changed['repeated']?.set(bytes.subarray(at(1), at(2)), at(2))
  changed['foreign']?.set(other.subarray(at(2), at(3)), at(2))
  for (const [name, file] of Object.entries(changed)) {
    await using disk = await openSealedDisk(memoryDisk(file), { key })
    const target = new Uint8Array(10)
    t.equal(await codeOf(async () => await disk.read(2 * SEGMENT + 9, target)), 'GRANARY_AUTHENTICATION', name)
    t.strictSame(target, new Uint8Array(10), 'nothing of it came out')
    await disk.read(0, target)
    t.strictSame(target, content.slice(0, 10), 'the others can be read')
  }
})

t.test('every flipped bit of the header and the end, and some of the rest', async t => {
  const content = seededBytes(SEGMENT + 500, 6)
  const bytes = await sealed(content)
  const random = seededRandom(7)
  const end = (bytes.length - 38) * 8
  const bits = [
    ...Array.from({ length: 76 * 8 }, (_, bit) => bit),
    ...Array.from({ length: 38 * 8 }, (_, bit) => end + bit),
    ...Array.from({ length: 300 }, () => random(bytes.length * 8)),
  ]
  let missed = 0
  for (const bit of bits) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    const code = await codeOf(async () => {
      await using disk = await openSealedDisk(memoryDisk(flipped), { key })
      await disk.read(0, new Uint8Array(disk.sizeBytes))
    })
    if (!['GRANARY_AUTHENTICATION', 'GRANARY_CORRUPT', 'GRANARY_UNSUPPORTED', 'GRANARY_WRONG_KEY'].includes(code))
      missed++
  }
  t.equal(missed, 0, `of ${bits.length}`)
})

t.test('streams of chunks, other keys, and what is no stream', async t => {
  const plain = Buffer.alloc(300_000, 'grain ')
  const compressed = await collect(seal({ key })(compress({ name: 'zstd', level: 1 })([plain])))
  const opening = async (bytes: Bytes, with_ = key): Promise<string> =>
    await codeOf(async () => await openSealedDisk(memoryDisk(bytes), { key: with_ }))
  t.equal(await opening(compressed), 'GRANARY_AUTHENTICATION')
  let pieces = 0
  for await (const _ of open({ key })([compressed])) pieces++
  t.ok(pieces > 0, 'in order they can be read')
  t.equal(await opening(await sealed(plain), seededBytes(32, 2)), 'GRANARY_WRONG_KEY')
  t.equal(await opening(await sealed(plain), new Uint8Array(31)), 'GRANARY_INVALID_ARGUMENT')
  t.equal(await opening(seededBytes(500, 8)), 'GRANARY_CORRUPT')
})
