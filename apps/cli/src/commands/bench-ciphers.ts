/** `granary bench ciphers`. @module */
import { cipherByName, measureAes, measureCiphers } from '@granary/transform'
import type { Command } from '../command.ts'
import { formatTable } from '../terminal/table.ts'

/** CPU time for each cipher, seconds. */
const SECONDS = 0.8

export const benchCiphers: Command['run'] = async ({ arguments: given, terminal, signal }) => {
  const names = (given[1] ?? []) as readonly string[]
  const rows: string[][] = []
  for (const name of names) cipherByName(name) // A wrong name is told before anything is measured.
  const aes = await measureAes({ seconds: SECONDS, signal })
  for (const figures of measureCiphers({ seconds: SECONDS, aes }, names)) {
    signal.throwIfAborted()
    terminal.emit({ type: 'cipher', v: 1, ...figures })
    const { cipher, blockBits, keyBits, wasmMegabytesPerSecond, opensslMegabytesPerSecond } = figures
    rows.push([
      cipher,
      ...[blockBits, keyBits, wasmMegabytesPerSecond, opensslMegabytesPerSecond ?? ''].map(String),
      figures.chosen,
      String(figures.sealMegabytesPerSecond),
    ])
    await new Promise(resolve => setImmediate(resolve)) // Lets a signal in.
  }
  const header = ['CIPHER', 'BLOCK', 'KEY', 'WASM MB/s', 'OPENSSL MB/s', 'CHOSEN', 'SEAL MB/s']
  terminal.say(formatTable(header, rows, [1, 2, 3, 4, 6]))
  const { aesMegabytesPerSecond, aesPiecesMegabytesPerSecond } = aes
  terminal.say(
    `\nAES-256-CTR of node:crypto, to compare machines by: ${aesMegabytesPerSecond} MB/s in messages of 1 MiB, ${aesPiecesMegabytesPerSecond} MB/s in pieces of 32 KiB`,
  )
  return 0
}
