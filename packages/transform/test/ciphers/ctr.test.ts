import t from 'tap'
import fc from 'fast-check'
import { seededBytes } from '@granary/testing'
import { blockCipher, blockCiphers, ctr } from '../../src/index.ts'
import { isSame, toHex } from './vectors.ts'

interface Variant {
  readonly name: string
  readonly blockBits: number
  readonly keyBits: number
}

/** Every cipher and block size, with its longest key. */
const variants: readonly Variant[] = blockCiphers.flatMap(({ name, sizes }) =>
  sizes.map(({ blockBits, keyBits }) => ({ name, blockBits, keyBits: Math.max(...keyBits) })),
)

/** The key stream as its definition reads: E(iv), E(iv + 1), ..., the counter one integer that wraps. */
const streamByDefinition = ({ name, blockBits }: Variant, key: Uint8Array, iv: Uint8Array, blocks: number): string => {
  const cipher = blockCipher(name, key, { blockBits })
  const start = BigInt(`0x${toHex(iv)}`)
  let stream = ''
  for (let i = 0; i < blocks; i++) {
    const number = (start + BigInt(i)) % (1n << BigInt(blockBits))
    stream += toHex(
      cipher.encrypt(Uint8Array.from(Buffer.from(number.toString(16).padStart(blockBits / 4, '0'), 'hex'))),
    )
  }
  return stream
}

for (const variant of variants) {
  const { name, blockBits, keyBits } = variant
  const blockBytes = blockBits / 8
  const key = seededBytes(keyBits / 8, 1)

  t.test(`${name}, block ${blockBits}: the counter carries over any number of bytes, and wraps`, async t => {
    for (let ones = 0; ones <= blockBytes; ones++) {
      const iv = seededBytes(blockBytes, 3)
      iv.fill(0xff, blockBytes - ones)
      iv[blockBytes - 1] = 0xfc
      const got = ctr(name, key, iv, { blockBits, engine: 'wasm' }).process(new Uint8Array(9 * blockBytes))
      t.equal(toHex(got), streamByDefinition(variant, key, iv, 9), `${ones} bytes of ones`)
    }
  })

  t.test(`${name}, block ${blockBits}: pieces and places give what the whole gives`, async t => {
    const iv = seededBytes(blockBytes, 4)
    const plain = seededBytes(150_000, 5)
    const open = (offset = 0) => ctr(name, key, iv, { blockBits, offset, engine: 'wasm' })
    const whole = open().process(plain)
    t.ok(isSame(open().process(whole), plain), 'decryption is encryption')
    await t.resolves(
      fc.assert(
        fc.asyncProperty(fc.array(fc.nat(70_000), { maxLength: 4 }), fc.nat(149_999), async (lengths, start) => {
          const stream = open(start)
          let at = start
          for (const length of lengths) {
            const end = Math.min(at + length, plain.length)
            const piece = stream.process(plain.subarray(at, end))
            if (!isSame(piece, whole.subarray(at, end))) throw new Error(`differs in ${at} to ${end}`)
            at = end
            if (stream.offset !== at) throw new Error(`offset ${stream.offset}, expected ${at}`)
          }
        }),
        { seed: 4, numRuns: 20 },
      ),
    )
  })
}

t.test('both engines give the same bytes, wrapping included', async t => {
  for (const { name, openssl, sizes } of blockCiphers) {
    if (openssl === undefined) continue
    for (const bits of sizes[0]?.keyBits ?? []) {
      const key = seededBytes(bits / 8, bits)
      const plain = seededBytes(20_000, 6)
      for (const iv of [seededBytes(16, 7), new Uint8Array(16).fill(0xff)])
        for (const offset of [0, 1, 15, 16, 4097]) {
          const run = (engine: 'wasm' | 'openssl') => ctr(name, key, iv, { offset, engine }).process(plain)
          t.ok(isSame(run('wasm'), run('openssl')), `${name}-${bits} from ${offset}`)
        }
    }
  }
})

t.test('inputs are left as they were, outputs are new, and nothing of a key stays behind', async t => {
  for (const { name } of variants.slice(0, 3)) {
    const key = seededBytes(32, 1)
    const iv = seededBytes(16, 2)
    const plain = seededBytes(100, 3)
    const copies = [key, iv, plain].map(bytes => toHex(bytes))
    const stream = ctr(name, key, iv)
    const first = stream.process(plain)
    const second = stream.process(plain)
    const cipher = blockCipher(name, key)
    const block = cipher.encrypt(plain.subarray(0, 16))
    t.strictSame(
      [key, iv, plain].map(bytes => toHex(bytes)),
      copies,
    )
    t.not(first.buffer, second.buffer)
    t.not(Buffer.isBuffer(first), true)
    key.fill(0)
    iv.fill(0)
    stream.seek(0)
    t.strictSame(stream.process(plain), first, 'a key may be wiped by its owner')
    t.strictSame(cipher.encrypt(plain.subarray(0, 16)), block)
  }
})

t.test('shared memory is welcome as input', async t => {
  const shared = new Uint8Array(new SharedArrayBuffer(1000))
  shared.set(seededBytes(1000, 1))
  for (const name of ['aes', 'serpent']) {
    const key = seededBytes(32, 1)
    const iv = seededBytes(16, 2)
    t.strictSame(ctr(name, key, iv).process(shared), ctr(name, key, iv).process(shared.slice()))
  }
})

t.test('rijndael is aes, and sizes have their defaults', async t => {
  const key = seededBytes(32, 1)
  const block = seededBytes(16, 2)
  t.strictSame(blockCipher('rijndael', key).encrypt(block), blockCipher('aes', key).encrypt(block))
  t.equal(blockCipher('kalyna', key).blockBytes, 32)
  t.equal(blockCipher('kalyna', key, { blockBits: 128 }).blockBytes, 16)
  t.equal(blockCipher('threefish', seededBytes(128, 1)).blockBytes, 128)
  t.equal(blockCipher('serpent', key).blockBytes, 16)
})

t.test('what is not legal is refused before anything runs', async t => {
  const key = new Uint8Array(32)
  const iv = new Uint8Array(16)
  const refused = { code: 'GRANARY_INVALID_ARGUMENT', name: 'GranaryError' }
  for (const { name, sizes } of blockCiphers)
    for (const keyBytes of [0, 1, 15, 17, 31, 33, 65, 129])
      t.throws(
        () => blockCipher(name, new Uint8Array(keyBytes)),
        refused,
        `${name}, ${keyBytes} bytes of ${sizes.length} sizes`,
      )
  for (const name of ['', 'des', 'AES', 'toString', '__proto__', 'constructor'])
    t.throws(() => blockCipher(name, key), refused, name)
  t.throws(() => blockCipher('aes', key, { blockBits: 256 }), refused)
  t.throws(() => blockCipher('kalyna', new Uint8Array(16), { blockBits: 512 }), refused)
  t.throws(() => blockCipher('kuznyechik', new Uint8Array(16)), refused)
  t.throws(() => blockCipher('aes', key, { tweak: new Uint8Array(16) }), refused)
  t.throws(() => blockCipher('threefish', key, { tweak: new Uint8Array(15) }), refused)
  t.throws(() => blockCipher('aes', key).encrypt(new Uint8Array(17)), refused)
  t.throws(() => blockCipher('aes', key).decrypt(new Uint8Array(1)), refused)
  for (const length of [0, 12, 15, 17, 32]) t.throws(() => ctr('aes', key, new Uint8Array(length)), refused)
  for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) t.throws(() => ctr('aes', key, iv, { offset }), refused)
  t.throws(() => ctr('serpent', key, iv, { engine: 'openssl' }), refused)
  t.throws(() => ctr('aes', key, iv).seek(-1), refused)
  t.throws(() => ctr('serpent', key, iv, { offset: Number.MAX_SAFE_INTEGER }).process(new Uint8Array(1)), {
    code: 'GRANARY_LIMIT',
  })
})
