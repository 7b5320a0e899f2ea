import { spawn } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader, Extent } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { connectNbd, serveNbd } from '../src/index.ts'
import { FrameReader } from '../src/protocol/frame-reader.ts'
import { encodeClientFlags, encodeGreeting } from '../src/protocol/greeting.ts'
import { encodeOption } from '../src/protocol/options.ts'
import { temporaryFolder } from './peers.ts'

for (const replies of ['simple', 'structured', 'extended'] as const) {
  const listen = `nbd+unix:///?socket=${join(temporaryFolder(t), 's')}`
  const content = seededBytes(3_000_001, 1)
  content.fill(0, 8192, 100_000)

  diskReaderContract(
    `our client of our server, ${replies}`,
    async () => {
      const server = await serveNbd({ exports: [{ name: '', disk: memoryDisk(content) }], listen: 'nbd://127.0.0.1:0' })
      t.teardown(async () => server.close())
      const disk = await connectNbd(server.uriOf(), { replies })
      if (disk.replies !== replies) throw new Error(`agreed on ${disk.replies}`)
      return { disk, content }
    },
    { reads: 60 },
  )

  diskWriterContract(`our client of our server, ${replies}`, async sizeBytes => {
    const bytes = new Uint8Array(sizeBytes).fill(7)
    const server = await serveNbd({ exports: [{ name: 'w', disk: memoryDisk(bytes), isWritable: true }], listen })
    const disk = await connectNbd(server.uriOf('w'), { replies })
    const dispose = disk[Symbol.asyncDispose].bind(disk)
    disk[Symbol.asyncDispose] = async () => {
      await dispose()
      await server.close()
    }
    return { disk, readBack: async () => bytes }
  })
}

for (const replies of ['structured', 'extended'] as const)
  t.test(`a disk of 9 PiB, ${replies}`, async t => {
    const sizeBytes = Number.MAX_SAFE_INTEGER - 511
    const TiB = 2 ** 40
    const hugeDisk: DiskReader = {
      sizeBytes,
      blockBytes: 512,
      async read(offset, target) {
        new DataView(target.buffer, target.byteOffset).setFloat64(0, offset)
      },
      async *extents({ offset = 0, length = sizeBytes - offset } = {}) {
        const data = { offset: 5 * TiB, length: 3 * TiB }
        for (const extent of [
          { offset: 0, length: data.offset, kind: 'hole' },
          { ...data, kind: 'data' },
          { offset: 8 * TiB, length: sizeBytes - 8 * TiB, kind: 'hole' },
        ] as const) {
          const start = Math.max(offset, extent.offset)
          const end = Math.min(offset + length, extent.offset + extent.length)
          if (end > start) yield { offset: start, length: end - start, kind: extent.kind }
        }
      },
      async [Symbol.asyncDispose]() {},
    }
    await using server = await serveNbd({ exports: [{ name: '', disk: hugeDisk }], listen: 'nbd://127.0.0.1:0' })
    await using disk = await connectNbd(server.uriOf(), { replies })
    t.equal(disk.sizeBytes, sizeBytes)
    const target = new Uint8Array(8)
    await disk.read(sizeBytes - 8, target)
    t.equal(new DataView(target.buffer).getFloat64(0), sizeBytes - 8)
    const extents: Extent[] = []
    for await (const extent of disk.extents({ offset: 4 * TiB, length: 6 * TiB })) extents.push(extent)
    t.strictSame(extents, [
      { offset: 4 * TiB, length: TiB, kind: 'hole' },
      { offset: 5 * TiB, length: 3 * TiB, kind: 'data' },
      { offset: 8 * TiB, length: 2 * TiB, kind: 'hole' },
    ])
  })

t.test('a server at two separate pipes', async t => {
  const image = join(temporaryFolder(t), 'd.img')
  writeFileSync(image, new Uint8Array(4096).fill(9))
  const main = fileURLToPath(new URL('./serve-main.js', import.meta.url))
  const child = spawn(process.execPath, [main, image, 'stdio:'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const reader = new FrameReader()
  child.stdout.on('data', (bytes: Buffer) => reader.push(bytes))
  t.equal(Buffer.compare(await reader.read(18), encodeGreeting()), 0)
  child.stdin.write(encodeClientFlags(3))
  child.stdin.write(encodeOption(1))
  t.equal(Buffer.from(await reader.read(10)).readBigUInt64BE(0), 4096n)
  const exited = new Promise(resolve => child.once('exit', resolve))
  child.stdin.end()
  t.equal(await exited, 0, 'it ends when its one client leaves')
})

t.test('one signal for hundreds of requests: one listener, none afterwards, and all of them end', async t => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const content = seededBytes(8 * 2 ** 20, 3)
  await using server = await serveNbd({
    exports: [{ name: '', disk: memoryDisk(content) }],
    listen: 'nbd://127.0.0.1:0',
  })
  await using disk = await connectNbd(server.uriOf(), { requestBytes: 4096, maxBytesInFlight: 2 ** 20 })
  const { signal } = new AbortController()
  const target = new Uint8Array(content.length)
  await disk.read(0, target, { signal })
  t.equal(Buffer.compare(target, content), 0)
  t.equal(getEventListeners(signal, 'abort').length, 0)
  const abort = new AbortController()
  const reads = Array.from({ length: 50 }, async (_, i) =>
    disk.read(i * 65_536, new Uint8Array(65_536), { signal: abort.signal }),
  )
  t.equal(getEventListeners(abort.signal, 'abort').length, 1)
  abort.abort(new Error('stop'))
  for (const each of await Promise.allSettled(reads)) t.match(each, { status: 'rejected', reason: { message: 'stop' } })
  await disk.read(0, target)
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(warnings, [])
})
