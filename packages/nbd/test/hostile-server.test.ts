import t from 'tap'
import { connectNbd, listNbdExports } from '../src/index.ts'
import { CHUNK, COMMAND, EXPORT_FLAG, FRAME_BYTES, OPTION, OPTION_REPLY } from '../src/protocol/constants.ts'
import { viewOf, writeUint64 } from '../src/protocol/fields.ts'
import { encodeGreeting } from '../src/protocol/greeting.ts'
import {
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeOptionReply,
  encodeServer,
} from '../src/protocol/option-replies.ts'
import { encodeChunkHeader, encodeSimpleReply } from '../src/protocol/replies.ts'
import { nextRequest, rawServer, welcomeClient } from './raw-peer.ts'
import type { RawPeer } from './raw-peer.ts'

const MiB = 1024 * 1024
const FLAGS = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendFlush
const WHOLE = { sizeBytes: MiB, flags: FLAGS }
const QUICK = { connectTimeoutMs: 20_000, timeoutMs: 20_000, reconnectAttempts: 0 }
const PROTOCOL = { code: 'GRANARY_PROTOCOL' }

const afterFlags = async (peer: RawPeer): Promise<number> => {
  peer.write(encodeGreeting())
  await peer.reader.read(FRAME_BYTES.clientFlags)
  return viewOf(await peer.reader.read(FRAME_BYTES.option)).getUint32(8)
}

t.test('what is no NBD server, or an old one', async t => {
  const old = await rawServer(t, peer => peer.write('4e42444d414749430000420281861253', new Uint8Array(136)))
  await t.rejects(connectNbd(old.uri), { code: 'GRANARY_UNSUPPORTED', message: /oldstyle/ })
  const web = await rawServer(t, peer => peer.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')))
  await t.rejects(connectNbd(web.uri), PROTOCOL)
  const closing = await rawServer(t, peer => void peer.socket.end())
  await t.rejects(connectNbd(closing.uri), { code: 'GRANARY_IO', retryable: true })
  await t.rejects(connectNbd(`${closing.uri}-missing`), { code: 'GRANARY_IO' })
})

t.test('a server that says nothing is given up in time, or when the caller says so', async t => {
  const silent = await rawServer(t, () => undefined)
  await t.rejects(connectNbd(silent.uri, { connectTimeoutMs: 200 }), { code: 'GRANARY_TIMEOUT' })
  const abort = new AbortController()
  const connecting = connectNbd(silent.uri, { signal: abort.signal })
  abort.abort(new Error('stop'))
  await t.rejects(connecting, { message: 'stop' })
})

t.test('lies during the handshake', async t => {
  const lies: Record<string, (peer: RawPeer, option: number) => void> = {
    'an answer to another option': (peer, option) => peer.write(encodeOptionReply(option + 1, OPTION_REPLY.ack)),
    'a reply of 4 GiB': (peer, option) => {
      const reply = encodeOptionReply(option, OPTION_REPLY.info)
      viewOf(reply).setUint32(16, 0xffffffff)
      peer.write(reply)
    },
    'an acknowledgement with data': (peer, option) =>
      peer.write(encodeOptionReply(option, OPTION_REPLY.ack, new Uint8Array(3))),
    'another magic': peer => peer.write(new Uint8Array(20)),
  }
  for (const [name, lie] of Object.entries(lies)) {
    const server = await rawServer(t, async peer => lie(peer, await afterFlags(peer)))
    await t.rejects(connectNbd(server.uri, QUICK), PROTOCOL, name)
  }
  const endless = await rawServer(t, async peer => {
    await afterFlags(peer)
    const replies = Buffer.concat(
      Array.from({ length: 1000 }, () => encodeOptionReply(OPTION.list, OPTION_REPLY.server, encodeServer('x', ''))),
    )
    for (let i = 0; i < 200 && !peer.socket.destroyed; i++)
      await new Promise(resolve => peer.socket.write(replies, resolve))
  })
  await t.rejects(listNbdExports(endless.uri, { connectTimeoutMs: 20_000 }), PROTOCOL, 'endless replies')
})

t.test('lies about an export', async t => {
  const exports = {
    'block sizes that contradict themselves': {
      ...WHOLE,
      infos: [encodeBlockSizeInfo({ minBytes: 3, preferredBytes: 512, maxBytes: 512 })],
    },
    'no flags': { sizeBytes: MiB, flags: 0 },
  }
  for (const [name, fake] of Object.entries(exports)) {
    const server = await rawServer(t, async peer => welcomeClient(peer, fake))
    await t.rejects(connectNbd(server.uri, QUICK), PROTOCOL, name)
  }
  const huge = await rawServer(t, async peer => {
    const info = encodeExportInfo(WHOLE)
    viewOf(info).setUint32(2, 0xffffffff)
    await welcomeClient(peer, { ...WHOLE, infos: [info] })
  })
  await t.rejects(connectNbd(huge.uri, QUICK), { code: 'GRANARY_LIMIT' }, 'a size beyond 2^53')
  const missing = await rawServer(t, async peer => welcomeClient(peer, { ...WHOLE, isStructured: false }))
  await t.rejects(
    connectNbd(missing.uri, { ...QUICK, bitmap: 'b' }),
    { code: 'GRANARY_NOT_FOUND' },
    'a bitmap that is not there',
  )
})

t.test('plain bytes behind the answer to STARTTLS are an attack', async t => {
  const server = await rawServer(t, async peer => {
    const option = await afterFlags(peer)
    const injected = encodeOptionReply(OPTION.structuredReply, OPTION_REPLY.ack)
    peer.write(Buffer.concat([encodeOptionReply(option, OPTION_REPLY.ack), injected]))
  })
  const tls = { psk: { identity: 'a', key: new Uint8Array(32) } }
  const target = { address: { kind: 'unix', path: server.path }, tls } as const
  await t.rejects(connectNbd(target, QUICK), { code: 'GRANARY_PROTOCOL', message: /plain bytes/ })
  const refusing = await rawServer(t, async peer =>
    peer.write(encodeOptionReply(await afterFlags(peer), OPTION_REPLY.errorUnsupported)),
  )
  const plain = { ...target, address: { kind: 'unix', path: refusing.path } } as const
  await t.rejects(connectNbd(plain, QUICK), { code: 'GRANARY_UNSUPPORTED' }, 'never falls back to plain bytes')
})

/** A server that answers the first request of each client with `frames`. */
const answering = async (frames: (cookie: { high: number; low: number }) => Uint8Array[], isStructured = true) =>
  rawServer(t, async peer => {
    await welcomeClient(peer, { ...WHOLE, isStructured })
    const { cookie } = await nextRequest(peer)
    peer.write(...frames(cookie))
  })

t.test('a broken reply ends every request of the connection, and is not tried again', async t => {
  const server = await answering(cookie => [encodeSimpleReply({ ...cookie, high: 77 }, 0)])
  const disk = await connectNbd(server.uri, { ...QUICK, reconnectAttempts: 5, requestBytes: 4096 })
  await t.rejects(disk.read(0, new Uint8Array(20_000)), PROTOCOL)
  await disk[Symbol.asyncDispose]()
})

t.test('an unknown error chunk fails its request only', async t => {
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, WHOLE)
    const payloadHead = Uint8Array.of(0, 0, 0, 5, 0, 2, 104, 105, 1, 2, 3)
    const first = await nextRequest(peer)
    const fields = { flags: 1, length: payloadHead.length, requestOffset: 0, payloadHead }
    peer.write(encodeChunkHeader({ ...fields, cookie: first.cookie, type: 0x8765 }, false))
    const { cookie, offset } = await nextRequest(peer)
    const data = new Uint8Array(9).fill(3)
    writeUint64(viewOf(data), 0, offset)
    peer.write(encodeChunkHeader({ ...fields, cookie, type: CHUNK.offsetData, length: 9, payloadHead: data }, false))
  })
  const disk = await connectNbd(server.uri, QUICK)
  await t.rejects(disk.read(0, new Uint8Array(512)), { code: 'GRANARY_IO', message: /hi/, detail: { errno: 5 } })
  await disk[Symbol.asyncDispose]()
})

t.test('a server that stops answering is given up in time', async t => {
  const server = await rawServer(t, async peer => welcomeClient(peer, WHOLE))
  const disk = await connectNbd(server.uri, { ...QUICK, timeoutMs: 200 })
  await t.rejects(disk.read(0, new Uint8Array(512)), { code: 'GRANARY_TIMEOUT', retryable: true })
  await disk[Symbol.asyncDispose]()
})

t.test('an answer that came while the process was held up longer than the time-out is read, not given up', async t => {
  const timeoutMs = 40
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { ...WHOLE, isStructured: false })
    const { cookie } = await nextRequest(peer)
    peer.write(Buffer.concat([encodeSimpleReply(cookie, 0), new Uint8Array(512).fill(7)]))
    // As when a terminal stops it, or a computation does not end: timers are the first to run afterwards.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5 * timeoutMs)
  })
  const disk = await connectNbd(server.uri, { ...QUICK, timeoutMs })
  const target = new Uint8Array(512)
  await disk.read(0, target)
  t.ok(target.every(byte => byte === 7))
  await disk[Symbol.asyncDispose]()
})

t.test('an aborted read settles at once, its late reply is dropped, and its bytes are left alone', async t => {
  let answer = (): void => undefined
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { ...WHOLE, isStructured: false })
    const first = await nextRequest(peer)
    const second = await nextRequest(peer)
    const replies = [first, second].map(({ cookie }, i) =>
      Buffer.concat([encodeSimpleReply(cookie, 0), new Uint8Array(65_536).fill(i + 1)]),
    )
    answer = () => peer.write(...replies)
    answer()
  })
  const disk = await connectNbd(server.uri, QUICK)
  const abort = new AbortController()
  const [abandoned, target] = [new Uint8Array(65_536), new Uint8Array(65_536)]
  const reading = disk.read(0, abandoned, { signal: abort.signal })
  abort.abort(new Error('stop'))
  await t.rejects(reading, { message: 'stop' })
  await disk.read(65_536, target)
  t.ok(
    target.every(byte => byte === 2),
    'the reply to the other request is understood',
  )
  t.ok(
    abandoned.every(byte => byte === 0),
    'no byte of the late reply came',
  )
  await disk[Symbol.asyncDispose]()
})

t.test('an aborted read whose bytes the system holds ends the connection rather than hang', async t => {
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { ...WHOLE, isStructured: false })
    const { cookie } = await nextRequest(peer)
    peer.write(Buffer.concat([encodeSimpleReply(cookie, 0), new Uint8Array(200_000).fill(1)]))
  })
  const disk = await connectNbd(server.uri, QUICK)
  const abort = new AbortController()
  const target = new Uint8Array(499_712)
  const reading = disk.read(0, target, { signal: abort.signal })
  while (target[199_999] === 0) await new Promise(resolve => setImmediate(resolve))
  abort.abort(new Error('stop'))
  await t.rejects(reading, { message: 'stop' })
  await disk[Symbol.asyncDispose]()
})

t.test('closing does not wait for replies to what was aborted', async t => {
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { ...WHOLE, isStructured: false })
    await nextRequest(peer)
  })
  const disk = await connectNbd(server.uri, QUICK)
  const abort = new AbortController()
  const reading = disk.read(0, new Uint8Array(4096), { signal: abort.signal })
  abort.abort(new Error('stop'))
  await t.rejects(reading, { message: 'stop' })
  const timers = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const closing = disk[Symbol.asyncDispose]()
  const waiting = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  t.equal(waiting, timers, 'no timer was started to wait')
  await closing
})

t.test('a short status is asked for again; one that does not move is refused', async t => {
  const lengths: number[] = []
  const status = (length: number, flags: number): Uint8Array => {
    const payload = new Uint8Array(12)
    viewOf(payload).setUint32(0, 1)
    viewOf(payload).setUint32(4, length)
    viewOf(payload).setUint32(8, flags)
    return payload
  }
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, WHOLE)
    for (let i = 0; ; i++) {
      const { cookie, command, length } = await nextRequest(peer)
      if (command !== COMMAND.blockStatus) return
      lengths.push(length)
      const payloadHead = status(i === 2 ? 10 * MiB : 4096, [0, 2, 3][i] ?? 0)
      peer.write(
        encodeChunkHeader(
          { cookie, flags: 1, type: CHUNK.blockStatus, length: 12, requestOffset: 0, payloadHead },
          false,
        ),
      )
    }
  })
  const disk = await connectNbd(server.uri, QUICK)
  const extents = []
  for await (const extent of disk.extents()) extents.push(extent)
  t.strictSame(extents, [
    { offset: 0, length: 4096, kind: 'data' },
    { offset: 4096, length: 4096, kind: 'zero' },
    { offset: 8192, length: MiB - 8192, kind: 'hole' },
  ])
  t.strictSame(lengths, [MiB, MiB - 4096, MiB - 8192])
  await disk[Symbol.asyncDispose]()
})

t.test('the block size that a server asks for is kept', async t => {
  const seen: string[] = []
  const infos = [encodeBlockSizeInfo({ minBytes: 4096, preferredBytes: 4096, maxBytes: 8192 })]
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { sizeBytes: 20_480 + 1, flags: FLAGS, isStructured: false, infos })
    for (;;) {
      const { cookie, command, offset, length } = await nextRequest(peer)
      seen.push(`${command}:${offset}+${length}`)
      if (command === COMMAND.write) await peer.reader.skip(length)
      peer.write(encodeSimpleReply(cookie, 0), new Uint8Array(command === COMMAND.read ? length : 0))
    }
  })
  const disk = await connectNbd(server.uri, QUICK)
  t.equal(disk.blockBytes, 4096)
  await disk.read(5000, new Uint8Array(10_000))
  t.strictSame(seen.splice(0), ['0:4096+8192', '0:12288+4096'])
  await disk.write(4097, new Uint8Array(10))
  t.strictSame(seen.splice(0), ['0:4096+4096', '1:4096+4096'], 'a part of a block is read before it is written')
  await t.rejects(disk.read(20_480, new Uint8Array(1)), { code: 'GRANARY_UNSUPPORTED' }, 'the tail is out of reach')
  await disk[Symbol.asyncDispose]()
})
