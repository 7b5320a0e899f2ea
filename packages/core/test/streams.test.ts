import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { faultyReader, gatedReader, seededBytes } from '@granary/testing'
import t from 'tap'
import {
  copyStream,
  createRawDisk,
  diskStream,
  memoryDisk,
  openRawReader,
  openRawWriter,
  streamWriter,
} from '../src/index.ts'
import type { Bytes, ProgressEvent } from '../src/index.ts'
import { freshPath, nativeWays, openFiles, readWhole, sameBytes, sparseFile } from './scratch.ts'

const MiB = 1024 ** 2

/** The bytes in pieces of odd sizes. */
function* pieces(bytes: Bytes, sizes: readonly number[] = [1, 65_536, 7, 0, 100_000]): Generator<Bytes> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = sizes[i % sizes.length] ?? 1
    yield bytes.subarray(at, at + length)
    at += length
  }
}

t.test('a stream becomes a file of its size, zeros as holes', async t => {
  const content = seededBytes(5 * MiB + 321, 1)
  content.fill(0, MiB, 3 * MiB)
  for (const { native } of nativeWays) {
    const path = freshPath()
    await using writer = await createRawDisk(path, 0, { native })
    const stream = diskStream(pieces(content), 'test')
    t.equal(stream.sizeBytes, undefined)
    const events: ProgressEvent[] = []
    const counts = await copyStream(stream, writer, { onProgress: event => events.push(event) })
    t.equal(stream.sizeBytes, content.length)
    t.match(counts, { zeroBytes: 2 * MiB, writtenBytes: 3 * MiB + 321, unchangedBytes: 2 * MiB })
    t.ok(sameBytes(await readWhole(path), content))
    t.ok((await stat(path)).blocks * 512 <= 3 * MiB + 65_536)
    t.match(events.at(-1), { doneBytes: content.length, totalBytes: undefined })
  }
})

t.test('a stream onto an existing target: whole, or differences only', async t => {
  const content = seededBytes(2 * MiB, 2).fill(0, 0, 100_000)
  for (const differencesOnly of [false, true]) {
    const path = await sparseFile(seededBytes(3 * MiB, 3), [{ offset: 0, length: 3 * MiB }])
    await using writer = await openRawWriter(path)
    await copyStream(diskStream(Readable.from(pieces(content)), 'test'), writer, { differencesOnly })
    t.ok(sameBytes(await readWhole(path), content), 'a file gets the size of the stream')
  }
  const counts = await copyStream(diskStream([content], 'test'), memoryDisk(content.slice()), { differencesOnly: true })
  t.match(counts, { unchangedBytes: 2 * MiB, writtenBytes: 0 })
})

t.test('a stream that is too long for its target is an error', async t => {
  await t.rejects(copyStream(diskStream([new Uint8Array(2000)], 'test'), memoryDisk(new Uint8Array(1999))), {
    code: 'GRANARY_SIZE',
    detail: { neededBytes: 2000, availableBytes: 1999 },
  })
})

t.test('an empty stream is a disk of no bytes', async t => {
  const path = freshPath()
  await using writer = await createRawDisk(path, 10)
  const stream = diskStream([], 'test')
  await copyStream(stream, writer)
  t.equal(stream.sizeBytes, 0)
  t.equal((await stat(path)).size, 0)
})

t.test('a stream is read once, and has no size when it failed', async t => {
  const stream = diskStream([new Uint8Array(3)], 'test')
  for await (const chunk of stream.chunks()) t.equal(chunk.length, 3)
  await t.rejects(stream.chunks().next(), { code: 'GRANARY_INVALID_ARGUMENT' })

  const source = new PassThrough()
  const failing = diskStream(source, 'test input')
  const chunks = failing.chunks()
  source.write(new Uint8Array(10))
  t.equal((await chunks.next()).value?.length, 10)
  source.destroy(Object.assign(new Error('read EIO'), { code: 'EIO', syscall: 'read' }))
  await t.rejects(chunks.next(), { code: 'GRANARY_IO', message: /test input at 10/ })
  t.equal(failing.sizeBytes, undefined)

  const closed = new PassThrough()
  const cut = diskStream(closed, 'test').chunks()
  closed.write(new Uint8Array(1))
  await cut.next()
  closed.destroy()
  await t.rejects(cut.next(), { code: 'GRANARY_IO' }, 'closed before its end')
})

t.test('an abort ends the wait for a stream that says nothing', async t => {
  const controller = new AbortController()
  const source = new PassThrough()
  await using writer = await createRawDisk(freshPath(), 0)
  const copy = copyStream(diskStream(source, 'test'), writer, { signal: controller.signal })
  setImmediate(() => controller.abort(new Error('stop')))
  await t.rejects(copy, { message: 'stop' })
  t.equal(source.destroyed, true)
})

t.test('a disk goes to a stream whole and in order, whatever the reads take', async t => {
  const content = seededBytes(3 * MiB + 77, 4)
  content.fill(0, 65_536, MiB)
  let reads = 0
  const disk = gatedReader(memoryDisk(content), async () => {
    for (let turns = reads++ % 3; turns > 0; turns--) await new Promise(resolve => setImmediate(resolve))
  })
  const stream = new PassThrough()
  const received = buffer(stream)
  const listeners = stream.listenerCount('error')
  const counts = await streamWriter(stream, 'test').writeDisk(disk, { bufferBytes: 65_536 })
  t.equal(stream.listenerCount('error'), listeners)
  stream.end()
  t.ok(sameBytes(await received, content))
  t.match(counts, { zeroBytes: MiB - 65_536, writtenBytes: content.length })
})

t.test('holes go out as zeros without being read', async t => {
  const path = await sparseFile(seededBytes(64 * MiB, 5), [{ offset: MiB, length: 4096 }])
  for (const { name, native } of nativeWays) {
    await using reader = await openRawReader(path, { native })
    const child = spawn('sha256sum', { stdio: ['pipe', 'pipe', 'inherit'] })
    const sum = buffer(child.stdout)
    const events: ProgressEvent[] = []
    await streamWriter(child.stdin, 'sha256sum').writeDisk(reader, { onProgress: event => events.push(event) })
    child.stdin.end()
    const direct = spawn('sha256sum', [path], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.equal((await sum).toString().slice(0, 64), (await buffer(direct.stdout)).toString().slice(0, 64))
    t.equal(events.at(-1)?.readBytes, native === null ? 64 * MiB : 4096, name)
  }
})

t.test('writes no faster than the stream takes it', async t => {
  let taken = 0
  let isWriting = false
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Bytes, _encoding, done) {
      t.equal(isWriting, false)
      isWriting = true
      setImmediate(() => {
        isWriting = false
        taken += chunk.length
        done()
      })
    },
  })
  let most = 0
  const source = memoryDisk(seededBytes(2 * MiB, 6))
  const disk = gatedReader(source, async offset => void (most = Math.max(most, offset - taken)))
  await streamWriter(slow, 'test').writeDisk(disk, { bufferBytes: 65_536, concurrency: 2 })
  t.ok(most <= 4 * 65_536, `${most} bytes ahead`)
})

t.test('the other end closing is an error, not the end of the process', { timeout: 20_000 }, async t => {
  const child = spawn('head', ['-c', '100'], { stdio: ['pipe', 'ignore', 'inherit'] })
  await t.rejects(streamWriter(child.stdin, 'standard output').writeDisk(memoryDisk(seededBytes(8 * MiB, 7))), {
    code: 'GRANARY_IO',
    message: /writing to standard output at/,
  })
  if (child.exitCode === null) await once(child, 'close')
  const destroyed = new PassThrough()
  destroyed.destroy()
  await t.rejects(streamWriter(destroyed, 'test').writeDisk(memoryDisk(new Uint8Array(10))), { code: 'GRANARY_IO' })
})

t.test('an abort or a failing source ends it while the stream is stuck or empty', { timeout: 20_000 }, async t => {
  const controller = new AbortController()
  const stuck = new Writable({ write: () => setImmediate(() => controller.abort(new Error('stop'))) })
  const disk = memoryDisk(seededBytes(4 * MiB, 8))
  await t.rejects(streamWriter(stuck, 'test').writeDisk(disk, { signal: controller.signal }), { message: 'stop' })
  const stream = new PassThrough()
  stream.resume()
  await t.rejects(streamWriter(stream, 'test').writeDisk(faultyReader(disk, { endsAt: 2 * MiB })), {
    code: 'GRANARY_SIZE',
    detail: { offset: 2 * MiB },
  })
  t.equal(stream.writableEnded, false, 'ending the stream is its owner’s choice')
  t.strictSame(openFiles(), [])
})
