import fc from 'fast-check'
import t from 'tap'
import { seededBytes } from '@granary/testing'
import { decodeStatusChunk, decodeStatusFilter, encodeStatusChunk } from '../src/protocol/block-status.ts'
import { CHUNK } from '../src/protocol/constants.ts'
import { decodeErrorPayload, encodeErrorPayload, errnoOf } from '../src/protocol/error-payload.ts'
import { decodeMessage, decodeText, encodeText, readUint64, viewOf, writeUint64 } from '../src/protocol/fields.ts'
import { FrameReader } from '../src/protocol/frame-reader.ts'
import { decodeGreeting, encodeGreeting } from '../src/protocol/greeting.ts'
import { decodeInfo, decodeMetaContext, decodeServer, encodeBlockSizeInfo } from '../src/protocol/option-replies.ts'
import {
  decodeInfoRequest,
  decodeMetaContextRequest,
  encodeInfoRequest,
  encodeMetaContextRequest,
} from '../src/protocol/options.ts'
import { decodeRequest, encodeRequest } from '../src/protocol/requests.ts'
import { Coverage } from '../src/client/coverage.ts'

const SEED = { seed: 20, numRuns: 200 }
const uint32 = fc.integer({ min: 0, max: 0xffffffff })
const PROTOCOL = { code: 'GRANARY_PROTOCOL' }

t.test('64-bit integers keep every size a disk may have, and stay huge beyond', async t => {
  const view = new DataView(new ArrayBuffer(8))
  fc.assert(
    fc.property(fc.maxSafeNat(), value => {
      writeUint64(view, 0, value)
      return view.getBigUint64(0) === BigInt(value) && readUint64(view, 0) === value
    }),
    SEED,
  )
  fc.assert(
    fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), value => {
      view.setBigUint64(0, value)
      return readUint64(view, 0) > Number.MAX_SAFE_INTEGER
    }),
    SEED,
  )
  t.pass()
})

t.test('requests survive encoding, compact and extended', async t => {
  const request = fc.record({
    flags: fc.integer({ min: 0, max: 0xffff }),
    command: fc.integer({ min: 0, max: 0xffff }),
    cookie: fc.record({ high: uint32, low: uint32 }),
    offset: fc.maxSafeNat(),
    length: uint32,
  })
  fc.assert(
    fc.property(request, fc.boolean(), (wanted, isExtended) => {
      const found = decodeRequest(encodeRequest(wanted, isExtended), isExtended)
      return JSON.stringify(found) === JSON.stringify({ ...found, ...wanted })
    }),
    SEED,
  )
  t.throws(() => decodeRequest(new Uint8Array(28), false), PROTOCOL)
})

t.test('options survive encoding, and any other bytes are refused or understood, never more', async t => {
  const text = fc.string({ maxLength: 60 }).filter(each => !each.includes('\0'))
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 9 }), (exportName, infos) => {
      t.strictSame(decodeInfoRequest(encodeInfoRequest({ exportName, infos })), { exportName, infos })
    }),
    { seed: 20, numRuns: 30 },
  )
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 5 }), (exportName, queries) => {
      t.strictSame(decodeMetaContextRequest(encodeMetaContextRequest({ exportName, queries })), { exportName, queries })
    }),
    { seed: 20, numRuns: 30 },
  )
  const decoders = [
    decodeInfoRequest,
    decodeMetaContextRequest,
    decodeInfo,
    decodeServer,
    decodeMetaContext,
    decodeStatusFilter,
    (data: Uint8Array) => decodeStatusChunk(data, true),
    (data: Uint8Array) => decodeStatusChunk(data, false),
    (data: Uint8Array) => decodeErrorPayload(data, CHUNK.error),
    (data: Uint8Array) => decodeErrorPayload(data, CHUNK.errorOffset),
  ]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(decoders.length - 1), (bytes, which) => {
      try {
        decoders[which]?.(bytes)
        return true
      } catch (error) {
        return (error as { code?: string }).code === 'GRANARY_PROTOCOL'
      }
    }),
    { seed: 20, numRuns: 3000 },
  )
})

t.test('a count of queries that no option could hold costs nothing', async t => {
  const data = new Uint8Array(12)
  viewOf(data).setUint32(4, 0xffffffff)
  t.throws(() => decodeMetaContextRequest(data), PROTOCOL)
})

t.test('block statuses survive encoding; empty extents are refused', async t => {
  const extents = fc.array(fc.record({ length: fc.integer({ min: 1, max: 0xffffffff }), flags: uint32 }), {
    minLength: 1,
    maxLength: 20,
  })
  fc.assert(
    fc.property(uint32, extents, fc.boolean(), (contextId, list, isExtended) => {
      const status = { contextId, extents: list }
      const found = decodeStatusChunk(encodeStatusChunk(status, isExtended), isExtended)
      return JSON.stringify(found) === JSON.stringify(status)
    }),
    SEED,
  )
  t.throws(() => decodeStatusChunk(new Uint8Array(12), false), PROTOCOL)
  t.throws(() => decodeStatusChunk(new Uint8Array(4), false), PROTOCOL)
})

t.test('block sizes that contradict themselves are refused', async t => {
  for (const [minBytes, preferredBytes, maxBytes] of [
    [0, 4096, 65536],
    [3, 4096, 65536],
    [131072, 131072, 1048576],
    [512, 256, 65536],
    [4096, 4096, 512],
    [1, 5000, 65536],
  ] as const)
    t.throws(() => decodeInfo(encodeBlockSizeInfo({ minBytes, preferredBytes, maxBytes })), PROTOCOL)
  const sound = { minBytes: 1, preferredBytes: 512, maxBytes: 0xffffffff }
  t.match(decodeInfo(encodeBlockSizeInfo(sound)), { type: 'blockSize', ...sound })
})

t.test('greetings: oldstyle is named, other bytes are no NBD server', async t => {
  t.equal(decodeGreeting(encodeGreeting()), 3)
  const oldstyle = Buffer.from('4e42444d414749430000420281861253ffff', 'hex')
  t.throws(() => decodeGreeting(oldstyle), { code: 'GRANARY_UNSUPPORTED', message: /oldstyle/ })
  t.throws(() => decodeGreeting(Buffer.from('SSH-2.0-OpenSSH_9.2')), PROTOCOL)
})

t.test('texts: bounds, UTF-8, NUL, and messages that are safe to print', async t => {
  t.throws(() => encodeText('x'.repeat(4097), 'name'), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => encodeText('a\0b', 'name'), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => decodeText(Uint8Array.of(0xff, 0xfe), 'name'), PROTOCOL)
  t.throws(() => decodeText(new Uint8Array(5000).fill(65), 'name'), PROTOCOL)
  t.equal(decodeText(encodeText('Scheune 🌾', 'name'), 'name'), 'Scheune 🌾')
  t.equal(decodeMessage(Buffer.from('no \u001b[31mred\u0000\r\nhere ')), 'no  [31mred here')
})

t.test('what a disk throws becomes an error number', async t => {
  const payload = encodeErrorPayload(28, 'full')
  t.strictSame(decodeErrorPayload(payload, CHUNK.error), { error: 28, message: 'full' })
  t.equal(errnoOf(new Error('other')), 5)
})

t.test('a frame reader gives the same frames however the bytes come', async t => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(sizes, sizes, async (frames, cuts) => {
      const total = frames.reduce((sum, size) => sum + size, 0)
      const bytes = Uint8Array.from({ length: total }, (_, i) => i & 0xff)
      const reader = new FrameReader()
      const feed = async (): Promise<void> => {
        for (let at = 0, i = 0; at < total; i++) {
          const size = cuts[i % cuts.length] as number
          reader.push(bytes.slice(at, at + size))
          at += size
          if (i % 3 === 0) await Promise.resolve()
        }
        reader.end()
      }
      const feeding = feed()
      const found: number[] = []
      for (const [i, size] of frames.entries()) {
        if (i % 3 === 0) found.push(...(await reader.read(size)))
        else if (i % 3 === 1) {
          const target = new Uint8Array(size)
          await reader.readInto(target)
          found.push(...target)
        } else {
          await reader.skip(size)
          found.push(...bytes.subarray(found.length, found.length + size))
        }
      }
      await feeding
      return Buffer.compare(Uint8Array.from(found), bytes) === 0 && (await reader.readOrEnd(1)) === undefined
    }),
    SEED,
  )
  t.pass()
})

t.test('a quarter of a megabyte in single bytes costs its reader next to nothing', async t => {
  const bytes = seededBytes(256 * 1024, 5)
  const reader = new FrameReader()
  const before = process.cpuUsage()
  for (let at = 0; at < bytes.length; at++) reader.push(bytes.slice(at, at + 1))
  const head = await reader.read(100_000)
  const rest = new Uint8Array(bytes.length - head.length)
  await reader.readInto(rest)
  const { user } = process.cpuUsage(before)
  t.ok(Buffer.concat([head, rest]).equals(bytes))
  // As a list of single bytes it took over 20 s, in which the server serves nobody.
  t.ok(user < 5_000_000, `${user} us`)
})

t.test('a frame reader tells where the stream broke, and holds the producer back', async t => {
  const cut = new FrameReader()
  cut.push(new Uint8Array(3))
  cut.end()
  await t.rejects(cut.read(4), PROTOCOL)
  await t.rejects(cut.readOrEnd(4), PROTOCOL, 'a part of a frame is no clean end')

  const calls: string[] = []
  const full = new FrameReader({ pause: () => calls.push('pause'), resume: () => calls.push('resume') })
  for (let i = 0; i < 5; i++) full.push(new Uint8Array(100_000))
  t.strictSame(calls, ['pause'])
  const waiting = full.skip(500_001)
  full.push(new Uint8Array(1))
  await waiting
  t.strictSame(calls, ['pause', 'resume'])
})

t.test('coverage of a read agrees with a plain list of bytes', async t => {
  const ranges = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 12 })), { maxLength: 25 })
  fc.assert(
    fc.property(ranges, list => {
      const coverage = new Coverage(48)
      const twin = new Set<number>()
      for (const [start, length] of list) {
        const bytes = Array.from({ length }, (_, i) => start + i)
        const isRefused = bytes.some(byte => twin.has(byte) || byte >= 48)
        try {
          coverage.add(start, length)
          if (isRefused) return false
          for (const byte of bytes) twin.add(byte)
        } catch {
          return isRefused
        }
      }
      return coverage.isComplete === (twin.size === 48)
    }),
    { seed: 20, numRuns: 2000 },
  )
  const islands = new Coverage(100_000)
  t.throws(() => {
    for (let at = 0; at < 100_000; at += 2) islands.add(at, 1)
  }, PROTOCOL)
})
