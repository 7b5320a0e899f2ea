import t from 'tap'
import { Arena } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { CtrEngine, blockCiphers, ctr } from '../../src/index.ts'
import { isSame, toHex } from './vectors.ts'

for (const { name, sizes, tweakBytes, openssl } of blockCiphers)
  for (const { blockBits, keyBits } of sizes)
    for (const engine of openssl === undefined ? (['wasm'] as const) : (['wasm', 'openssl'] as const))
      t.test(
        `${name}, block ${blockBits}, ${engine}: in place over an arena it is the counter mode of that counter block`,
        async t => {
          const bits = Math.max(...keyBits)
          const half = blockBits / 16
          const arena = new Arena(400_000)
          const suite = new CtrEngine(arena, { name, keyBits: bits, blockBits, engine })
          t.equal(suite.engine, engine)
          t.equal(suite.blockBytes, blockBits / 8)
          const area = arena.allocate(100_000)
          const plain = seededBytes(area.bytes.length, 1)
          const tweak = seededBytes(tweakBytes, 2)
          for (const ordinal of [0n, 7n, (1n << BigInt(half * 8)) - 1n]) {
            const key = seededBytes(bits / 8, Number(ordinal % 100n))
            suite.setKey(key, tweak)
            const iv = new Uint8Array(blockBits / 8)
            iv.set(Buffer.from(ordinal.toString(16).padStart(2 * half, '0'), 'hex'))
            const expected = ctr(name, key, iv, { blockBits, tweak, engine: 'wasm' }).process(plain)
            for (const [start, end] of [
              [0, 100_000],
              [0, 1],
              [5, 6],
              [3, 64],
              [64, 129],
              [4099, 70_001],
              [9, 9],
            ] as const) {
              area.bytes.set(plain)
              suite.ctrInto(area.pointer + start, end - start, { ordinal, offset: start })
              const wanted = plain.slice()
              wanted.set(expected.subarray(start, end), start)
              t.ok(isSame(area.bytes, wanted), `ordinal ${ordinal}, bytes ${start} to ${end}, and none beside them`)
            }
          }
        },
      )

t.test('engines share an arena, and keys can be changed at will', async t => {
  const arena = new Arena(300_000)
  const area = arena.allocate(64)
  const engines = blockCiphers.map(({ name, sizes }) => {
    const keyBits = Math.max(...(sizes[0]?.keyBits ?? []))
    return { name, keyBits, suite: new CtrEngine(arena, { name, keyBits }) }
  })
  for (const round of [1, 2])
    for (const { name, keyBits, suite } of engines) {
      const key = seededBytes(keyBits / 8, round)
      suite.setKey(key)
      area.bytes.fill(0)
      suite.ctrInto(area.pointer, 64, { ordinal: 0n })
      t.equal(toHex(area.bytes), toHex(ctr(name, key, new Uint8Array(suite.blockBytes)).process(new Uint8Array(64))))
    }
})

t.test('used-up ordinals, missing keys and ranges outside are refused', async t => {
  const arena = new Arena(100_000)
  for (const engine of ['wasm', 'openssl'] as const) {
    const suite = new CtrEngine(arena, { name: 'aes', keyBits: 256, engine })
    const area = arena.allocate(64)
    const run = (change: { pointer?: number; length?: number; ordinal?: bigint; offset?: number } = {}): void => {
      const { pointer = area.pointer, length = 64, ordinal = 0n, offset = 0 } = change
      suite.ctrInto(pointer, length, { ordinal, offset })
    }
    t.throws(() => run(), { code: 'GRANARY_INVALID_ARGUMENT', detail: { argument: 'key' } })
    t.throws(() => suite.setKey(new Uint8Array(31)), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.throws(() => suite.setKey(new Uint8Array(32), new Uint8Array(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
    suite.setKey(seededBytes(32, 1))
    run()
    t.throws(() => run({ ordinal: 1n << 64n }), { code: 'GRANARY_LIMIT' })
    t.throws(() => run({ ordinal: -1n }), { code: 'GRANARY_LIMIT' })
    t.throws(() => run({ offset: Number.MAX_SAFE_INTEGER - 10 }), { code: 'GRANARY_LIMIT' })
    for (const change of [{ pointer: -1 }, { length: -1 }, { offset: 0.5 }, { pointer: 2 ** 40 }, { length: 2 ** 40 }])
      t.throws(() => run(change), { code: 'GRANARY_INVALID_ARGUMENT' })
    suite.clear()
    t.throws(() => run(), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
  t.throws(() => new CtrEngine(arena, { name: 'serpent', keyBits: 256, engine: 'openssl' }), {
    code: 'GRANARY_INVALID_ARGUMENT',
  })
  t.throws(() => new CtrEngine(arena, { name: 'aes', keyBits: 64 }), { code: 'GRANARY_INVALID_ARGUMENT' })
  const full = new Arena(1)
  full.allocate(65_000)
  t.throws(() => new CtrEngine(full, { name: 'twofish', keyBits: 256 }), { code: 'GRANARY_LIMIT' })
})

t.test('a wiped key leaves nothing in the arena', async t => {
  const arena = new Arena(20_000)
  const suite = new CtrEngine(arena, { name: 'serpent', keyBits: 256 })
  suite.setKey(seededBytes(32, 1))
  const area = arena.allocate(100)
  suite.ctrInto(area.pointer, 100, { ordinal: 1n })
  area.bytes.fill(0)
  suite.clear()
  t.ok(new Uint8Array(arena.memory.buffer, 1024 * 1024).every(byte => byte === 0))
})
