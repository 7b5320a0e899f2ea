import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import {
  createDataKey,
  createKeyPair,
  openDataKey,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyFromPem,
  publicKeyOf,
  publicKeyToPem,
  sealDataKey,
} from '../src/index.ts'
import { openWithPrivateKey, sealToPublicKey } from '../src/keys/public-box.ts'
import { agree } from '../src/keys/x25519.ts'
import { toHex } from './vectors.ts'

const bytesOf = (hex: string): Bytes => new Uint8Array(Buffer.from(hex, 'hex'))

// RFC 7748, section 6.1.
const RFC_7748 = {
  alice: bytesOf('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
  bob: bytesOf('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
  alicePublic: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  bobPublic: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  shared: '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
}

t.test('X25519 is what RFC 7748 says, and refuses keys whose secret anybody knows', async t => {
  const { alice, bob, alicePublic, bobPublic, shared } = RFC_7748
  t.equal(toHex(publicKeyOf(alice)), alicePublic)
  t.equal(toHex(publicKeyOf(bob)), bobPublic)
  t.equal(toHex(agree(alice, publicKeyOf(bob))), shared)
  t.equal(toHex(agree(bob, publicKeyOf(alice))), shared)
  // Points of small order: RFC 7748, section 6.1, the check for the all-zero value.
  for (const order of ['00'.repeat(32), `01${'00'.repeat(31)}`, `ecff${'ff'.repeat(29)}7f`])
    t.throws(() => agree(alice, bytesOf(order)), { code: 'GRANARY_INVALID_ARGUMENT' }, order)
  t.throws(() => agree(alice, alice.subarray(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => publicKeyOf(new Uint8Array(31)), { code: 'GRANARY_INVALID_ARGUMENT' })
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

t.test('PEM files: OpenSSL reads ours, and we its', { skip: hasOpenssl ? false : 'no openssl' }, async t => {
  const folder = t.testdir()
  const [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')]
  const { privateKey, publicKey } = createKeyPair()
  writeFileSync(ours, privateKeyToPem(privateKey))
  const shown = spawnSync('openssl', ['pkey', '-in', ours, '-pubout'], { encoding: 'utf8' })
  t.equal(shown.stdout, publicKeyToPem(publicKey))
  t.equal(spawnSync('openssl', ['genpkey', '-algorithm', 'X25519', '-out', theirs]).status, 0)
  const read = privateKeyFromPem(readFileSync(theirs, 'utf8'))
  const pem = spawnSync('openssl', ['pkey', '-in', theirs, '-pubout'], { encoding: 'utf8' }).stdout
  t.strictSame(publicKeyFromPem(pem), publicKeyOf(read))
})

t.test('what is no X25519 key as PEM is refused, and none of it is repeated', async t => {
  const { privateKey, publicKey } = createKeyPair()
  t.strictSame(privateKeyFromPem(privateKeyToPem(privateKey)), privateKey)
  t.strictSame(publicKeyFromPem(publicKeyToPem(publicKey)), publicKey)
  const ed25519 =
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n'
  for (const pem of ['', 'a key', publicKeyToPem(publicKey), ed25519])
    t.throws(() => privateKeyFromPem(pem), {
      code: 'GRANARY_INVALID_ARGUMENT',
      message: /expected an X25519 private key/,
    })
  for (const pem of ['', 'a key', privateKeyToPem(privateKey)])
    t.throws(() => publicKeyFromPem(pem), {
      code: 'GRANARY_INVALID_ARGUMENT',
      message: /expected an X25519 public key/,
    })
})

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

t.test(
  'a box for a public key opens with the private one only, and every flipped bit and every cut is noticed',
  async t => {
    const { privateKey, publicKey } = createKeyPair()
    const [associated, secret] = [seededBytes(20, 1), seededBytes(40, 2)]
    const box = sealToPublicKey(publicKey, associated, secret)
    t.strictSame(openWithPrivateKey(privateKey, associated, box), secret)
    t.notSame(sealToPublicKey(publicKey, associated, secret), box, 'another ephemeral key each time')
    t.equal(
      codeOf(() => openWithPrivateKey(createKeyPair().privateKey, associated, box)),
      'GRANARY_WRONG_KEY',
    )
    t.equal(
      codeOf(() => openWithPrivateKey(privateKey, seededBytes(20, 3), box)),
      'GRANARY_AUTHENTICATION',
    )
    const codes = new Map<string, number>()
    for (let bit = 0; bit < box.length * 8; bit++) {
      const flipped = box.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      const code = codeOf(() => openWithPrivateKey(privateKey, associated, flipped))
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    // X25519 ignores the top bit of a public key; the box doesn't.
    t.strictSame([...codes.keys()].toSorted(), ['GRANARY_AUTHENTICATION', 'GRANARY_UNSUPPORTED', 'GRANARY_WRONG_KEY'])
    for (let length = 0; length < box.length; length++)
      t.not(
        codeOf(() => openWithPrivateKey(privateKey, associated, box.subarray(0, length))),
        'none',
      )
  },
)

t.test('a data key sealed to the repository opens there, for its domain', async t => {
  const { privateKey, publicKey } = createKeyPair()
  const [dataKey, domain] = [createDataKey(), seededBytes(16, 4)]
  const sealed = sealDataKey(publicKey, dataKey, domain)
  t.equal(sealed.length, 145)
  t.strictSame(openDataKey(privateKey, sealed, domain), dataKey)
  t.throws(() => openDataKey(privateKey, sealed, seededBytes(16, 5)), { code: 'GRANARY_AUTHENTICATION' })
  t.throws(() => sealDataKey(publicKey, dataKey.subarray(1), domain), { code: 'GRANARY_INVALID_ARGUMENT' })
})
