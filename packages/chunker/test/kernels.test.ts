import t from 'tap'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { openBlockKernel } from '../src/blocks.ts'
import { openGearKernel } from '../src/strategies/fastcdc.ts'
import { gearHash, gearStop, isZero, nhDigest } from './twins.ts'

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

const openScanner = (): {
  gear: Buffer
  scan: (bytes: Bytes, split: number, bits: number) => { found: number; hash: bigint }
} => {
  const arena = new Arena(1024 * 1024)
  const kernel = openGearKernel(arena)
  const [source, table, state] = [arena.allocate(65_536), arena.allocate(4096), arena.allocate(64)]
  const gear = Buffer.from(seededBytes(2048, 9))
  table.bytes.set(gear)
  const words = new BigUint64Array(table.bytes.buffer, table.pointer, 512)
  for (let entry = 0; entry < 256; entry++) words[256 + entry] = (words[entry] as bigint) << 1n
  const scanAt = (pointer: number, length: number, bits: number): number =>
    kernel.scanGear(pointer, length, table.pointer, bits, state.pointer)
  return {
    gear,
    scan(bytes, split, bits) {
      source.bytes.set(bytes)
      state.bytes.fill(0)
      const first = scanAt(source.pointer, split, bits)
      const second = first > 0 ? 0 : scanAt(source.pointer + split, bytes.length - split, bits)
      const hash = new DataView(state.bytes.buffer, state.pointer).getBigUint64(0, true)
      return { found: first > 0 ? first : second > 0 ? split + second : 0, hash }
    },
  }
}

t.test('block digests and zero flags equal the twin', async t => {
  const arena = new Arena(1024 * 1024)
  const kernel = openBlockKernel(arena)
  const [source, key] = [arena.allocate(COUNT * BLOCK), arena.allocate(BLOCK + 16)]
  const [flags, digests] = [arena.allocate(COUNT), arena.allocate(COUNT * 16)]
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
  const scanner = openScanner()
  for (let seed = 0; seed < 60; seed++) {
    const bytes = seed === 0 ? new Uint8Array(300) : seededBytes(seed < 40 ? seed : 20_000, seed)
    const bits = 8 + (seed % 8)
    const expected = gearStop(bytes, 0, bytes.length, bits, scanner.gear)
    for (const split of [0, 1, 2, 3, 7, 8, bytes.length >> 1, bytes.length - 1].filter(at => at <= bytes.length)) {
      const { found, hash } = scanner.scan(bytes, split, bits)
      if (found > 0) t.equal(found, expected, `seed ${seed}, split ${split}`)
      else t.strictSame([expected, hash], [undefined, gearHash(bytes, scanner.gear)], 'no cut, and the hash goes on')
    }
  }
})
