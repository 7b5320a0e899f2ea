import fc from 'fast-check'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import { Link } from '../src/client/link.ts'
import { negotiate } from '../src/client/negotiate.ts'
import { PendingRequest } from '../src/client/pending-request.ts'
import { ReplyParser } from '../src/client/reply-parser.ts'
import { Transport } from '../src/client/transport.ts'
import { AbortHub } from '../src/abort-hub.ts'
import { ByteBudget } from '../src/byte-budget.ts'
import { encodeStatusChunk } from '../src/protocol/block-status.ts'
import { CHUNK, CHUNK_DONE, COMMAND } from '../src/protocol/constants.ts'
import { encodeErrorPayload } from '../src/protocol/error-payload.ts'
import { viewOf, writeUint64 } from '../src/protocol/fields.ts'
import { encodeChunkHeader, encodeSimpleReply } from '../src/protocol/replies.ts'
import type { ReplyStyle } from '../src/protocol/replies.ts'
import { BufferPool } from '../src/server/buffer-pool.ts'
import { Connection } from '../src/server/connection.ts'
import { prepareExports } from '../src/server/exports.ts'
import { settleLimits } from '../src/server/limits.ts'
import { duplexPair } from './duplex-pair.ts'

const SIZE = 200_000
/** Runs of a property: a sample by default. */
const runs = (sample: number): number => (process.env['GRANARY_TEST_LONG'] === undefined ? sample : sample * 50)

/** Our client and our server over a stream in memory. */
const joined = async (style: ReplyStyle, bytes: Uint8Array, nextSize: () => number) => {
  const [near, far] = duplexPair(nextSize)
  const limits = settleLimits({})
  const context = {
    exports: prepareExports([{ name: 'd', disk: memoryDisk(bytes), isWritable: true }]),
    tls: undefined,
    limits,
    isClosing: () => false,
  }
  const shared = { limits, buffers: new BufferPool(1 << 20), budget: new ByteBudget(limits.maxBytes) }
  const ended = new Connection(far, context, shared).run()
  const negotiated = await negotiate(new Transport(near, 'memory'), {
    exportName: 'd',
    tls: undefined,
    host: 'localhost',
    contexts: ['base:allocation'],
    maxStyle: style,
    signal: new AbortController().signal,
  })
  return { link: new Link(negotiated, { hub: new AbortHub(), timeoutMs: 10_000, onFailure: () => undefined }), ended }
}

for (const style of ['simple', 'structured', 'extended'] as const)
  t.test(`client and server understand each other in packets of any size, ${style}`, async t => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 70_000 })), {
      minLength: 1,
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(1000), async (cuts, seed) => {
        const content = seededBytes(SIZE, seed)
        let cut = 0
        const { link, ended } = await joined(style, content, () => {
          const size = cuts[cut++ % cuts.length] as number
          // Single bytes all the way would take minutes: the heads are what matters.
          return cut > 2000 ? size + 5000 : size
        })
        const random = seededRandom(seed + 1)
        const jobs = Array.from({ length: 8 }, async () => {
          const offset = random(SIZE)
          const length = 1 + random(Math.min(30_000, SIZE - offset))
          const target = new Uint8Array(length)
          await link.request({ command: COMMAND.read, flags: 0, offset, length, target })
          return Buffer.compare(target, content.subarray(offset, offset + length)) === 0
        })
        const isRead = (await Promise.all(jobs)).every(Boolean)
        const payload = seededBytes(20_000, seed + 2)
        await link.request({ command: COMMAND.write, flags: 0, offset: 777, length: payload.length, payload })
        const isWritten = Buffer.compare(content.subarray(777, 20_777), payload) === 0
        const { size } =
          style === 'simple'
            ? { size: 1 }
            : await link.request({ command: COMMAND.blockStatus, flags: 0, offset: 0, length: SIZE })
        await link.close()
        return isRead && isWritten && size === 1 && (await ended) === undefined
      }),
      { seed: 3, numRuns: runs(12) },
    )
    t.pass()
  })

const chunk = (cookie: number, type: number, isLast: boolean, payload: Uint8Array): Uint8Array =>
  encodeChunkHeader(
    {
      cookie: { high: 0, low: cookie },
      flags: isLast ? CHUNK_DONE : 0,
      type,
      length: payload.length,
      requestOffset: 0,
      payloadHead: payload,
    },
    false,
  )

const dataPayload = (offset: number, bytes: Uint8Array): Uint8Array => {
  const payload = new Uint8Array(8 + bytes.length)
  writeUint64(viewOf(payload), 0, offset)
  payload.set(bytes, 8)
  return payload
}

const holePayload = (offset: number, length: number): Uint8Array => {
  const payload = new Uint8Array(12)
  writeUint64(viewOf(payload), 0, offset)
  viewOf(payload).setUint32(8, length)
  return payload
}

t.comment(`${runs(12)} streams per style, ${runs(60)} sets of interleaved replies`)

t.test('replies out of order, their chunks interleaved, cut anywhere, some into windows', async t => {
  const disk = seededBytes(400_000, 9)
  disk.fill(0, 100_000, 150_000)
  const plan = fc.record({
    seed: fc.nat(10_000),
    cuts: fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 20 }),
    isDirect: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(plan, async ({ seed, cuts, isDirect }) => {
      const random = seededRandom(seed)
      const requests = new Map<number, PendingRequest>()
      const outcomes: Promise<boolean>[] = []
      const queues: Uint8Array[][] = []
      for (let cookie = 1; cookie <= 6; cookie++) {
        const offset = random(300_000)
        const length = 1 + random(90_000)
        const target = new Uint8Array(length).fill(0xee)
        const isFailing = cookie === 5
        const chunks: Uint8Array[] = []
        for (let at = offset; at < offset + length;) {
          const size = Math.min(1 + random(40_000), offset + length - at)
          const part = disk.subarray(at, at + size)
          const isZero = part.every(byte => byte === 0)
          chunks.push(
            isZero
              ? chunk(cookie, CHUNK.offsetHole, false, holePayload(at, size))
              : chunk(cookie, CHUNK.offsetData, false, dataPayload(at, part)),
          )
          at += size
        }
        chunks.sort(() => random(2) - 0.5)
        if (isFailing) chunks.push(chunk(cookie, CHUNK.error, true, encodeErrorPayload(5, 'bad sector')))
        else chunks.push(chunk(cookie, CHUNK.none, true, new Uint8Array(0)))
        queues.push(chunks)
        outcomes.push(
          new Promise(resolve => {
            const settle = (error: Error | undefined): void =>
              resolve(
                isFailing
                  ? /bad sector/.test(error?.message ?? '')
                  : error === undefined && Buffer.compare(target, disk.subarray(offset, offset + length)) === 0,
              )
            requests.set(
              cookie,
              new PendingRequest({ command: COMMAND.read, flags: 0, offset, length, target }, settle),
            )
          }),
        )
      }
      const stream: Uint8Array[] = []
      while (queues.some(queue => queue.length > 0)) {
        const queue = queues[random(queues.length)] as Uint8Array[]
        const next = queue.shift()
        if (next !== undefined) stream.push(next)
      }
      const parser = new ReplyParser({
        style: 'structured',
        find: cookie => requests.get(cookie),
        done: cookie => requests.delete(cookie),
      })
      feed(parser, Buffer.concat(stream), cuts, isDirect)
      return requests.size === 0 && (await Promise.all(outcomes)).every(Boolean)
    }),
    { seed: 4, numRuns: runs(60) },
  )
  t.pass()
})

/** Hands over bytes as a socket would: into the parser's window where it offers one. */
const feed = (parser: ReplyParser, bytes: Uint8Array, cuts: readonly number[], isDirect: boolean): void => {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.min(cuts[i % cuts.length] as number, bytes.length - at)
    const window = isDirect ? parser.window() : undefined
    if (window === undefined) {
      parser.push(bytes.subarray(at, at + size))
      at += size
    } else {
      const count = Math.min(size, window.length)
      window.set(bytes.subarray(at, at + count))
      parser.filled(count)
      at += count
    }
  }
}

t.test('what breaks the protocol is found, whichever way it is cut', async t => {
  const read = { command: COMMAND.read, flags: 0, offset: 1000, length: 100, target: new Uint8Array(100) }
  const status = { command: COMMAND.blockStatus, flags: 0, offset: 1000, length: 100 }
  const hundred = new Uint8Array(100).fill(1)
  const header = (type: number, length: number): Uint8Array =>
    encodeChunkHeader({ cookie: { high: 0, low: 1 }, flags: 1, type, length, requestOffset: 0 }, false)
  const cases: readonly [string, typeof read | typeof status, readonly Uint8Array[]][] = [
    ['unknown magic', read, [new Uint8Array(16).fill(9)]],
    ['unknown cookie', read, [chunk(2, CHUNK.none, true, new Uint8Array(0))]],
    ['cookie beyond 2^53', read, [encodeSimpleReply({ high: 0xffffffff, low: 1 }, 0)]],
    ['simple reply to READ', read, [encodeSimpleReply({ high: 0, low: 1 }, 0)]],
    ['data before the request', read, [chunk(1, CHUNK.offsetData, true, dataPayload(999, hundred))]],
    ['data behind the request', read, [chunk(1, CHUNK.offsetData, true, dataPayload(1001, hundred))]],
    ['data far away', read, [chunk(1, CHUNK.offsetData, true, dataPayload(2 ** 52, hundred))]],
    ['more data than asked', read, [header(CHUNK.offsetData, 2 ** 31)]],
    ['data without bytes', read, [header(CHUNK.offsetData, 8)]],
    [
      'data twice',
      read,
      [
        chunk(1, CHUNK.offsetData, false, dataPayload(1000, hundred)),
        chunk(1, CHUNK.offsetData, true, dataPayload(1050, hundred.subarray(0, 50))),
      ],
    ],
    ['data missing', read, [chunk(1, CHUNK.offsetData, true, dataPayload(1000, hundred.subarray(1)))]],
    ['nothing', read, [chunk(1, CHUNK.none, true, new Uint8Array(0))]],
    ['NONE that is not the last', read, [chunk(1, CHUNK.none, false, new Uint8Array(0))]],
    ['NONE with bytes', read, [chunk(1, CHUNK.none, true, new Uint8Array(4))]],
    ['empty hole', read, [chunk(1, CHUNK.offsetHole, true, holePayload(1000, 0))]],
    ['hole of another length', read, [chunk(1, CHUNK.offsetHole, true, new Uint8Array(13))]],
    ['huge hole', read, [chunk(1, CHUNK.offsetHole, true, holePayload(1000, 0xffffffff))]],
    ['unknown chunk', read, [chunk(1, 77, true, new Uint8Array(4))]],
    ['error without a number', read, [chunk(1, CHUNK.error, true, encodeErrorPayload(0, ''))]],
    ['error cut short', read, [chunk(1, CHUNK.error, true, new Uint8Array(5))]],
    ['error with a lying message', read, [chunk(1, CHUNK.error, true, Uint8Array.of(0, 0, 0, 5, 0, 9))]],
    ['huge error', read, [header(CHUNK.error, 2 ** 31)]],
    ['status in answer to READ', read, [header(CHUNK.blockStatus, 12)]],
    ['data in answer to BLOCK_STATUS', status, [chunk(1, CHUNK.offsetData, true, dataPayload(1000, hundred))]],
    ['simple reply to BLOCK_STATUS', status, [encodeSimpleReply({ high: 0, low: 1 }, 0)]],
    ['huge status', status, [header(CHUNK.blockStatus, 2 ** 31)]],
    ['status of no extent', status, [chunk(1, CHUNK.blockStatus, true, new Uint8Array(4))]],
    [
      'status of an empty extent',
      status,
      [
        chunk(
          1,
          CHUNK.blockStatus,
          true,
          encodeStatusChunk({ contextId: 1, extents: [{ length: 0, flags: 0 }] }, false),
        ),
      ],
    ],
    [
      'the same context twice',
      status,
      [
        chunk(
          1,
          CHUNK.blockStatus,
          false,
          encodeStatusChunk({ contextId: 1, extents: [{ length: 9, flags: 0 }] }, false),
        ),
        chunk(
          1,
          CHUNK.blockStatus,
          true,
          encodeStatusChunk({ contextId: 1, extents: [{ length: 9, flags: 0 }] }, false),
        ),
      ],
    ],
  ]
  for (const [name, spec, frames] of cases)
    for (const cut of [1, 7, 100_000]) {
      const request = new PendingRequest(spec, () => undefined)
      const parser = new ReplyParser({
        style: 'structured',
        find: cookie => (cookie === 1 ? request : undefined),
        done: () => undefined,
      })
      t.throws(
        () => feed(parser, Buffer.concat(frames), [cut], true),
        { code: 'GRANARY_PROTOCOL' },
        `${name}, by ${cut}`,
      )
    }
})

t.test('what breaks the protocol with extended headers', async t => {
  const status = { command: COMMAND.blockStatus, flags: 0, offset: 1000, length: 100 }
  const read = { command: COMMAND.read, flags: 0, offset: 1000, length: 100, target: new Uint8Array(100) }
  const extended = (type: number, payloadHead: Uint8Array, length = payloadHead.length): Uint8Array =>
    encodeChunkHeader({ cookie: { high: 0, low: 1 }, flags: 1, type, length, requestOffset: 1000, payloadHead }, true)
  const sound = encodeStatusChunk({ contextId: 1, extents: [{ length: 2 ** 40, flags: 3 }] }, true)
  const miscounted = sound.slice()
  viewOf(miscounted).setUint32(4, 2)
  const compact = encodeStatusChunk({ contextId: 1, extents: [{ length: 9, flags: 0 }] }, false)
  const cases: readonly [string, typeof read | typeof status, Uint8Array][] = [
    ['a simple reply', status, encodeSimpleReply({ high: 0, low: 1 }, 5)],
    ['a structured reply', read, chunk(1, CHUNK.none, true, new Uint8Array(0))],
    ['a compact status', status, extended(CHUNK.blockStatus, compact)],
    ['a status that counts wrong', status, extended(CHUNK.blockStatusExtended, miscounted)],
    ['a payload of 2^60 bytes', read, extended(CHUNK.offsetData, new Uint8Array(0), 2 ** 60)],
  ]
  const feedOne = (spec: typeof read | typeof status, bytes: Uint8Array): PendingRequest => {
    const request = new PendingRequest(spec, () => undefined)
    const find = (): PendingRequest => request
    feed(new ReplyParser({ style: 'extended', find, done: () => undefined }), bytes, [5], true)
    return request
  }
  for (const [name, spec, bytes] of cases) t.throws(() => feedOne(spec, bytes), { code: 'GRANARY_PROTOCOL' }, name)
  const { statuses } = feedOne(status, extended(CHUNK.blockStatusExtended, sound))
  t.strictSame([...statuses], [[1, [{ length: 2 ** 40, flags: 3 }]]])
})
