import t from 'tap'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { openBlockKernel } from '../src/blocks.ts'
import { openGearKernel } from '../src/strategies/fastcdc.ts'
import { gearLength, isZero, nhDigest } from './twins.ts'

const BLOCK = 4096
const COUNT = 40

/** Blocks at every edge of the arithmetic and of the zero test. */
const edgeBlocks = (): Bytes[] => {
  const one = (place: number): Bytes => new Uint8Array(BLOCK).fill(1, place, place + 1)
  const extremes = [new Uint8Array(BLOCK), new Uint8Array(BLOCK).fill(0xff), new Uint8Array(BLOCK).fill(0x80)]
  const single = [0, 15, 16, 63, 64, 2047, 4032, 4095].map(one)
  return [
    ...extremes,
    ...single,
    new Uint8Array(BLOCK),
    new Uint8Array(BLOCK),
    seededBytes(BLOCK, 7),
    new Uint8Array(BLOCK),
  ]
}

t.test('block digests and zero flags equal the twin', async t => {
  const arena = new Arena(1024 * 1024)
  const kernel = openBlockKernel(arena)
  const [source, key, flags, digests] = [COUNT * BLOCK, BLOCK + 16, COUNT, COUNT * 16].map(length =>
    arena.allocate(length),
  )
  if (!source || !key || !flags || !digests) throw new Error('four places')
  const keys = [seededBytes(BLOCK + 16, 8), new Uint8Array(BLOCK + 16).fill(0xff), new Uint8Array(BLOCK + 16)]
  const blocks = [
    ...edgeBlocks(),
    ...Array.from({ length: COUNT - edgeBlocks().length }, (_, n) => seededBytes(BLOCK, n)),
  ]
  for (const [n, block] of blocks.entries()) source.bytes.set(block, n * BLOCK)
  const expectedFlags = blocks.map(block => (isZero(block) ? 1 : 0))
  for (const keyBytes of keys) {
    key.bytes.set(keyBytes)
    const expected = blocks
      .filter(block => !isZero(block))
      .map(block => nhDigest(block, Buffer.from(keyBytes)).toString('hex'))
    for (const count of [COUNT, 1, 0]) {
      flags.bytes.fill(9)
      const found = kernel.digestBlocks(source.pointer, count, key.pointer, flags.pointer, digests.pointer)
      const wanted = expected.slice(0, expectedFlags.slice(0, count).filter(flag => flag === 0).length)
      t.equal(found, wanted.length)
      t.equal(Buffer.from(digests.bytes.subarray(0, found * 16)).toString('hex'), wanted.join(''))
      t.strictSame([...flags.bytes.subarray(0, count)], expectedFlags.slice(0, count))
      t.ok(flags.bytes.subarray(count).every(flag => flag === 9))
      flags.bytes.fill(9)
      t.equal(kernel.zeroBlocks(source.pointer, count, flags.pointer), wanted.length)
      t.strictSame([...flags.bytes.subarray(0, count)], expectedFlags.slice(0, count))
    }
  }
})

t.test('the gear scan finds the cuts of the twin, however its input is split', async t => {
  const arena = new Arena(1024 * 1024)
  const kernel = openGearKernel(arena)
  const [source, table, state] = [65_536, 4096, 64].map(length => arena.allocate(length))
  if (!source || !table || !state) throw new Error('three places')
  const gear = Buffer.from(seededBytes(2048, 9))
  table.bytes.set(gear)
  for (let entry = 0; entry < 256; entry++) {
    new DataView(table.bytes.buffer, table.pointer).setBigUint64(
      2048 + 8 * entry,
      (gear.readBigUInt64LE(8 * entry) << 1n) & (2n ** 64n - 1n),
      true,
    )
  }
  const hashOf = (bytes: Bytes): bigint =>
    bytes.reduce((hash, byte) => BigInt.asUintN(64, (hash << 1n) + gear.readBigUInt64LE(8 * byte)), 0n)
  for (let seed = 0; seed < 60; seed++) {
    const bytes = seed === 0 ? new Uint8Array(300) : seededBytes(seed < 40 ? seed : 20_000, seed)
    source.bytes.set(bytes)
    const bits = 4 + (seed % 8)
    // The twin with its minimum at 0 and both masks alike.
    const size = 2 ** (bits + 2)
    const expected = gearLength(bytes, { strategy: 'fastcdc', minBytes: 0, averageBytes: size, maxBytes: size }, gear)
    for (const split of [0, 1, 2, 3, 7, bytes.length >> 1, bytes.length - 1]) {
      if (split > bytes.length) continue
      state.bytes.fill(0)
      const first = kernel.scanGear(source.pointer, split, table.pointer, bits + 4, state.pointer)
      const second =
        first || kernel.scanGear(source.pointer + split, bytes.length - split, table.pointer, bits + 4, state.pointer)
      const found = first || (second && split + second)
      if (found === 0) {
        t.ok(expected === bytes.length || expected === size)
        t.equal(
          new DataView(state.bytes.buffer, state.pointer).getBigUint64(0, true),
          hashOf(bytes),
          'the hash goes on',
        )
      } else t.equal(found <= size ? found : size, expected, `seed ${seed}, split ${split}`)
    }
  }
})
