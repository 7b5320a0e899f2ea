import { createSecretKey } from 'node:crypto'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { gcm } from '@noble/ciphers/aes.js'
import { Arena } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import { MAX_ORDINAL, ordinalNonce, suiteById, suiteByName, suites } from '../src/index.ts'
import type { SealingKeys, Suite } from '../src/index.ts'
import { openMessage, sealMessage } from '../src/suites/openssl-aead.ts'
import { createSpending } from '../src/suites/suite.ts'
import { hex, readVectors, toHex, vectorOptions } from './vectors.ts'

interface Vector {
  readonly source: string
  readonly keyBits: number
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly plaintext: string
  readonly ciphertext: string
  readonly tag: string
  readonly result?: string
}

const keysOf = (suite: Suite, seed: number): SealingKeys => ({
  encryption: seededBytes(suite.keyBytes, seed),
  mac: seededBytes(32, seed + 1),
})

/** An independent implementation of each suite's AEAD. */
const REFERENCES: Record<string, (key: Bytes, nonce: Bytes, associated: Bytes) => { encrypt(plain: Bytes): Bytes }> = {
  'aes-256-gcm': gcm,
  'chacha20-poly1305': chacha20poly1305,
}

for (const [path, name] of [
  ['aead/aes-gcm.json', 'aes-%-gcm'],
  ['aead/chacha20-poly1305.json', 'chacha20-poly1305'],
] as const) {
  t.test(`published vectors ${path}, valid and invalid`, vectorOptions(path), async t => {
    for (const vector of readVectors<Vector>(path)) {
      const cipher = name.replace('%', String(vector.keyBits))
      const key = createSecretKey(hex(vector.key))
      const binding = { nonce: hex(vector.iv), associated: hex(vector.aad), tagBytes: 16 }
      const sealed = hex(vector.ciphertext + vector.tag)
      const plain = openMessage(cipher, key, binding, sealed)
      if (vector.result === 'invalid') {
        t.equal(plain, undefined, vector.source)
        continue
      }
      t.equal(toHex(plain as Bytes), vector.plaintext, vector.source)
      const target = new Uint8Array(sealed.length)
      sealMessage(cipher, key, binding, hex(vector.plaintext), target)
      t.strictSame(target, sealed, vector.source)
    }
  })
}

t.test('the table: unique ids and names, and lookups that say what they did not find', async t => {
  t.equal(new Set(suites.map(({ id }) => id)).size, suites.length)
  t.equal(new Set(suites.map(({ name }) => name)).size, suites.length)
  for (const suite of suites) {
    t.equal(suiteById(suite.id), suite)
    t.equal(suiteByName(suite.name), suite)
    t.ok(suite.id >= 1 && suite.id <= 255)
    t.ok(Number.isSafeInteger(suite.keyLimitBytes))
  }
  t.equal(suiteByName('aes-256-gcm').id, 1)
  t.equal(suiteByName('chacha20-poly1305').id, 2)
  t.throws(() => suiteById(0), { code: 'GRANARY_UNSUPPORTED' })
  t.throws(() => suiteByName('rot13'), { code: 'GRANARY_UNSUPPORTED', hint: /aes-256-gcm/ })
})

for (const suite of suites) {
  const associated = seededBytes(50, 1)

  t.test(`${suite.name}: what was sealed opens, equal to an independent library's`, async t => {
    const keys = keysOf(suite, 2)
    const opener = suite.open(keys)
    const sealer = suite.open(keys)
    let ordinal = 0
    const property = fc.property(fc.integer({ min: 0, max: 200_000 }), fc.nat(), fc.nat(1000), (length, seed, gap) => {
      const plain = seededBytes(length, seed)
      ordinal += 1 + gap
      const sealed = sealer.seal(ordinal, associated, plain)
      const reference = REFERENCES[suite.name]?.(keys.encryption, ordinalNonce(ordinal, suite.nonceBytes), associated)
      const isEqual = reference === undefined || Buffer.compare(reference.encrypt(plain), sealed) === 0
      return isEqual && Buffer.compare(opener.open(ordinal, associated, sealed), plain) === 0
    })
    t.doesNotThrow(() => fc.assert(property, { seed: 3, numRuns: 30 }))
    t.strictSame(
      opener.open(ordinal + 1, associated, sealer.seal(ordinal + 1, associated, new Uint8Array())),
      new Uint8Array(),
    )
  })

  t.test(`${suite.name}: seals from and into shared memory`, async t => {
    const arena = new Arena(300_000)
    const plain = arena.allocate(100_000).bytes
    const target = arena.allocate(100_100).bytes
    plain.set(seededBytes(100_000, 4))
    const length = suite.open(keysOf(suite, 5)).sealInto(0, associated, plain, target)
    t.equal(length, 100_000 + suite.tagBytes)
    const opened = suite.open(keysOf(suite, 5)).open(0, associated, target.subarray(0, length))
    t.strictSame(opened, seededBytes(100_000, 4))
    t.ok(
      target.subarray(length).every(byte => byte === 0),
      'nothing beyond the sealed message is written',
    )
    t.throws(() => suite.open(keysOf(suite, 5)).sealInto(0, associated, plain, target.subarray(0, 100_000)), {
      code: 'GRANARY_INVALID_ARGUMENT',
      detail: { argument: 'target', expected: length, got: 100_000 },
    })
  })

  t.test(`${suite.name}: a changed bit, key, ordinal or associated byte does not open`, async t => {
    const plain = seededBytes(1000, 6)
    const sealed = suite.open(keysOf(suite, 7)).seal(9, associated, plain)
    const opener = suite.open(keysOf(suite, 7))
    const code = 'GRANARY_AUTHENTICATION'
    let missed = 0
    for (let bit = 0; bit < sealed.length * 8; bit += 7) {
      const changed = sealed.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      try {
        opener.open(9, associated, changed)
        missed++
      } catch (error) {
        if ((error as { code?: string }).code !== code) missed++
      }
    }
    t.equal(missed, 0)
    t.throws(() => opener.open(10, associated, sealed), { code })
    t.throws(() => opener.open(9, associated.subarray(1), sealed), { code })
    t.throws(() => suite.open(keysOf(suite, 8)).open(9, associated, sealed), { code })
    for (const length of [0, 1, 15, 16, sealed.length - 1]) {
      t.throws(() => opener.open(9, associated, sealed.subarray(0, length)), { code })
    }
    t.strictSame(opener.open(9, associated, sealed), plain, 'the sealer is none the worse for it')
  })

  t.test(`${suite.name}: an ordinal is never used twice, even after a failure`, async t => {
    const code = 'GRANARY_INVALID_ARGUMENT'
    const sealer = suite.open(keysOf(suite, 9))
    const plain = new Uint8Array(10)
    sealer.seal(0, associated, plain)
    t.throws(() => sealer.seal(0, associated, plain), { code, detail: { ordinal: 0, last: 0 } })
    sealer.seal(5, associated, plain)
    t.throws(() => sealer.seal(4, associated, plain), { code })
    t.throws(() => sealer.seal(6, undefined as unknown as Bytes, plain))
    t.throws(() => sealer.seal(6, associated, plain), { code }, 'spent by the failure')
    for (const ordinal of [-1, 1.5, MAX_ORDINAL + 1, Number.NaN]) {
      t.throws(() => sealer.seal(ordinal, associated, plain), { code })
      t.throws(() => sealer.open(ordinal, associated, plain), { code })
    }
    sealer.seal(MAX_ORDINAL, associated, plain)
    t.throws(() => sealer.seal(MAX_ORDINAL, associated, plain), { code })
  })

  t.test(`${suite.name}: keys of another length are refused`, async t => {
    const keys = { encryption: new Uint8Array(suite.keyBytes - 1), mac: new Uint8Array(32) }
    t.throws(() => suite.open(keys), { code: 'GRANARY_INVALID_ARGUMENT' })
  })
}

t.test('a nonce is its ordinal, big-endian', async t => {
  t.equal(toHex(ordinalNonce(0x01020304, 12)), '000000000000000001020304')
  t.equal(toHex(ordinalNonce(MAX_ORDINAL, 16)), '000000000000000000000000ffffffff')
})

t.test('a key seals no more than its limit, and the ordinal that would is spent', async t => {
  const spend = createSpending('small', 100)
  spend(0, 60)
  t.throws(() => spend(1, 41), { code: 'GRANARY_LIMIT' })
  t.throws(() => spend(1, 1), { code: 'GRANARY_INVALID_ARGUMENT' })
  spend(2, 40)
  t.throws(() => spend(3, 1), { code: 'GRANARY_LIMIT' })
})
