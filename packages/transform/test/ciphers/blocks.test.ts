import t from 'tap'
import { blockCipher, blockCiphers, ctr } from '../../src/index.ts'
import { hex, toHex, vectorSets } from './vectors.ts'
import type { BlockVector, CtrVector } from './vectors.ts'

/** Vectors with more iterations than this are run only in the long suite. */
const ITERATIONS_MAX = process.env['GRANARY_TEST_LONG'] === undefined ? 1000 : Number.POSITIVE_INFINITY

for (const { name } of blockCiphers) {
  for (const { name: set, vectors, skip } of vectorSets<BlockVector>(`${name}.json`))
    t.test(`${set}: blocks encrypt and decrypt as published`, { skip }, async t => {
      const chosen = vectors.filter(vector => (vector.iterations ?? 1) <= ITERATIONS_MAX)
      t.comment(`${chosen.length} of ${vectors.length} vectors`)
      t.ok(chosen.length > 0)
      for (const { blockBits, key, plaintext, ciphertext, tweak, iterations = 1 } of chosen) {
        const cipher = blockCipher(name, hex(key), { blockBits, ...(tweak !== undefined && { tweak: hex(tweak) }) })
        let bytes = hex(plaintext)
        for (let i = 0; i < iterations; i++) bytes = cipher.encrypt(bytes)
        if (toHex(bytes) !== ciphertext) t.equal(toHex(bytes), ciphertext, `encrypting under ${key}`)
        for (let i = 0; i < iterations; i++) bytes = cipher.decrypt(bytes)
        if (toHex(bytes) !== plaintext) t.equal(toHex(bytes), plaintext, `decrypting under ${key}`)
      }
    })

  for (const { name: set, vectors, skip } of vectorSets<CtrVector>(`ctr/${name}.json`))
    t.test(`${set}: counter mode gives the published bytes, whole and from anywhere`, { skip }, async t => {
      t.ok(vectors.length > 0)
      for (const { blockBits, key, iv, plaintext, ciphertext, offset = 0 } of vectors) {
        const stream = ctr(name, hex(key), hex(iv), { blockBits, offset, engine: 'wasm' })
        const whole = toHex(stream.process(hex(plaintext)))
        if (whole !== ciphertext) t.equal(whole, ciphertext, `under ${key} from ${iv}`)
        // The last third on its own, and then the first bytes again.
        const skip = Math.floor((hex(plaintext).length * 2) / 3)
        stream.seek(offset + skip)
        const rest = toHex(stream.process(hex(plaintext).subarray(skip)))
        if (rest !== ciphertext.slice(2 * skip)) t.equal(rest, ciphertext.slice(2 * skip), `from byte ${skip}`)
      }
    })
}

interface Trap {
  readonly cipher: string
  readonly what: string
  readonly key: string
  readonly plaintext: string
  readonly wrong?: string
  readonly right?: string
  readonly paperCiphertext?: string
  readonly bytesKey?: string
  readonly bytesPlaintext?: string
  readonly bytesCiphertext?: string
}

for (const { name: set, vectors, skip } of vectorSets<Trap>('traps.json'))
  t.test(`${set}: the wrong variants are not what we compute`, { skip }, async t => {
    for (const trap of vectors) {
      const got = toHex(blockCipher(trap.cipher, hex(trap.key)).encrypt(hex(trap.plaintext)))
      t.not(got, trap.wrong ?? trap.paperCiphertext, `${trap.cipher}: ${trap.what}`)
      if (trap.right !== undefined) t.equal(got, trap.right)
      if (trap.bytesKey === undefined || trap.bytesPlaintext === undefined) continue
      const bytes = blockCipher(trap.cipher, hex(trap.bytesKey)).encrypt(hex(trap.bytesPlaintext))
      t.equal(toHex(bytes), trap.bytesCiphertext)
    }
  })
