import { Arena, zstdEngines } from '@granary/core'
import type { Bytes, ZstdEngine } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import {
  compressions,
  createCompressor,
  decompress,
  decompressInto,
  formatCompression,
  parseCompression,
} from '../src/index.ts'
import type { Compression } from '../src/index.ts'
import { looksIncompressible } from '../src/compression/entropy.ts'
import { decompressZstd } from '../src/compression/zstd.ts'
import { readZstdFrame } from '../src/compression/zstd-frame.ts'
import { mutate, sampleBytes } from './sample-bytes.ts'

const loaded = zstdEngines()
const engines: readonly (readonly [string, ZstdEngine | undefined])[] = [
  ['system', loaded.system],
  ['node', loaded.node],
  ['native', loaded.native],
  ['wasm', loaded.wasm],
]
const present = engines.flatMap(([, engine]) => (engine === undefined ? [] : [engine]))

const plainOf = (frame: Bytes, length: number, engine?: ZstdEngine): Bytes => {
  const plain = new Uint8Array(length)
  decompressZstd(frame, plain, engine)
  return plain
}

t.test('names of compressions', async t => {
  t.strictSame(parseCompression('none'), { name: 'none' })
  t.strictSame(parseCompression('lz4'), { name: 'lz4' })
  t.strictSame(parseCompression('zstd'), { name: 'zstd', level: 3 })
  t.strictSame(parseCompression('zstd:19'), { name: 'zstd', level: 19 })
  t.equal(formatCompression(parseCompression('zstd')), 'zstd:3')
  t.equal(formatCompression(parseCompression('lz4')), 'lz4')
  for (const text of [
    '',
    'zstd:0',
    'zstd:20',
    'zstd:',
    'lz4:1',
    'none:1',
    'gzip',
    'zstd:3 ',
    'constructor',
    'zstd:-1',
  ]) {
    t.throws(() => parseCompression(text), { code: 'GRANARY_INVALID_ARGUMENT' }, text)
  }
  t.strictSame(
    Object.values(compressions).map(({ id }) => id),
    [0, 1, 2],
  )
})

for (const [name, engine] of engines) {
  const options = engine === undefined ? { skip: `no ${name} zstd on this Node or platform` } : {}

  t.test(`zstd, ${name}: what was compressed comes back, also through the other engines`, options, async t => {
    const zstd = engine as ZstdEngine
    for (const level of [1, 3, 9, 19]) {
      const compressor = createCompressor({ name: 'zstd', level }, { zstd })
      const property = fc.property(fc.oneof(fc.nat(300), fc.nat(300_000)), fc.nat(), (length, seed) => {
        const plain = sampleBytes(length, seed)
        const { id, bytes } = compressor.compress(plain)
        if (id === 0) return bytes === plain
        return present.every(other => Buffer.compare(plainOf(bytes, length, other), plain) === 0)
      })
      t.doesNotThrow(() => fc.assert(property, { seed: level, numRuns: level === 19 ? 5 : 12 }), `level ${level}`)
    }
  })

  t.test(`zstd, ${name}: reads from shared memory and writes to it`, options, async t => {
    const arena = new Arena(400_000)
    const place = arena.allocate(100_000).bytes
    place.set(sampleBytes(100_000, 1))
    const frame = (engine as ZstdEngine).compressor(3)(place)
    const framePlace = arena.allocate(frame.length).bytes
    framePlace.set(frame)
    place.fill(0)
    decompressZstd(framePlace, place, engine)
    t.equal(Buffer.compare(place, sampleBytes(100_000, 1)), 0)
  })

  t.test(
    `zstd, ${name}: damaged frames give the right bytes or GRANARY_CORRUPT, never more than was said`,
    options,
    async t => {
      const zstd = engine as ZstdEngine
      const random = seededRandom(2)
      const encode = zstd.compressor(1)
      let refused = 0
      for (let run = 0; run < 400; run++) {
        const length = 1 + random(3000)
        const damagedFrame = mutate(encode(sampleBytes(length, run)), random)
        try {
          if (plainOf(damagedFrame, length, zstd).length !== length) t.fail('another length')
        } catch (error) {
          if ((error as { code?: string }).code !== 'GRANARY_CORRUPT') throw error
          refused++
        }
      }
      t.ok(refused > 100, `${refused} of 400 refused`)
      t.equal(plainOf(encode(sampleBytes(1000, 1)), 1000, zstd).length, 1000, 'the engine still works')
    },
  )

  t.test(`zstd, ${name}: a small frame that regenerates a lot is stopped at what was said`, options, async t => {
    const bomb = (engine as ZstdEngine).compressor(3)(new Uint8Array(48 * 1024 * 1024))
    const before = process.memoryUsage().rss
    t.throws(() => plainOf(bomb, 4096, engine), { code: 'GRANARY_CORRUPT' })
    t.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024, 'less memory than the bomb holds')
  })
}

/** A frame of one RLE block: descriptor, fields after it, and the block's regenerated size. */
const rleFrame = (descriptor: number, fields: readonly number[], size: number, isLast = true, type = 1): Bytes => {
  const header = (size << 3) | (type << 1) | (isLast ? 1 : 0)
  return Uint8Array.of(
    0x28,
    0xb5,
    0x2f,
    0xfd,
    descriptor,
    ...fields,
    header & 255,
    (header >> 8) & 255,
    header >> 16,
    7,
  )
}

t.test('zstd frames that no encoder of ours writes are refused before a decoder sees them', async t => {
  const good = rleFrame(0x20, [100], 100)
  t.equal(readZstdFrame(good, 100).mostBytes, 100)
  for (const engine of present) t.strictSame(plainOf(good, 100, engine), new Uint8Array(100).fill(7))
  t.equal(readZstdFrame(rleFrame(0x00, [0x58], 100), 100).mostBytes, 100)
  t.equal(readZstdFrame(rleFrame(0x60, [0, 0], 256), 256).mostBytes, 256)
  t.equal(readZstdFrame(rleFrame(0xa0, [100, 0, 0, 0], 100), 100).mostBytes, 100)
  t.equal(readZstdFrame(rleFrame(0xe0, [100, 0, 0, 0, 0, 0, 0, 0], 100), 100).mostBytes, 100)
  t.equal(readZstdFrame(Buffer.concat([rleFrame(0x24, [100], 100), Buffer.alloc(4)]), 100).mostBytes, 100)
  const hostile: Record<string, Bytes> = {
    'a window of 3.75 TiB': rleFrame(0x00, [0xff], 100),
    'a window of 9 MiB': rleFrame(0x00, [0x69], 100),
    'a content size of 2^63': rleFrame(0xe0, [0, 0, 0, 0, 0, 0, 0, 0x80], 100),
    'another content size': rleFrame(0x20, [101], 100),
    'a dictionary': rleFrame(0x21, [9, 100], 100),
    'a reserved bit': rleFrame(0x28, [100], 100),
    'a reserved block type': rleFrame(0x20, [100], 100, true, 3),
    'a block of 1 MiB': rleFrame(0x00, [0x58], 1024 * 1024),
    'too little': rleFrame(0x00, [0x58], 99),
    'no last block': rleFrame(0x20, [100], 100, false),
    'a second frame': Buffer.concat([good, good]),
    'trailing garbage': Buffer.concat([good, Buffer.alloc(1)]),
    'a skippable frame before it': Buffer.concat([Buffer.from('502a4d1800000000', 'hex'), good]),
    'half a header': good.subarray(0, 5),
    'half a block': good.subarray(0, good.length - 1),
    nothing: new Uint8Array(),
    'no checksum where one is announced': rleFrame(0x24, [100], 100),
  }
  for (const [name, frame] of Object.entries(hostile)) {
    t.throws(() => readZstdFrame(frame, 100), { code: 'GRANARY_CORRUPT' }, name)
    t.throws(() => decompress(compressions.zstd.id, frame, 100), { code: 'GRANARY_CORRUPT' }, name)
  }
})

t.test('a compression built by hand is checked like one that was parsed', async t => {
  for (const wrong of [
    { name: 'zstd', level: 20 },
    { name: 'zstd', level: 1.5 },
    { name: 'lz4', level: 1 },
    { name: 'gzip' },
  ]) {
    t.throws(() => createCompressor(wrong as Compression), { code: 'GRANARY_INVALID_ARGUMENT' }, JSON.stringify(wrong))
  }
  t.equal(createCompressor({ name: 'zstd' }).compress(new Uint8Array(1000)).id, 2, 'the default level')
})

t.test('blocks that do not get smaller are kept as they are', async t => {
  const noise = seededBytes(128 * 1024, 3)
  for (const text of ['none', 'lz4', 'zstd:1', 'zstd:19']) {
    const { id, bytes } = createCompressor(parseCompression(text)).compress(noise)
    t.equal(id, 0, text)
    t.equal(bytes, noise, 'the very same bytes')
  }
  const small = createCompressor({ name: 'zstd', level: 3 }).compress(seededBytes(100, 4))
  t.equal(small.id, 0)
  t.equal(createCompressor({ name: 'lz4' }).compress(new Uint8Array()).id, 0)
  t.equal(createCompressor({ name: 'none' }).compress(new Uint8Array(1000)).id, 0)
  // Just below and just above a saving of 1/32.
  for (const [zeros, id] of [
    [3500, 0],
    [5000, 1],
  ] as const) {
    const block = seededBytes(128 * 1024, 5)
    block.fill(0, 1000, 1000 + zeros)
    t.equal(createCompressor({ name: 'lz4' }).compress(block).id, id, `${zeros} zeros of ${block.length}`)
  }
})

t.test('the probe tells noise from data, and a repeat of noise is compressed all the same', async t => {
  t.ok(looksIncompressible(seededBytes(32 * 1024, 6)))
  t.notOk(looksIncompressible(sampleBytes(128 * 1024, 7)))
  t.notOk(looksIncompressible(new Uint8Array(128 * 1024)))
  t.notOk(looksIncompressible(seededBytes(4095, 8)), 'too short to tell')
  const text = new TextEncoder().encode(
    'Bounded everywhere: spans in flight, bytes per worker, open packs. '.repeat(1000),
  )
  t.notOk(looksIncompressible(text))
  const noise = seededBytes(50_000, 9)
  const twice = new Uint8Array([...noise, ...noise])
  t.ok(looksIncompressible(twice))
  const { id, bytes } = createCompressor({ name: 'zstd', level: 3 }).compress(twice)
  t.equal(id, 2)
  t.ok(bytes.length < 51_000)
})

t.test('every compression gives back what it was given, in an arena too', async t => {
  const arena = new Arena(4 * 1024 * 1024)
  const place = arena.allocate(256 * 1024).bytes
  const compressors = ['none', 'lz4', 'zstd:3'].map(text =>
    createCompressor(parseCompression(text), { arena, maxBlockBytes: 256 * 1024 }),
  )
  const property = fc.property(fc.nat(256 * 1024), fc.nat(), (length, seed) => {
    const plain = place.subarray(0, length)
    plain.set(sampleBytes(length, seed))
    return compressors.every(compressor => {
      const { id, bytes } = compressor.compress(plain)
      const target = new Uint8Array(length)
      decompressInto(id, bytes, target)
      return Buffer.compare(decompress(id, bytes, length), plain) === 0 && Buffer.compare(target, plain) === 0
    })
  })
  t.doesNotThrow(() => fc.assert(property, { seed: 10, numRuns: 40 }))
})

t.test('lengths and ids out of range', async t => {
  t.throws(() => decompressInto(0, new Uint8Array(5), new Uint8Array(6)), { code: 'GRANARY_CORRUPT' })
  t.throws(() => decompress(0, new Uint8Array(5), 6), { code: 'GRANARY_CORRUPT', detail: { expected: 6, got: 5 } })
  t.throws(() => decompress(3, new Uint8Array(5), 5), { code: 'GRANARY_UNSUPPORTED' })
  for (const length of [-1, 1.5, Number.NaN, 65 * 1024 * 1024]) {
    t.throws(() => decompress(1, new Uint8Array(5), length), { code: 'GRANARY_LIMIT' })
  }
})
