import { createSecretKey } from 'node:crypto'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { gcm } from '@noble/ciphers/aes.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { Arena, isZero } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import { MAX_ORDINAL, ctr, mgm, ordinalNonce, suiteById, suiteByName, suites } from '../src/index.ts'
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

/** What a suite's bytes must be, by other code than the suite's. */
type Reference = (keys: SealingKeys, ordinal: number, associated: Bytes, plain: Bytes) => Bytes

const REFERENCES: Record<string, Reference> = {
  'aes-256-gcm': ({ encryption }, ordinal, associated, plain) =>
    gcm(encryption, ordinalNonce(ordinal, 12), associated).encrypt(plain),
  'chacha20-poly1305': ({ encryption }, ordinal, associated, plain) =>
    chacha20poly1305(encryption, ordinalNonce(ordinal, 12), associated).encrypt(plain),
  'kuznyechik-mgm': ({ encryption }, ordinal, associated, plain) =>
    mgm('kuznyechik', encryption).seal(ordinalNonce(ordinal, 16), plain, associated),
}

const bigEndian = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

/** docs/formats/suites.md, written down once more. */
const ctrReference =
  (id: number, cipher: string, blockBits: number): Reference =>
  ({ encryption, mac }, ordinal, associated, plain) => {
    const counter = hex(bigEndian(ordinal, blockBits / 8) + '0'.repeat(blockBits / 8))
    const ciphertext = ctr(cipher, encryption, counter, { blockBits, engine: 'wasm' }).process(plain)
    const prefix = hex(
      bigEndian(associated.length, 16) + bigEndian(ciphertext.length, 16) + bigEndian(id, 8) + bigEndian(ordinal, 8),
    )
    const tag = blake3(Buffer.concat([prefix, associated, ciphertext]), { key: mac })
    return Buffer.concat([ciphertext, tag])
  }

const CTR_NAME = /^([a-z0-9]+?)-(?:(\d+)-)?(\d+)-ctr-blake3$/

/** Block size by the name alone: Kalyna and Threefish have blocks of the key's size where no other is said. */
const referenceOf = ({ id, name }: Suite): Reference => {
  const [, cipher = '', block, key] = CTR_NAME.exec(name) ?? []
  const bits = block ?? (cipher === 'kalyna' || cipher === 'threefish' ? key : '128')
  return REFERENCES[name] ?? ctrReference(id, cipher, Number(bits))
}

/** The numbers in stored objects: a row may be added, none changed. */
const IDS: Record<number, string> = {
  1: 'aes-256-gcm',
  2: 'chacha20-poly1305',
  3: 'kuznyechik-mgm',
  10: 'aes-128-ctr-blake3',
  11: 'aes-192-ctr-blake3',
  12: 'aes-256-ctr-blake3',
  13: 'anubis-128-ctr-blake3',
  14: 'anubis-192-ctr-blake3',
  15: 'anubis-256-ctr-blake3',
  16: 'aria-128-ctr-blake3',
  17: 'aria-192-ctr-blake3',
  18: 'aria-256-ctr-blake3',
  19: 'camellia-128-ctr-blake3',
  20: 'camellia-192-ctr-blake3',
  21: 'camellia-256-ctr-blake3',
  22: 'cast6-128-ctr-blake3',
  23: 'cast6-192-ctr-blake3',
  24: 'cast6-256-ctr-blake3',
  25: 'kalyna-128-ctr-blake3',
  26: 'kalyna-128-256-ctr-blake3',
  27: 'kalyna-256-ctr-blake3',
  28: 'kalyna-256-512-ctr-blake3',
  29: 'kalyna-512-ctr-blake3',
  30: 'kuznyechik-256-ctr-blake3',
  31: 'mars-128-ctr-blake3',
  32: 'mars-192-ctr-blake3',
  33: 'mars-256-ctr-blake3',
  34: 'serpent-128-ctr-blake3',
  35: 'serpent-192-ctr-blake3',
  36: 'serpent-256-ctr-blake3',
  37: 'simon-128-ctr-blake3',
  38: 'simon-192-ctr-blake3',
  39: 'simon-256-ctr-blake3',
  40: 'sm4-128-ctr-blake3',
  41: 'speck-128-ctr-blake3',
  42: 'speck-192-ctr-blake3',
  43: 'speck-256-ctr-blake3',
  44: 'threefish-256-ctr-blake3',
  45: 'threefish-512-ctr-blake3',
  46: 'threefish-1024-ctr-blake3',
  47: 'twofish-128-ctr-blake3',
  48: 'twofish-192-ctr-blake3',
  49: 'twofish-256-ctr-blake3',
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
      const plain = new Uint8Array(sealed.length - 16).fill(7)
      const isValid = openMessage(cipher, key, binding, sealed, plain)
      t.equal(isValid, vector.result !== 'invalid', vector.source)
      if (!isValid) {
        t.ok(isZero(plain), 'nothing is left of what was not authentic')
        continue
      }
      t.equal(toHex(plain), vector.plaintext, vector.source)
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
  t.strictSame(Object.fromEntries(suites.map(({ id, name }) => [id, name])), IDS)
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
    const property = fc.property(
      fc.integer({ min: 0, max: suite.id < 3 ? 200_000 : 70_000 }),
      fc.nat(),
      fc.nat(1000),
      (length, seed, gap) => {
        const plain = seededBytes(length, seed)
        ordinal += 1 + gap
        const sealed = sealer.seal(ordinal, associated, plain)
        const isEqual = Buffer.compare(referenceOf(suite)(keys, ordinal, associated, plain), sealed) === 0
        const target = new Uint8Array(plain.length + 3)
        const opened = target.subarray(0, opener.openInto(ordinal, associated, sealed, target))
        if (Buffer.compare(opened, plain) !== 0) return false
        return isEqual && Buffer.compare(opener.open(ordinal, associated, sealed), plain) === 0
      },
    )
    t.doesNotThrow(() => fc.assert(property, { seed: 3, numRuns: suite.id < 3 ? 30 : 6 }))
    t.strictSame(
      opener.open(ordinal + 1, associated, sealer.seal(ordinal + 1, associated, new Uint8Array())),
      new Uint8Array(),
    )
  })

  t.test(`${suite.name}: seals from and into shared memory`, async t => {
    const arena = new Arena(300_000)
    const plain = arena.allocate(100_000).bytes
    const target = arena.allocate(100_150).bytes
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
    const plain = seededBytes(300, 6)
    const sealed = suite.open(keysOf(suite, 7)).seal(9, associated, plain)
    const opener = suite.open(keysOf(suite, 7))
    const code = 'GRANARY_AUTHENTICATION'
    let missed = 0
    for (let bit = 0; bit < sealed.length * 8; bit += 11) {
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
    t.throws(() => opener.openInto(9, associated, sealed, new Uint8Array(sealed.length - suite.tagBytes - 1)), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
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
    t.throws(() => sealer.seal(6, null as unknown as Bytes, plain))
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
    if (!suite.name.endsWith('-blake3')) return
    const short = { encryption: new Uint8Array(suite.keyBytes), mac: new Uint8Array(31) }
    t.throws(() => suite.open(short), { code: 'GRANARY_INVALID_ARGUMENT' })
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

t.test('a message does not open as one of another suite, with the same keys', async t => {
  const [first, second] = [suiteByName('twofish-256-ctr-blake3'), suiteByName('serpent-256-ctr-blake3')]
  const sealed = first.open(keysOf(first, 1)).seal(0, new Uint8Array(3), new Uint8Array(40))
  t.throws(() => second.open(keysOf(first, 1)).open(0, new Uint8Array(3), sealed), { code: 'GRANARY_AUTHENTICATION' })
})

t.test('bytes cannot be moved between associated data and ciphertext', async t => {
  const suite = suiteByName('speck-256-ctr-blake3')
  const sealed = suite.open(keysOf(suite, 1)).seal(0, Uint8Array.of(1, 2, 3), new Uint8Array(40))
  const moved = Uint8Array.of(1, 2, 3, sealed[0] as number)
  const opener = suite.open(keysOf(suite, 1))
  t.throws(() => opener.open(0, moved, sealed.subarray(1)), { code: 'GRANARY_AUTHENTICATION' })
})

t.test('MGM seals anything but nothing', async t => {
  const suite = suiteByName('kuznyechik-mgm')
  const nothing = new Uint8Array(0)
  const sealer = suite.open(keysOf(suite, 1))
  t.throws(() => sealer.seal(0, nothing, nothing), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => sealer.open(0, nothing, new Uint8Array(16)), { code: 'GRANARY_AUTHENTICATION' })
})
