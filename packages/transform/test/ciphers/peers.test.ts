import { spawnSync } from 'node:child_process'
import { createCipheriv, getCiphers } from 'node:crypto'
import t from 'tap'
import { seededBytes, seededRandom } from '@granary/testing'
import { blockCipher, ctr } from '../../src/index.ts'
import { toHex } from './vectors.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 40 : 1000

t.test('OpenSSL agrees on random blocks and streams', async t => {
  const available = new Set(getCiphers())
  for (const [name, bits] of [
    ...['aes', 'aria', 'camellia'].flatMap(family => [128, 192, 256].map(size => [family, size] as const)),
    ['sm4', 128] as const,
  ]) {
    const stem = name === 'sm4' ? 'sm4' : `${name}-${bits}`
    const random = seededRandom(bits)
    t.test(
      `${name}-${bits}`,
      { skip: available.has(`${stem}-ctr`) ? false : `this OpenSSL has no ${stem}` },
      async t => {
        for (let i = 0; i < RUNS; i++) {
          const key = seededBytes(bits / 8, 3 * i)
          const iv = seededBytes(16, 3 * i + 1)
          const plain = seededBytes(random(5000), 3 * i + 2)
          const whole = plain.subarray(0, plain.length - (plain.length % 16))
          const ecb = createCipheriv(`${stem}-ecb`, key, null).setAutoPadding(false)
          const expected = createCipheriv(`${stem}-ctr`, key, iv).update(plain)
          if (toHex(blockCipher(name, key).encrypt(whole)) !== ecb.update(whole, undefined, 'hex'))
            t.fail(`blocks, run ${i}`)
          if (toHex(ctr(name, key, iv, { engine: 'wasm' }).process(plain)) !== toHex(expected))
            t.fail(`stream, run ${i}`)
        }
        t.pass(`${RUNS} runs`)
      },
    )
  }
})

/** Encrypts lines "cipher key plaintext" with Botan's library: its command line has no such modes. */
const BOTAN = `
import ctypes, sys
lib = ctypes.CDLL('libbotan-2.so.19')
for line in sys.stdin:
    name, key, plain = line.split()
    key, plain = bytes.fromhex(key), bytes.fromhex(plain)
    cipher = ctypes.c_void_p()
    if lib.botan_block_cipher_init(ctypes.byref(cipher), name.encode()) != 0:
        print('missing')
        continue
    assert lib.botan_block_cipher_set_key(cipher, key, ctypes.c_size_t(len(key))) == 0
    out = ctypes.create_string_buffer(len(plain))
    blocks = len(plain) // lib.botan_block_cipher_block_size(cipher)
    assert lib.botan_block_cipher_encrypt_blocks(cipher, plain, out, ctypes.c_size_t(blocks)) == 0
    lib.botan_block_cipher_destroy(cipher)
    print(out.raw.hex())
`

const probe = spawnSync('python3', ['-c', "import ctypes; ctypes.CDLL('libbotan-2.so.19')"])
const noBotan = probe.status === 0 ? false : 'needs python3 and libbotan-2'

t.test('Botan agrees on random blocks', { skip: noBotan }, async t => {
  const families: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
    aes: [
      ['AES-128', 128],
      ['AES-192', 192],
      ['AES-256', 256],
    ],
    aria: [
      ['ARIA-128', 128],
      ['ARIA-192', 192],
      ['ARIA-256', 256],
    ],
    camellia: [
      ['Camellia-128', 128],
      ['Camellia-192', 192],
      ['Camellia-256', 256],
    ],
    cast6: [
      ['CAST-256', 128],
      ['CAST-256', 192],
      ['CAST-256', 256],
    ],
    serpent: [
      ['Serpent', 128],
      ['Serpent', 192],
      ['Serpent', 256],
    ],
    sm4: [['SM4', 128]],
    threefish: [['Threefish-512', 512]],
    twofish: [
      ['Twofish', 128],
      ['Twofish', 192],
      ['Twofish', 256],
    ],
  }
  const random = seededRandom(9)
  const cases = Object.entries(families).flatMap(([name, rows]) =>
    rows.flatMap(([botan, bits]) =>
      Array.from({ length: RUNS }, (_, i) => {
        const blockBytes = name === 'threefish' ? bits / 8 : 16
        const key = seededBytes(bits / 8, i)
        return { name, botan, key, plain: seededBytes((1 + random(20)) * blockBytes, i + 1) }
      }),
    ),
  )
  const input = cases.map(({ botan, key, plain }) => `${botan} ${toHex(key)} ${toHex(plain)}\n`).join('')
  const { stdout, stderr, status } = spawnSync('python3', ['-c', BOTAN], { input, maxBuffer: 2 ** 28 })
  t.equal(status, 0, stderr.toString())
  const lines = stdout.toString().trim().split('\n')
  t.equal(lines.length, cases.length)
  for (const [i, { name, botan, key, plain }] of cases.entries()) {
    if (lines[i] !== 'missing' && lines[i] !== toHex(blockCipher(name, key).encrypt(plain)))
      t.fail(`${botan}, case ${i}`)
  }
  const agreed = new Set(cases.filter((_, i) => lines[i] !== 'missing').map(({ botan }) => botan))
  t.comment(`${RUNS} inputs for each key size of ${[...agreed].join(', ')}`)
  t.ok(agreed.size > 0)
})
