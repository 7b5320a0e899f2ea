import { seededBytes } from '@granary/testing'
import t from 'tap'
import { createSigner, verifySignature } from '../src/index.ts'
import { hex, readVectors, toHex, vectorOptions } from './vectors.ts'

interface Vector {
  readonly source: string
  readonly publicKey: string
  readonly message: string
  readonly signature: string
  readonly result: 'valid' | 'invalid'
}

t.test('Ed25519: published vectors, valid and invalid', vectorOptions('sig/ed25519.json'), async t => {
  for (const { source, publicKey, message, signature, result } of readVectors<Vector>('sig/ed25519.json')) {
    t.equal(verifySignature(hex(publicKey), hex(message), hex(signature)), result === 'valid', source)
  }
})

t.test('RFC 8032, section 7.1, test 2: key and signature of a seed', async t => {
  const signer = createSigner(hex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'))
  t.equal(toHex(signer.publicKey), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
  t.equal(
    toHex(signer.sign(hex('72'))),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  )
})

t.test('a changed message, signature or key does not verify; odd lengths are merely wrong', async t => {
  const signer = createSigner(seededBytes(32, 1))
  const message = seededBytes(1000, 2)
  const signature = signer.sign(message)
  t.ok(verifySignature(signer.publicKey, message, signature))
  t.notOk(verifySignature(signer.publicKey, message.subarray(1), signature))
  t.notOk(verifySignature(createSigner(seededBytes(32, 3)).publicKey, message, signature))
  t.notOk(verifySignature(signer.publicKey, message, signature.subarray(1)))
  t.notOk(verifySignature(signer.publicKey.subarray(1), message, signature))
  t.throws(() => createSigner(new Uint8Array(31)), { code: 'GRANARY_INVALID_ARGUMENT' })
})
