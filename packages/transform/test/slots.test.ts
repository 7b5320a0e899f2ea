import { argon2d, argon2i, argon2id } from '@noble/hashes/argon2.js'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import {
  DEFAULT_SCRYPT,
  Keyring,
  argon2Wasm,
  blake3,
  chooseArgon2Cost,
  createSlot,
  deriveKek,
  loadArgon2Native,
  openSlot,
  publicKeyOf,
  verifySlot,
} from '../src/index.ts'
import type { Argon2Engine, Argon2Variant, Kdf, NewSecret, Secret } from '../src/index.ts'
import { readVectors, toHex, vectorOptions } from './vectors.ts'

interface Argon2Vector {
  readonly type: string
  readonly memoryKiB: number
  readonly iterations: number
  readonly parallelism: number
  readonly password: string
  readonly salt: string
  readonly secret: string
  readonly ad: string
  readonly tag: string
}
interface ScryptVector {
  readonly N: number
  readonly r: number
  readonly p: number
  readonly password: string
  readonly salt: string
  readonly dk: string
}

const IS_LONG = process.env['GRANARY_TEST_LONG'] !== undefined

const bytesOf = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'hex'))
const native = loadArgon2Native()
const engines: readonly (readonly [string, Argon2Engine | undefined])[] = [
  ['native', native],
  ['wasm', argon2Wasm],
]

/** As cheap as the bounds allow: what is tested is not the cost. */
const CHEAP: Kdf = { name: 'argon2id', memoryKiB: 64, passes: 1, lanes: 1 }

for (const [name, engine] of engines) {
  const options =
    engine === undefined ? { skip: `no ${name} Argon2 for this platform` } : vectorOptions('kdf/argon2.json')
  t.test(`Argon2id and Argon2i, ${name}: published vectors`, options, async t => {
    // Secrets, associated data and Argon2d are nothing that anybody asks the engines for: the test below has them.
    const vectors = readVectors<Argon2Vector>('kdf/argon2.json').filter(
      ({ type, secret, ad }) => type !== 'argon2d' && secret === '' && ad === '',
    )
    t.ok(vectors.length > 100)
    for (const { type, memoryKiB, iterations: passes, parallelism: lanes, password, salt, tag } of vectors) {
      const cost = { memoryKiB, passes, lanes }
      const run = (engine as Argon2Engine).hash.bind(engine)
      const hash = await run(bytesOf(password), bytesOf(salt), cost, tag.length / 2, type as Argon2Variant)
      t.equal(toHex(hash), tag, `${type} ${JSON.stringify(cost)}`)
    }
  })
}

t.test(
  'Argon2: all published vectors, with the independent library that the engines are held against',
  vectorOptions('kdf/argon2.json'),
  async t => {
    const functions: Record<string, typeof argon2id> = { argon2d, argon2i, argon2id }
    const vectors = readVectors<Argon2Vector>('kdf/argon2.json')
    const chosen = vectors.filter(({ memoryKiB }) => IS_LONG || memoryKiB <= 8192)
    t.comment(`${chosen.length} of ${vectors.length} vectors`)
    for (const { type, memoryKiB: m, iterations, parallelism: p, password, salt, secret, ad, tag } of chosen) {
      const extra = { key: bytesOf(secret), personalization: bytesOf(ad) }
      const options = { m, t: iterations, p, dkLen: tag.length / 2, version: 0x13, maxmem: 2 ** 32 - 1, ...extra }
      t.equal(
        toHex((functions[type] as typeof argon2id)(bytesOf(password), bytesOf(salt), options)),
        tag,
        `${type}, ${m} KiB`,
      )
    }
  },
)

t.test('Argon2id: all engines agree with an independent library', async t => {
  for (const [i, cost] of [
    { memoryKiB: 8, passes: 1, lanes: 1 },
    { memoryKiB: 100, passes: 3, lanes: 2 },
    { memoryKiB: 600, passes: 2, lanes: 16 },
  ].entries()) {
    const password = seededBytes(1 + i * 40, i)
    const salt = seededBytes(32, i)
    const { memoryKiB: m, passes: time, lanes: p } = cost
    const expected = toHex(argon2id(password, salt, { m, t: time, p, dkLen: 32 }))
    for (const [name, engine] of engines) {
      if (engine !== undefined) t.equal(toHex(await engine.hash(password, salt, cost, 32)), expected, name)
    }
  }
})

t.test('scrypt: published vectors', vectorOptions('kdf/scrypt.json'), async t => {
  const vectors = readVectors<ScryptVector>('kdf/scrypt.json')
  const chosen = vectors.filter(({ N }) => IS_LONG || N <= 262_144) // The others take a gigabyte each.
  t.comment(`${chosen.length} of ${vectors.length} vectors`)
  for (const vector of chosen) {
    const kdf = { name: 'scrypt', logN: Math.log2(vector.N), r: vector.r, p: vector.p } as const
    const key = await deriveKek(bytesOf(vector.password), bytesOf(vector.salt), kdf)
    const lengthHex = Math.min(64, vector.dk.length) // A shorter key is a prefix of a longer one.
    t.equal(toHex(key).slice(0, lengthHex), vector.dk.slice(0, lengthHex))
  }
})

const secrets: Record<string, { right: Secret; wrong: Secret; kdf?: Kdf }> = {
  'passphrase, Argon2id': {
    right: { kind: 'passphrase', passphrase: 'corréct horse' },
    wrong: { kind: 'passphrase', passphrase: 'correct horse' },
    kdf: CHEAP,
  },
  'passphrase, scrypt': {
    right: { kind: 'passphrase', passphrase: seededBytes(20, 1) },
    wrong: { kind: 'passphrase', passphrase: seededBytes(20, 2) },
    kdf: { name: 'scrypt', logN: 4, r: 8, p: 1 },
  },
  'key file': {
    right: { kind: 'key-file', key: seededBytes(32, 3) },
    wrong: { kind: 'key-file', key: seededBytes(32, 4) },
  },
  escrow: {
    right: { kind: 'escrow', privateKey: seededBytes(32, 5) },
    wrong: { kind: 'escrow', privateKey: seededBytes(32, 6) },
  },
}

/** What a slot is made with, of what opens it. */
const madeWith = (secret: Secret): NewSecret =>
  secret.kind === 'escrow' ? { kind: 'escrow', publicKey: publicKeyOf(secret.privateKey) } : secret

for (const [name, { right, wrong, kdf }] of Object.entries(secrets)) {
  const keyring = Keyring.create().rotated()
  const create = (): Promise<Bytes> => createSlot(keyring, madeWith(right), { label: 'Büro', ...(kdf && { kdf }) })

  t.test(`slot, ${name}: opens with its secret only`, async t => {
    const slot = await create()
    const opened = await openSlot(slot, right)
    t.strictSame([...opened.generations], [...keyring.generations])
    t.equal(opened.current, 2)
    await t.rejects(openSlot(slot, wrong), { code: 'GRANARY_WRONG_KEY' })
    const otherKind: Secret =
      right.kind === 'key-file'
        ? { kind: 'passphrase', passphrase: 'x' }
        : { kind: 'key-file', key: seededBytes(32, 3) }
    await t.rejects(openSlot(slot, otherKind), { code: 'GRANARY_WRONG_KEY' })
    const header = verifySlot(slot)
    t.equal(header.label, 'Büro')
    t.equal(header.kind, right.kind)
    t.ok(Math.abs(Date.parse(header.created) - Date.now()) < 60_000)
    t.strictSame(header.kdf, kdf)
    t.notSame(await create(), slot, 'another salt each time')
  })

  t.test(`slot, ${name}: every flipped bit and every cut is noticed without the secret`, async t => {
    const slot = await create()
    let missed = 0
    for (let bit = 0; bit < slot.length * 8; bit++) {
      const flipped = slot.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      try {
        verifySlot(flipped)
        missed++
      } catch (error) {
        if ((error as { code?: string }).code !== 'GRANARY_CORRUPT') missed++
      }
    }
    t.equal(missed, 0, `of ${slot.length * 8}`)
    for (const length of [0, 1, 32, 33, slot.length - 1]) {
      t.throws(() => verifySlot(slot.subarray(0, length)), { code: 'GRANARY_CORRUPT' })
    }
    t.throws(() => verifySlot(new Uint8Array(65_537)), { code: 'GRANARY_CORRUPT' })
  })

  t.test(`slot, ${name}: a header changed by someone who mends the checksum does not open`, async t => {
    const slot = await create()
    const forged = resum(Buffer.from(slot.subarray(0, -32)).toString('latin1').replace('ro"', 'rO"'))
    t.equal(verifySlot(forged).label, 'BürO')
    await t.rejects(openSlot(forged, right), { code: 'GRANARY_AUTHENTICATION' })
  })
}

/** A slot of these bytes (as latin1) with a checksum that fits. */
const resum = (body: string): Bytes => {
  const bytes = Buffer.from(body, 'latin1')
  return new Uint8Array(Buffer.concat([bytes, blake3(bytes)]))
}

t.test('a slot of another make: each thing wrong with its header has its code', async t => {
  const salt = '00'.repeat(32)
  const good = {
    format: 'granary-slot',
    version: 1,
    kind: 'passphrase',
    label: 'a',
    created: '2026-01-01T00:00:00.000Z',
  }
  const argon2 = { name: 'argon2id', memoryKiB: 64, passes: 1, lanes: 1, salt }
  const codeOf = (header: unknown, line = `${JSON.stringify(header)}\n`): string => {
    try {
      verifySlot(resum(`${line}rest`))
      return 'none'
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  t.equal(codeOf({ ...good, kdf: argon2 }), 'none')
  const publicKey = '0a'.repeat(32)
  t.equal(codeOf({ ...good, kind: 'escrow', publicKey, generation: 7 }), 'none')
  t.equal(codeOf({ ...good, kind: 'escrow' }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, kind: 'escrow', publicKey: publicKey.slice(1) }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, kind: 'key-file', generation: 0 }), 'GRANARY_CORRUPT')
  t.equal(codeOf(undefined, 'no line'), 'GRANARY_CORRUPT')
  t.equal(codeOf(undefined, '{"format":\n'), 'GRANARY_CORRUPT')
  t.equal(codeOf(undefined, '"\xff"\n'), 'GRANARY_CORRUPT')
  t.equal(codeOf(undefined, `${' '.repeat(5000)}{}\n`), 'GRANARY_CORRUPT')
  t.equal(codeOf(null), 'GRANARY_CORRUPT')
  t.equal(codeOf([]), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, format: 'tar' }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, version: 2 }), 'GRANARY_UNSUPPORTED')
  t.equal(codeOf({ ...good, kind: 'retina' }), 'GRANARY_UNSUPPORTED')
  t.equal(codeOf({ ...good, label: 7 }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, label: '\u001b[2J' }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, created: 'yesterday' }), 'GRANARY_CORRUPT')
  t.equal(codeOf(good), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, kdf: { ...argon2, salt: '00' } }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, kdf: { ...argon2, passes: '1' } }), 'GRANARY_CORRUPT')
  t.equal(codeOf({ ...good, kdf: { ...argon2, name: 'md5' } }), 'GRANARY_UNSUPPORTED')
  for (const absurd of [
    { memoryKiB: 4 * 1024 * 1024 + 1 },
    { memoryKiB: 7 },
    { memoryKiB: 1e300 },
    { passes: 65 },
    { passes: 0 },
    { passes: 1.5 },
    { lanes: 17 },
    { lanes: 16 },
  ]) {
    t.equal(codeOf({ ...good, kdf: { ...argon2, ...absurd } }), 'GRANARY_LIMIT', JSON.stringify(absurd))
  }
  const scrypt = { ...DEFAULT_SCRYPT, salt }
  t.equal(codeOf({ ...good, kdf: scrypt }), 'none')
  for (const absurd of [{ logN: 25 }, { logN: 24, r: 64 }, { p: 17 }, { r: 0 }]) {
    t.equal(codeOf({ ...good, kdf: { ...scrypt, ...absurd } }), 'GRANARY_LIMIT', JSON.stringify(absurd))
  }
})

t.test('an absurd cost is refused before any work, on opening and on making', async t => {
  const never: Argon2Engine = { name: 'wasm', hash: () => Promise.reject(new Error('this must not run')) }
  const secret: Secret = { kind: 'passphrase', passphrase: 'x' }
  const kdf: Kdf = { name: 'argon2id', memoryKiB: 2 ** 32, passes: 1, lanes: 1 }
  await t.rejects(createSlot(Keyring.create(), secret, { label: 'a', kdf, argon2: never }), { code: 'GRANARY_LIMIT' })
  await t.rejects(deriveKek(new Uint8Array(1), new Uint8Array(16), kdf, { argon2: never }), { code: 'GRANARY_LIMIT' })
})

t.test('a passphrase is the same from every keyboard; empty ones and odd labels are refused', async t => {
  const keyring = Keyring.create()
  const slot = await createSlot(keyring, { kind: 'passphrase', passphrase: 'Gru\u0308n' }, { label: 'a', kdf: CHEAP })
  t.equal((await openSlot(slot, { kind: 'passphrase', passphrase: 'Gr\u00fcn' })).current, 1)
  const code = 'GRANARY_INVALID_ARGUMENT'
  await t.rejects(createSlot(keyring, { kind: 'passphrase', passphrase: '' }, { label: 'a', kdf: CHEAP }), { code })
  await t.rejects(createSlot(keyring, { kind: 'key-file', key: seededBytes(31, 1) }, { label: 'a' }), { code })
  for (const label of ['a\nb', '\u001b[31m', 'x'.repeat(201), '\u202e']) {
    await t.rejects(createSlot(keyring, { kind: 'key-file', key: seededBytes(32, 1) }, { label }), { code })
  }
})

t.test('a slot made with one Argon2 opens with the other', async t => {
  const keyring = Keyring.create()
  const secret: Secret = { kind: 'passphrase', passphrase: 'either' }
  const slot = await createSlot(keyring, madeWith(secret), { label: 'a', kdf: CHEAP, argon2: argon2Wasm })
  t.equal((await openSlot(slot, secret)).current, 1)
  const other = await createSlot(keyring, madeWith(secret), { label: 'a', kdf: CHEAP })
  t.equal((await openSlot(other, secret, { argon2: argon2Wasm })).current, 1)
})

t.test('the cost chosen follows the clock, between the floor and the bounds', async t => {
  const chosen = async (tryMs: number): Promise<unknown> => {
    let clock = 0
    const engine: Argon2Engine = {
      name: 'wasm',
      hash: async () => {
        clock += tryMs
        return new Uint8Array(32)
      },
    }
    const { memoryKiB, passes, lanes } = await chooseArgon2Cost({ argon2: engine, now: () => clock })
    return { memoryMiB: memoryKiB / 1024, passes, lanes }
  }
  t.strictSame(await chosen(5000), { memoryMiB: 64, passes: 3, lanes: 4 }, 'slow: the floor')
  t.strictSame(await chosen(500), { memoryMiB: 64, passes: 3, lanes: 4 })
  t.strictSame(await chosen(250), { memoryMiB: 128, passes: 3, lanes: 4 })
  t.strictSame(await chosen(100), { memoryMiB: 256, passes: 3, lanes: 4 })
  t.strictSame(await chosen(50), { memoryMiB: 256, passes: 7, lanes: 4 })
  t.strictSame(await chosen(0), { memoryMiB: 256, passes: 64, lanes: 4 })
})

t.test('without memory for the work there is a reason, not a crash', async t => {
  const poor: Argon2Engine = { name: 'wasm', hash: () => Promise.reject(new RangeError('out of memory')) }
  await t.rejects(deriveKek(new Uint8Array(1), new Uint8Array(16), CHEAP, { argon2: poor }), {
    code: 'GRANARY_LIMIT',
    hint: /too little memory/,
  })
})
