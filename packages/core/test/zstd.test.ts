/** The zstd libraries agree, refuse damage, and never give more than there is room for. */
import t from 'tap'
import { seededBytes } from '@granary/testing'
import { decodeZstdFrame, zstdEngines, zstdFrameAt } from '../src/index.ts'
import type { ZstdFrame } from '../src/index.ts'

const text = new Uint8Array(Buffer.alloc(100_000, 'grain after grain, '))
const engines = Object.values(zstdEngines()).filter(engine => engine !== undefined)

t.test('each reads what each has written', async t => {
  for (const from of engines) {
    for (const to of engines) {
      for (const bytes of [text, seededBytes(70_000, 1), new Uint8Array(1), new Uint8Array(2_097_152)]) {
        const target = new Uint8Array(bytes.length)
        t.equal(to.decompress(from.compressor(3)(bytes), target), bytes.length, `${from.name} to ${to.name}`)
        t.equal(Buffer.compare(target, bytes), 0)
      }
    }
  }
})

t.test('each refuses what is cut, changed or too much', async t => {
  for (const engine of engines) {
    const frame = engine.compressor(3)(text)
    t.throws(() => engine.decompress(frame.subarray(0, frame.length - 3), new Uint8Array(text.length)), engine.name)
    t.throws(() => engine.decompress(frame, new Uint8Array(text.length - 1)), engine.name)
    t.throws(() => engine.decompress(seededBytes(500, 1), new Uint8Array(text.length)), engine.name)
    t.equal(engine.decompress(frame, new Uint8Array(text.length)), text.length, 'and works on')
  }
})

t.test('a frame that regenerates more than there is room for', async t => {
  for (const engine of engines) {
    const bomb = engine.compressor(3)(new Uint8Array(48 * 1024 * 1024))
    const frame = zstdFrameAt(bomb, 0) as ZstdFrame
    t.equal(frame.end, bomb.length)
    t.ok(frame.mostBytes >= 48 * 1024 * 1024)
    const before = process.memoryUsage().rss
    t.throws(() => decodeZstdFrame(bomb, frame, new Uint8Array(4096), engine), engine.name)
    t.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024, 'less memory than the bomb holds')
  }
})

t.test('every cut of a frame is no frame', async t => {
  for (const { name, compressor } of engines) {
    const bytes = compressor(3)(seededBytes(300_000, 7))
    t.equal(zstdFrameAt(bytes, 0)?.end, bytes.length, name)
    for (let length = 0; length < bytes.length; length += length < 40 ? 1 : 4093)
      if (zstdFrameAt(bytes.subarray(0, length), 0) !== undefined) t.fail(`${name}, ${length} bytes`)
    const behind = Buffer.concat([Buffer.from('502a4d1803000000aabbcc', 'hex'), bytes, Buffer.alloc(5)])
    t.match(zstdFrameAt(behind, 0), { end: 11, mostBytes: 0, isSkippable: true })
    t.match(zstdFrameAt(behind, 11), { end: 11 + bytes.length, isSkippable: false })
  }
})
