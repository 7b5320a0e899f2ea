/** Images through each zstd library, and through workers. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { zstdEngines } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { createQcow2, memoryFile, openQcow2, openQcow2Writer } from '../src/index.ts'

const engines = Object.values(zstdEngines()).filter(engine => engine !== undefined)

t.test('images through each, and through workers', async t => {
  for (const zstd of [...engines, undefined]) {
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
