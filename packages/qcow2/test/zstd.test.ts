/** The implementations of zstd agree, stop at the end of a frame, and never give more than a cluster. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { seededBytes } from '@granary/testing'
import { createQcow2, memoryFile, nativeZstdCodec, openQcow2, openQcow2Writer, wasmZstdCodec } from '../src/index.ts'
import type { ZstdCodec } from '../src/index.ts'

const text = new Uint8Array(Buffer.alloc(100_000, 'grain after grain, '))
const native = await nativeZstdCodec()
const codecs: ZstdCodec[] = [await wasmZstdCodec(), ...(native === undefined ? [] : [native])]

t.test('each reads what each has written', async t => {
  for (const from of codecs) {
    for (const to of codecs) {
      for (const bytes of [text, seededBytes(70_000, 1), new Uint8Array(1), new Uint8Array(2_097_152)]) {
        const target = new Uint8Array(bytes.length)
        t.equal(to.decompress(from.compress(bytes, 3), target), bytes.length, `${from.name} to ${to.name}`)
        t.equal(Buffer.compare(target, bytes), 0)
      }
    }
  }
})

t.test('each refuses what is cut, changed or too much', async t => {
  for (const codec of codecs) {
    const frame = codec.compress(text, 3)
    t.throws(() => codec.decompress(frame.subarray(0, frame.length - 3), new Uint8Array(text.length)), codec.name)
    t.throws(() => codec.decompress(frame, new Uint8Array(text.length - 1)), codec.name)
    t.throws(() => codec.decompress(seededBytes(500, 1), new Uint8Array(text.length)), codec.name)
    t.equal(codec.decompress(frame, new Uint8Array(text.length)), text.length, 'and works on')
  }
})

t.test('images through each, and through workers', async t => {
  for (const zstd of [...codecs, undefined]) {
    const file = memoryFile()
    await createQcow2(file, { sizeBytes: 3_000_000, compression: 'zstd' })
    const options = { ...(zstd === undefined ? {} : { zstd }), workers: 2 }
    const disk = await openQcow2Writer(file, { ...options, compressionLevel: 1 })
    const wanted = new Uint8Array(Buffer.alloc(3_000_000, 'grain'))
    wanted.set(seededBytes(500_000, 3), 1_000_000)
    // Twice: the first time the workers are still starting.
    for (let round = 0; round < 2; round++) await disk.write(0, wanted)
    await disk[Symbol.asyncDispose]()
    const reader = await openQcow2(memoryFile(file.bytes()), options)
    for (const memory of [new ArrayBuffer(wanted.length), new SharedArrayBuffer(wanted.length)]) {
      const found = new Uint8Array(memory)
      for (let round = 0; round < 10; round++) {
        found.fill(0xa5)
        await reader.read(0, found)
        if (Buffer.compare(found, wanted) !== 0) t.fail(`${zstd?.name ?? 'workers'}, round ${round}`)
      }
    }
    await reader[Symbol.asyncDispose]()
    t.pass(zstd?.name ?? 'workers')
  }
})

t.test('a disk that nobody closes does not keep the process alive', async t => {
  const index = new URL('../src/index.js', import.meta.url).href
  const program = `
    const { createQcow2, memoryFile, openQcow2Writer } = await import('${index}')
    const file = memoryFile()
    await createQcow2(file, { sizeBytes: 4 << 20 })
    const disk = await openQcow2Writer(file, { compressionLevel: 1, workers: 2 })
    for (let round = 0; round < 30; round++) await disk.write(0, new Uint8Array(4 << 20).fill(round))
    console.log('written')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 100_000,
  })
  t.equal(output, 'written\n')
})
