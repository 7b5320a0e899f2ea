import { blake3 as nobleBlake3 } from '@noble/hashes/blake3.js'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import {
  blake3,
  constantTimeEqual,
  createBlake3Wasm,
  createKeyedHasher,
  defaultBlake3Engine,
  deriveKey,
  loadBlake3Native,
} from '../src/index.ts'
import type { Blake3Engine, Blake3Mode } from '../src/index.ts'
import { TWIN_FLAGS, twinHash, twinKey } from './blake3-twin.ts'
import { hex, readVectors, toHex, vectorOptions } from './vectors.ts'

interface Vector {
  readonly key: string
  readonly contextString: string
  readonly inputLength: number
  readonly hash: string
  readonly keyedHash: string
  readonly deriveKey: string
}

const native = loadBlake3Native()
const wasm = createBlake3Wasm()
const engines: readonly (readonly [string, Blake3Engine | undefined])[] = [
  ['native', native],
  ['wasm', wasm],
]

/** The input of the official vectors. */
const counting = (length: number): Bytes => Uint8Array.from({ length }, (_, i) => i % 251)

const modesOf = (vector: Vector): readonly (readonly [Blake3Mode, string])[] => [
  [{ kind: 'hash' }, vector.hash],
  [{ kind: 'keyed', key: hex(vector.key) }, vector.keyedHash],
  [{ kind: 'derive', context: vector.contextString }, vector.deriveKey],
]

for (const [name, engine] of engines) {
  const options =
    engine === undefined ? { skip: `no ${name} BLAKE3 for this platform` } : vectorOptions('hash/blake3.json')
  t.test(`${name}: official vectors, all modes, 32 bytes`, options, async t => {
    for (const vector of readVectors<Vector>('hash/blake3.json')) {
      for (const [mode, expected] of modesOf(vector)) {
        const hasher = (engine as Blake3Engine).createHasher(mode)
        const digest = toHex(hasher.digestParts([counting(vector.inputLength)]))
        t.equal(digest, expected.slice(0, 64), `${mode.kind} of ${vector.inputLength} bytes`)
      }
    }
  })
}

t.test('official vectors, whole extended outputs', vectorOptions('hash/blake3.json'), async t => {
  for (const vector of readVectors<Vector>('hash/blake3.json')) {
    const input = counting(vector.inputLength)
    const lengthBytes = vector.hash.length / 2
    t.equal(toHex(blake3(input, { lengthBytes })), vector.hash)
    t.equal(toHex(blake3(input, { lengthBytes, key: hex(vector.key) })), vector.keyedHash)
    t.equal(toHex(deriveKey(vector.contextString, input, lengthBytes)), vector.deriveKey)
    t.equal(toHex(deriveKey(vector.contextString, input)), vector.deriveKey.slice(0, 64))
  }
})

t.test('the kernel equals its readable twin, and an independent library, at every edge of its groups', async t => {
  const key = seededBytes(32, 1)
  const lengths = [0, 1, 64, 65, 1023, 1024, 1025, 2048, 3072, 4096, 4097, 5120, 8191, 8192, 8193, 12_288, 16_383]
  lengths.push(16_384, 16_385, 20_480, 24_576, 28_672, 32_768, 32_769, 49_152, 65_536, 70_000, 131_072, 200_000)
  const keyed = wasm.createHasher({ kind: 'keyed', key })
  for (const length of lengths) {
    const input = seededBytes(length, length)
    const digest = toHex(keyed.digestParts([input], 100))
    t.equal(digest, toHex(twinHash(input, TWIN_FLAGS.keyed, 100, twinKey(key))), `${length} bytes`)
    t.equal(digest.slice(0, 64), toHex(nobleBlake3(input, { key })), `${length} bytes, noble`)
  }
})

t.test('however the input is split into parts, the digest is the same on both engines', async t => {
  const key = seededBytes(32, 2)
  const arena = new Arena(1024 * 1024)
  const inArena = createBlake3Wasm(arena)
  const place = arena.allocate(300_000).bytes
  const hashers = [createKeyedHasher(key, wasm), createKeyedHasher(key, inArena), createKeyedHasher(key)]
  const random = seededRandom(3)
  const property = fc.property(fc.integer({ min: 0, max: 299_999 }), fc.nat(1000), (length, seed) => {
    place.set(seededBytes(length, seed))
    const input = place.subarray(0, length)
    const parts: Bytes[] = []
    for (let at = 0; at < length;) {
      const piece = 1 + random(random(4) === 0 ? 100 : 40_000)
      parts.push(input.subarray(at, at + piece))
      at += piece
    }
    const expected = toHex(nobleBlake3(new Uint8Array(input), { key }))
    for (const hasher of hashers) {
      if (toHex(hasher.digest(input)) !== expected || toHex(hasher.digestParts(parts)) !== expected) return false
    }
    return true
  })
  t.doesNotThrow(() => fc.assert(property, { seed: 5, numRuns: 40 }))
})

t.test('a hasher starts anew with each digest, and keys do not leak from one to the next', async t => {
  for (const engine of [wasm, defaultBlake3Engine()]) {
    const a = createKeyedHasher(seededBytes(32, 6), engine)
    const b = createKeyedHasher(seededBytes(32, 7), engine)
    const first = a.digest(seededBytes(100, 8))
    t.notSame(b.digest(seededBytes(100, 8)), first)
    t.strictSame(a.digest(seededBytes(100, 8)), first)
    t.strictSame(blake3(seededBytes(100, 8), { key: seededBytes(32, 6), engine }), first)
    t.equal(first.constructor, Uint8Array)
  }
})

t.test('lengths out of range are refused', async t => {
  const code = 'GRANARY_INVALID_ARGUMENT'
  t.throws(() => blake3(new Uint8Array(1), { key: new Uint8Array(31) }), { code, detail: { expected: 32, got: 31 } })
  t.throws(() => createKeyedHasher(new Uint8Array(33)), { code })
  for (const lengthBytes of [0, -1, 1.5, 65_537, Number.NaN]) {
    t.throws(() => blake3(new Uint8Array(1), { lengthBytes }), { code })
  }
  t.equal(blake3(new Uint8Array(1), { lengthBytes: 65_536 }).length, 65_536)
})

t.test('comparison of secrets', async t => {
  t.ok(constantTimeEqual(hex('0102'), hex('0102')))
  t.notOk(constantTimeEqual(hex('0102'), hex('0103')))
  t.notOk(constantTimeEqual(hex('0102'), hex('010203')))
  t.ok(constantTimeEqual(hex(''), hex('')))
})
