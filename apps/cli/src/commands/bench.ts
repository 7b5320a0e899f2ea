import { randomBytes } from 'node:crypto'
import { GranaryError, memoryDisk } from '@granary/core'
import { createChunker, parseChunker } from '@granary/chunker'
import { backup, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import { DEFAULT_SUITE, createCompressor, createKeyedHasher, parseCompression, suiteByName } from '@granary/transform'
import { textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { formatTable } from '../terminal/table.ts'
import { benchCiphers } from './bench-ciphers.ts'

/** Size of what is measured on, bytes: larger than caches, small enough for a few seconds in all. */
const SAMPLE_BYTES = 64 * 1024 * 1024
const BLOCK_BYTES = 128 * 1024

export const bench: Command = {
  name: 'bench',
  summary: 'measure how fast this machine does each step, in MB/s of one thread',
  arguments: [
    { name: '[WHAT]', description: 'ciphers: every block cipher, by WebAssembly and by OpenSSL; left out: each step' },
    { name: '[CIPHER...]', description: 'only these ciphers' },
  ],
  examples: ['granary bench', 'granary bench ciphers', 'granary bench ciphers serpent twofish --json'],
  async run(invocation) {
    const what = textArgument(invocation, 0) as string | undefined
    if (what === undefined) return await benchSteps(invocation)
    if (what === 'ciphers') return await benchCiphers(invocation)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `bench: expected ciphers or nothing, got ${what.slice(0, 64)}`)
  },
}

const benchSteps: Command['run'] = async ({ terminal, signal }) => {
  const sample = makeSample()
  const rows: string[][] = []
  const measure = async (what: string, work: () => unknown): Promise<void> => {
    signal.throwIfAborted()
    await work() // Once to warm up.
    const startMs = performance.now()
    await work()
    const megabytesPerSecond = SAMPLE_BYTES / 1000 / (performance.now() - startMs)
    terminal.emit({ type: 'bench', v: 1, what, megabytesPerSecond: Math.round(megabytesPerSecond) })
    rows.push([what, megabytesPerSecond.toFixed(0)])
    await new Promise(resolve => setImmediate(resolve))
  }
  const target = new Uint8Array(SAMPLE_BYTES)
  await measure('memory copy', () => target.set(sample))
  const chunker = createChunker(parseChunker('grid:128k'), new Uint8Array(32))
  await measure('cut (grid:128k)', () => {
    for (let at = 0; at < SAMPLE_BYTES; at += 32 * 1024 * 1024)
      chunker.cutBytes(sample.subarray(at, at + 32 * 1024 * 1024))
  })
  const hasher = createKeyedHasher(new Uint8Array(32))
  await measure('name (BLAKE3)', () => eachBlock(sample, block => hasher.digest(block)))
  for (const name of ['lz4', 'zstd:1', 'zstd:3', 'zstd:9']) {
    const compressor = createCompressor(parseCompression(name))
    await measure(`compress (${name})`, () => eachBlock(sample, block => compressor.compress(block)))
  }
  for (const suite of [DEFAULT_SUITE, 'chacha20-poly1305'].map(suiteByName)) {
    await measure(`seal (${suite.name})`, () => {
      const sealer = suite.open({ encryption: randomBytes(suite.keyBytes), mac: randomBytes(32) })
      let ordinal = 0
      eachBlock(sample, block => sealer.seal(ordinal++, new Uint8Array(0), block))
    })
  }
  await measurePipeline(sample, measure)
  terminal.say(formatTable(['STEP', 'MB/s'], rows, [1]))
  return 0
}

const measurePipeline = async (
  sample: Uint8Array,
  measure: (what: string, work: () => unknown) => Promise<void>,
): Promise<void> => {
  const secret = { kind: 'key-file', key: new Uint8Array(32) } as const
  let stored: { repository: Awaited<ReturnType<typeof openRepository>>; id: string } | undefined
  await measure('back up (in memory, zstd:3)', async () => {
    const backend = memoryBackend()
    await initRepository(backend, secret)
    const repository = await openRepository(backend, secret)
    const snapshot = await backup(repository, [{ name: 'disk', source: 'bench', disk: memoryDisk(sample) }], {
      name: 'bench',
      workers: 0,
    })
    stored = { repository, id: snapshot.id }
  })
  await measure('restore (in memory)', async () => {
    if (stored === undefined) return
    await using disk = await openDisk(stored.repository, stored.id)
    const target = new Uint8Array(4 * 1024 * 1024)
    for (let at = 0; at < disk.sizeBytes; at += target.length) await disk.read(at, target)
  })
}

const eachBlock = (sample: Uint8Array, work: (block: Uint8Array) => unknown): void => {
  for (let at = 0; at < sample.length; at += BLOCK_BYTES) work(sample.subarray(at, at + BLOCK_BYTES))
}

/** Half text, half noise: about what servers hold. */
const makeSample = (): Uint8Array => {
  const sample = new Uint8Array(SAMPLE_BYTES)
  const text = Buffer.from(
    Array.from(
      { length: 4000 },
      (_, i) => `Nov 22 12:00:${i % 60} host app[${i}]: request ${i * 7919} took ${(i * 31) % 997} ms\n`,
    ).join(''),
  )
  for (let at = 0; at < SAMPLE_BYTES; at += 1024 * 1024) {
    if ((at / (1024 * 1024)) % 2 === 0) sample.set(randomBytes(1024 * 1024), at)
    else
      for (let i = 0; i < 1024 * 1024; i += text.length)
        sample.set(text.subarray(0, Math.min(text.length, 1024 * 1024 - i)), at + i)
    new DataView(sample.buffer).setUint32(at, at) // No two megabytes are equal.
  }
  return sample
}
