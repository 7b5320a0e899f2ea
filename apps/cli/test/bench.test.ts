import { suites } from '@granary/transform'
import { parseJsonLines } from '@granary/testing'
import t from 'tap'
import { granary } from './in-process.ts'

// They measure in CPU time, which a busy machine gives slowly.
t.setTimeout(600_000)

t.test('the suites are listed with their speed on this machine', async t => {
  const { code, text } = await granary(['suites', '--json'])
  t.equal(code, 0)
  const rows = parseJsonLines(text)
  t.strictSame(
    rows.map(({ name }) => name),
    suites.map(({ name }) => name),
  )
  for (const row of rows)
    t.match(row, { type: 'suite', v: 1, id: Number, keyBits: Number, tagBits: Number, description: /\.$/ })
  t.ok(rows.every(row => (row['megabytesPerSecond'] as number) > 0))
  t.strictSame(
    rows.filter(row => row['isDefault'] === true).map(({ name }) => name),
    ['aes-256-gcm'],
  )
})

t.test('the bench of ciphers gives a line a cipher and block size', async t => {
  const { code, text } = await granary(['bench', 'ciphers', 'rijndael', 'kalyna', '--json'])
  t.equal(code, 0)
  const rows = parseJsonLines(text)
  t.match(rows, [
    { cipher: 'aes', blockBits: 128, keyBits: 256, opensslMegabytesPerSecond: Number, chosen: 'openssl' },
    { cipher: 'kalyna', blockBits: 128, keyBits: 128, chosen: 'wasm', suite: 'kalyna-128-ctr-blake3' },
    { cipher: 'kalyna', blockBits: 256, keyBits: 256, chosen: 'wasm', suite: 'kalyna-256-ctr-blake3' },
    { cipher: 'kalyna', blockBits: 512, keyBits: 512, chosen: 'wasm', suite: 'kalyna-512-ctr-blake3' },
  ])
  for (const row of rows) {
    t.match(row, { type: 'cipher', v: 1, wasmMegabytesPerSecond: Number, sealMegabytesPerSecond: Number })
    t.match(row, { aesMegabytesPerSecond: Number, aesPiecesMegabytesPerSecond: Number, aesInOwnProcess: true })
    t.ok((row['wasmMegabytesPerSecond'] as number) > 0 && (row['sealMegabytesPerSecond'] as number) > 0)
  }
  t.equal((await granary(['bench', 'rockets'])).code, 2)
  t.equal((await granary(['bench', 'ciphers', 'rot13'])).code, 2)
})
