/** `granary bench ciphers`. @module */
import { measureCiphers } from '@granary/transform'
import type { Command } from '../command.ts'
import { formatTable } from '../terminal/table.ts'

/** CPU time for each cipher, seconds. */
const SECONDS = 0.8

export const benchCiphers: Command['run'] = async ({ arguments: given, terminal, signal }) => {
  const names = (given[1] ?? []) as readonly string[]
  const rows: string[][] = []
  for (const figures of measureCiphers({ seconds: SECONDS }, names)) {
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
  return 0
}
