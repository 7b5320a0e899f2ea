import { createCipheriv } from 'node:crypto'
import { seededBytes, seededRandom } from '@granary/testing'
import { blockCipher } from '@granary/transform'
import t from 'tap'
import { cbcDecryptor, xtsDecryptor } from '../src/containers/luks/block-modes.ts'

const random = seededRandom(11)
const aes = (key: Uint8Array<ArrayBuffer>) => blockCipher('aes', key)

t.test('XTS and CBC over a block cipher give what OpenSSL gives', async t => {
  for (let i = 0; i < 200; i++) {
    const plain = seededBytes(16 * (1 + random(256)), i)
    const keyBytes = random(2) === 0 ? 16 : 32
    const [key, iv] = [seededBytes(2 * keyBytes, 1000 + i), seededBytes(16, 2000 + i)]
    const [first, second] = [key.slice(0, keyBytes), key.slice(keyBytes)]
    const ciphertext = (name: string, secret: Uint8Array): Uint8Array<ArrayBuffer> =>
      Uint8Array.from(createCipheriv(name, secret, iv).setAutoPadding(false).update(plain))
    const found = new Uint8Array(plain.length)
    xtsDecryptor(aes(first), aes(second))(iv, ciphertext(`aes-${keyBytes * 8}-xts`, key), found)
    t.strictSame(found, plain, `XTS, ${plain.length} bytes`)
    const inPlace = ciphertext(`aes-${keyBytes * 8}-cbc`, first)
    cbcDecryptor(aes(first))(iv, inPlace, inPlace)
    t.strictSame(inPlace, plain, `CBC, ${plain.length} bytes, in place`)
  }
})
