import t from 'tap'
import { seededBytes } from '@granary/testing'
import { ctrAcpkm, ctrDstu, gcm, hmacStreebog, kdfGostr3411, mgm, streebog } from '../../src/index.ts'
import type { Aead } from '../../src/index.ts'
import { dstuCcm, dstuGcm, dstuXts } from './twins/kalyna-modes.ts'
import { hex, isSame, toHex, vectorSets } from './vectors.ts'
import type { AeadVector, CtrVector } from './vectors.ts'

const aeads: Readonly<Record<string, (key: Uint8Array) => Aead>> = {
  'aead/sm4-gcm.json': key => gcm('sm4', key),
  'aead/aria-gcm.json': key => gcm('aria', key),
  'aead/kuznyechik-mgm.json': key => mgm('kuznyechik', key),
}

for (const [file, create] of Object.entries(aeads))
  for (const { name: set, vectors, skip } of vectorSets<AeadVector>(file))
    t.test(`${set}: seals and opens as published, and refuses what is invalid`, { skip }, async t => {
      t.ok(vectors.length > 0)
      for (const { key, iv, aad, plaintext, ciphertext, tag, result } of vectors) {
        const aead = create(hex(key))
        const open = (): Uint8Array => aead.open(hex(iv), hex(ciphertext + tag), hex(aad))
        if (result === 'invalid') {
          t.throws(open, { code: 'GRANARY_AUTHENTICATION' })
          continue
        }
        t.equal(toHex(aead.seal(hex(iv), hex(plaintext), hex(aad))), ciphertext + tag)
        t.equal(toHex(open()), plaintext)
      }
    })

t.test('GCM through OpenSSL and through the kernel give the same bytes and open each other', async t => {
  for (const name of ['aes', 'aria', 'camellia', 'twofish'])
    for (const length of [0, 1, 15, 16, 17, 1000, 70_001]) {
      const key = seededBytes(32, length)
      const nonce = seededBytes(12, length + 1)
      const bytes = seededBytes(length, length + 2)
      const associated = seededBytes(length % 37, length + 3)
      const sealed = gcm(name, key).seal(nonce, bytes, associated)
      t.ok(
        isSame(gcm(name, key, { engine: 'wasm' }).seal(nonce, bytes, associated), sealed),
        `${name}, ${length} bytes`,
      )
      t.ok(isSame(gcm(name, key, { engine: 'wasm' }).open(nonce, sealed, associated), bytes))
    }
})

t.test('one flipped bit anywhere is noticed, and so is a cut', async t => {
  const bytes = seededBytes(100, 1)
  const associated = seededBytes(20, 2)
  for (const [aead, nonce] of [
    [gcm('aes', seededBytes(32, 3)), seededBytes(12, 4)],
    [gcm('serpent', seededBytes(32, 3)), seededBytes(12, 4)],
    [mgm('kuznyechik', seededBytes(32, 3)), seededBytes(16, 4).map(byte => byte & 0x7f)],
  ] as const) {
    const sealed = aead.seal(nonce, bytes, associated)
    t.strictSame(aead.open(nonce, sealed, associated), bytes)
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice()
      changed[i] = (changed[i] as number) ^ (1 << (i % 8))
      t.throws(() => aead.open(nonce, changed, associated), { code: 'GRANARY_AUTHENTICATION' })
    }
    for (const length of [0, 15, 16, 115]) {
      t.throws(() => aead.open(nonce, sealed.subarray(0, length), associated), { code: 'GRANARY_AUTHENTICATION' })
    }
    t.throws(() => aead.open(nonce, sealed, associated.subarray(1)), { code: 'GRANARY_AUTHENTICATION' })
    t.throws(() => aead.seal(nonce.subarray(1), bytes), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
})

t.test('MGM refuses a nonce with the top bit and an empty message', async t => {
  const aead = mgm('kuznyechik', new Uint8Array(32))
  t.throws(() => aead.seal(new Uint8Array(16).fill(0x80), new Uint8Array(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => aead.seal(new Uint8Array(16), new Uint8Array(0)), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => mgm('threefish', new Uint8Array(32)), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('MGM is the same whatever the length of the batches', async t => {
  // Sums of two messages are linear in the blocks: a message of several batches must open again.
  const aead = mgm('kuznyechik', seededBytes(32, 5))
  const nonce = seededBytes(16, 6).map(byte => byte & 0x7f)
  const bytes = seededBytes(50_003, 7)
  const sealed = aead.seal(nonce, bytes)
  t.ok(isSame(aead.open(nonce, sealed), bytes))
  // The key stream does not depend on the length.
  t.strictSame(aead.seal(nonce, bytes.subarray(0, 100)).subarray(0, 100), sealed.subarray(0, 100))
})

for (const { name: set, vectors, skip } of vectorSets<CtrVector & { sectionBytes: number }>(
  'modes/kuznyechik-ctr-acpkm.json',
))
  t.test(`${set}: CTR-ACPKM, whole and by seeking back and forth`, { skip }, async t => {
    for (const { key, iv, plaintext, ciphertext, sectionBytes } of vectors) {
      const stream = ctrAcpkm('kuznyechik', hex(key), hex(iv), { sectionBytes })
      t.equal(toHex(stream.process(hex(plaintext))), ciphertext)
      for (const start of [70, 3, 32, 0, 100]) {
        stream.seek(start)
        t.equal(toHex(stream.process(hex(plaintext).subarray(start))), ciphertext.slice(2 * start))
      }
    }
    t.throws(() => ctrAcpkm('kuznyechik', new Uint8Array(32), new Uint8Array(16), { sectionBytes: 32 }), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
    t.throws(() => ctrAcpkm('kuznyechik', new Uint8Array(32), new Uint8Array(8), { sectionBytes: 33 }), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
    t.throws(() => ctrAcpkm('aes', new Uint8Array(24), new Uint8Array(8), { sectionBytes: 32 }), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
  })

for (const { name: set, vectors, skip } of vectorSets<CtrVector & { mode: string }>('modes/kalyna-dstu.json'))
  t.test(`${set}: the counter mode of DSTU 7624`, { skip }, async t => {
    const chosen = vectors.filter(({ mode }) => mode === 'DSTU-CTR')
    t.ok(chosen.length > 0)
    for (const { blockBits, key, iv, plaintext, ciphertext } of chosen) {
      const stream = ctrDstu('kalyna', hex(key), hex(iv), { blockBits })
      t.equal(toHex(stream.process(hex(plaintext))), ciphertext)
      stream.seek(17)
      t.equal(toHex(stream.process(hex(plaintext).subarray(17))), ciphertext.slice(34))
    }
  })

interface DstuVector extends CtrVector {
  readonly mode: string
  readonly aad?: string
}

const DSTU_MODES = { 'DSTU-GCM': dstuGcm, 'DSTU-CCM': dstuCcm, 'DSTU-XTS': dstuXts } as const

for (const { name: set, vectors, skip } of vectorSets<DstuVector>('modes/kalyna-dstu.json'))
  t.test(`${set}: the modes that no suite uses, by readable twins over our Kalyna's twin`, { skip }, async t => {
    const counts = new Map<string, number>()
    for (const { mode, blockBits, key, iv, plaintext, ciphertext, aad = '' } of vectors) {
      const run = DSTU_MODES[mode as keyof typeof DSTU_MODES]
      counts.set(mode, (counts.get(mode) ?? 0) + 1)
      if (run === undefined) {
        t.equal(mode, 'DSTU-CTR', 'the one that we have')
        continue
      }
      const isMac = mode === 'DSTU-GCM' && iv === '' // GMAC: all of the message is associated data.
      const [plain, associated] = isMac ? [new Uint8Array(), hex(plaintext)] : [hex(plaintext), hex(aad)]
      const tagBytes = ciphertext.length / 2 - plain.length
      const message = { blockBytes: blockBits / 8, key: hex(key), iv: hex(iv), plain, associated, tagBytes }
      t.equal(toHex(run(message)), ciphertext, `${mode}, ${blockBits}`)
    }
    t.comment([...counts].map(([mode, count]) => `${count} ${mode}`).join(', '))
  })

for (const { name: set, vectors, skip } of vectorSets<{ hashBits: number; message: string; digest: string }>(
  'hash/streebog.json',
))
  t.test(set, { skip }, async t => {
    for (const { hashBits, message, digest } of vectors) t.equal(toHex(streebog(hashBits, hex(message))), digest)
    t.throws(() => streebog(384, new Uint8Array(0)), { code: 'GRANARY_INVALID_ARGUMENT' })
  })

for (const { name: set, vectors, skip } of vectorSets<{ hashBits: number; key: string; message: string; mac: string }>(
  'hash/hmac-streebog.json',
))
  t.test(set, { skip }, async t => {
    for (const { hashBits, key, message, mac } of vectors)
      t.equal(toHex(hmacStreebog(hashBits, hex(key), hex(message))), mac)
    const long = seededBytes(100, 1)
    t.strictSame(hmacStreebog(256, long, long), hmacStreebog(256, streebog(256, long), long), 'long keys are hashed')
  })

for (const { name: set, vectors, skip } of vectorSets<{ key: string; label: string; seed: string; kout: string }>(
  'kdf/kdf-gostr3411-2012-256.json',
))
  t.test(set, { skip }, async t => {
    for (const { key, label, seed, kout } of vectors)
      t.equal(toHex(kdfGostr3411(hex(key), hex(label), hex(seed))), kout)
  })
