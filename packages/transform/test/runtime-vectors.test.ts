/** Published vectors of what the runtime's OpenSSL does for us (HKDF, of which chunkers' secrets come), and of XChaCha20, which no suite uses. */
import { createSecretKey, hkdfSync } from 'node:crypto'
import t from 'tap'
import { openMessage } from '../src/suites/openssl-aead.ts'
import { hChaCha20 } from './hchacha-twin.ts'
import { readVectors, toHex, vectorOptions } from './vectors.ts'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

interface HkdfVector {
  readonly ikm: string
  readonly salt: string
  readonly info: string
  readonly length: number
  readonly okm: string
  readonly result?: string
}

t.test('HKDF with SHA-256', vectorOptions('kdf/hkdf-sha256.json'), async t => {
  const vectors = readVectors<HkdfVector>('kdf/hkdf-sha256.json')
  for (const { ikm, salt, info, length, okm, result } of vectors) {
    const run = (): string => Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), length)).toString('hex')
    if (result === 'invalid') t.throws(run)
    else if (run() !== okm) t.equal(run(), okm)
  }
  t.ok(vectors.length > 50)
})

interface AeadVector {
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly plaintext: string
  readonly ciphertext: string
  readonly tag: string
  readonly result?: string
  readonly source: string
}

t.test(
  'XChaCha20-Poly1305: a readable HChaCha20, then the ChaCha20-Poly1305 that the suite has',
  vectorOptions('aead/xchacha20-poly1305.json'),
  async t => {
    const vectors = readVectors<AeadVector>('aead/xchacha20-poly1305.json')
    const counts = { opened: 0, refused: 0 }
    for (const { key, iv, aad, plaintext, ciphertext, tag, result, source } of vectors) {
      const nonce = hex(iv)
      if (nonce.length !== 24 || hex(tag).length !== 16) {
        t.equal(result, 'invalid', source)
        counts.refused++
        continue
      }
      const subkey = createSecretKey(hChaCha20(hex(key), nonce.subarray(0, 16)))
      const binding = { nonce: new Uint8Array([0, 0, 0, 0, ...nonce.subarray(16)]), associated: hex(aad), tagBytes: 16 }
      const plain = new Uint8Array(ciphertext.length / 2)
      const isValid = openMessage('chacha20-poly1305', subkey, binding, hex(ciphertext + tag), plain)
      t.equal(isValid, result !== 'invalid', source)
      if (isValid) t.equal(toHex(plain), plaintext, source)
      counts[isValid ? 'opened' : 'refused']++
    }
    t.comment(`${counts.opened} opened, ${counts.refused} refused`)
    t.ok(counts.opened > 100 && counts.refused > 20)
  },
)
