import t from 'tap'
import { measureAes, measureCiphers } from '../src/index.ts'

// They measure in CPU time, which a busy machine gives slowly.
t.setTimeout(120_000)

/** So short that every figure is one turn. */
const SECONDS = 0.01

t.test('AES is measured in a process of its own', async t => {
  const { aesMegabytesPerSecond, aesPiecesMegabytesPerSecond, aesInOwnProcess } = await measureAes({ seconds: SECONDS })
  t.ok(aesMegabytesPerSecond > 0 && aesPiecesMegabytesPerSecond > 0)
  t.equal(aesInOwnProcess, true)
})

for (const [what, program] of [
  ['cannot be started', '/nowhere/node'],
  ['ends without a word', '/bin/true'],
] as const)
  t.test(`where a process ${what}, AES is measured in this one, and says so`, async t => {
    const figures = await measureAes({ seconds: SECONDS, program })
    t.ok(figures.aesMegabytesPerSecond > 0 && figures.aesPiecesMegabytesPerSecond > 0)
    t.equal(figures.aesInOwnProcess, false)
  })

t.test('a signal ends the measuring', async t => {
  const reason = new Error('enough')
  await t.rejects(measureAes({ seconds: SECONDS, signal: AbortSignal.abort(reason) }), reason)
  const controller = new AbortController()
  const measuring = measureAes({ seconds: 3600, signal: controller.signal })
  controller.abort(reason)
  await t.rejects(measuring, reason)
})

t.test('every row of ciphers has the AES it was given, or what is measured here', async t => {
  const aes = { aesMegabytesPerSecond: 1, aesPiecesMegabytesPerSecond: 2, aesInOwnProcess: true }
  const [row] = measureCiphers({ seconds: SECONDS, aes }, ['sm4'])
  t.match(row, { cipher: 'sm4', blockBits: 128, keyBits: 128, chosen: 'wasm', ...aes })
  t.ok((row?.wasmMegabytesPerSecond ?? 0) > 0 && (row?.sealMegabytesPerSecond ?? 0) > 0)
  const [other] = measureCiphers({ seconds: SECONDS }, ['speck'])
  t.match(other, { aesInOwnProcess: false })
  t.ok((other?.aesMegabytesPerSecond ?? 0) > 0)
  t.throws(() => [...measureCiphers({ seconds: SECONDS }, ['rot13'])], { code: 'GRANARY_INVALID_ARGUMENT' })
})
