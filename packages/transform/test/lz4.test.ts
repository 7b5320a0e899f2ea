import { compressSync, uncompressSync } from 'lz4-napi'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import { createLz4 } from '../src/compression/lz4.ts'
import { twinDecompress } from './lz4-twin.ts'
import { mutate, sampleBytes } from './sample-bytes.ts'

const lz4 = createLz4({ maxBlockBytes: 4 * 1024 * 1024 })

/** A block as lz4-napi frames it: its length before it, u32 little-endian. */
const withLength = (block: Bytes, length: number): Buffer => {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32LE(length)
  return Buffer.concat([prefix, block])
}

t.test('blocks of ours open with ours, the twin and an independent library, and the other way round', async t => {
  const property = fc.property(fc.oneof(fc.nat(40), fc.nat(5000), fc.nat(200_000)), fc.nat(), (length, seed) => {
    const plain = sampleBytes(length, seed)
    const block = lz4.compress(plain, Infinity)?.slice() as Bytes
    const theirs = new Uint8Array(compressSync(Buffer.from(plain)).subarray(4))
    return [
      lz4.decompress(block, length),
      length > 5000 ? plain : (twinDecompress(block, length) as Bytes),
      uncompressSync(withLength(block, length)),
      lz4.decompress(theirs, length),
    ].every(bytes => Buffer.compare(bytes, plain) === 0)
  })
  t.doesNotThrow(() => fc.assert(property, { seed: 1, numRuns: 100 }))
})

t.test('the same block comes out whatever was compressed before, in an arena or not', async t => {
  const plain = sampleBytes(100_000, 2)
  const first = lz4.compress(plain, Infinity)?.slice()
  lz4.compress(seededBytes(150_000, 3), Infinity)
  t.strictSame(lz4.compress(plain, Infinity)?.slice(), first)
  const arena = new Arena(2 * 1024 * 1024)
  const place = arena.allocate(100_000).bytes
  place.set(plain)
  const inArena = createLz4({ arena, maxBlockBytes: 128 * 1024 })
  t.strictSame(inArena.compress(place, Infinity)?.slice(), first)
  t.strictSame(inArena.compress(plain, Infinity)?.slice(), first)
})

t.test('a block at the very end of memory is compressed without a trap', async t => {
  for (const length of [1, 12, 13, 20, 100, 4096]) {
    const arena = new Arena(300_000)
    const small = createLz4({ arena, maxBlockBytes: 4096 })
    const memory = new Uint8Array(arena.memory.buffer)
    const place = memory.subarray(memory.length - length)
    place.set(sampleBytes(length, length))
    const block = small.compress(place, Infinity)?.slice() as Bytes
    t.strictSame(twinDecompress(block, length), sampleBytes(length, length), `${length} bytes`)
    memory.set(block, memory.length - block.length)
    const plain = small.decompress(memory.subarray(memory.length - block.length), length)
    t.strictSame(plain, sampleBytes(length, length))
  }
})

t.test('compression stops at its cap, exactly', async t => {
  for (const length of [10, 1000, 70_000]) {
    const plain = sampleBytes(length, 4)
    const block = lz4.compress(plain, Infinity)?.slice() as Bytes
    t.strictSame(lz4.compress(plain, block.length + 24)?.slice(), block)
    t.equal(lz4.compress(plain, block.length - 1), undefined)
    for (let cap = 0; cap < block.length; cap += 1 + Math.floor(length / 100)) {
      if (lz4.compress(plain, cap) !== undefined) t.fail(`a block of ${block.length} bytes in ${cap}`)
    }
  }
  t.equal(lz4.compress(seededBytes(100_000, 5), 96_875), undefined)
})

t.test('runs, long literals and long matches', async t => {
  for (const length of [15, 19, 20, 270, 274, 275, 530, 65_535, 65_536, 65_537, 1_000_000]) {
    const noise = seededBytes(length, length)
    for (const plain of [new Uint8Array(length), noise, Buffer.concat([noise, noise])]) {
      const block = lz4.compress(plain, Infinity)?.slice() as Bytes
      t.equal(Buffer.compare(lz4.decompress(block, plain.length), plain), 0)
    }
  }
})

t.test(
  'damaged blocks: ours and the twin give the same bytes, or both refuse, and nothing else is written',
  async t => {
    const arena = new Arena(200_000)
    const guarded = createLz4({ arena, maxBlockBytes: 16_384 })
    const rest = arena.allocate(64).bytes
    rest.fill(0xa5)
    const random = seededRandom(6)
    const counts = { same: 0, refused: 0 }
    for (let run = 0; run < 3000; run++) {
      const length = 1 + random(600)
      const block = mutate(lz4.compress(sampleBytes(length, run), Infinity) as Bytes, random)
      const expected = twinDecompress(block, length)
      let plain: Bytes | undefined
      try {
        plain = guarded.decompress(block, length)
      } catch (error) {
        if ((error as { code?: string }).code !== 'GRANARY_CORRUPT') throw error
      }
      counts[plain === undefined ? 'refused' : 'same']++
      if (Buffer.compare(plain ?? Buffer.from('refused'), expected ?? Buffer.from('refused')) !== 0) {
        t.fail(`run ${run}: the twin thinks otherwise`)
      }
    }
    t.ok(counts.same > 100 && counts.refused > 100, JSON.stringify(counts))
    t.ok(rest.every(byte => byte === 0xa5))
  },
)

t.test('a block with another length, or longer than any block of its plaintext, is refused', async t => {
  const plain = sampleBytes(1000, 7)
  const block = lz4.compress(plain, Infinity)?.slice() as Bytes
  const code = 'GRANARY_CORRUPT'
  for (const length of [0, 1, 999, 1001, 4_000_000]) t.throws(() => lz4.decompress(block, length), { code })
  t.throws(() => lz4.decompress(new Uint8Array(1000), 10), { code })
  t.throws(() => lz4.decompress(new Uint8Array(), 0), { code })
  t.throws(() => lz4.compress(new Uint8Array(5 * 1024 * 1024), Infinity), { code: 'GRANARY_LIMIT' })
  // A hundred bytes that claim a match of 4 GiB, or literals without end.
  const endless = new Uint8Array(100_000).fill(255)
  t.throws(() => lz4.decompress(endless, 4_000_000), { code })
})
