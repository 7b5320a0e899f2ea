import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { GranaryError, memoryDisk } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { cachedDisk, connectNbd, serveNbd } from '../src/index.ts'
import type { NbdServer, NbdServerOptions } from '../src/index.ts'
import { COMMAND, COMMAND_FLAG, ERRNO, OPTION, OPTION_REPLY } from '../src/protocol/constants.ts'
import { viewOf } from '../src/protocol/fields.ts'
import { encodeGreeting } from '../src/protocol/greeting.ts'
import { encodeInfoRequest, encodeMetaContextRequest, encodeOption } from '../src/protocol/options.ts'
import { temporaryFolder } from './peers.ts'
import { rawClient, rawOpenClient } from './raw-peer.ts'

const MiB = 1024 * 1024

interface Served {
  readonly server: NbdServer
  readonly where: { path: string }
  readonly bytes: Uint8Array
  readonly errors: GranaryError[]
}

const serve = async (options: Partial<NbdServerOptions> = {}, disk?: DiskReader & DiskWriter): Promise<Served> => {
  const path = join(temporaryFolder(t), 's')
  const bytes = seededBytes(MiB, 5)
  const errors: GranaryError[] = []
  const server = await serveNbd({
    exports: [
      { name: '', disk: disk ?? memoryDisk(bytes), isWritable: true },
      { name: 'ro', description: 'for reading', disk: memoryDisk(bytes) },
    ],
    listen: { kind: 'unix', path },
    onClientError: error => errors.push(error),
    ...options,
  })
  t.teardown(async () => server.close())
  return { server, where: { path }, bytes, errors }
}

t.test('every command, refused or not, is followed by the next one', async t => {
  const { where, bytes } = await serve()
  const peer = await rawOpenClient(where)
  const readBack = async (): Promise<boolean> => {
    peer.request({ command: COMMAND.read, offset: 4096, length: 16 })
    if ((await peer.simpleReply()) !== 0) return false
    return Buffer.compare(await peer.reader.read(16), bytes.subarray(4096, 4112)) === 0
  }
  const cases: readonly [string, Parameters<typeof peer.request>[0], number, Uint8Array?][] = [
    ['a write', { command: COMMAND.write, offset: 0, length: 600 }, 0, new Uint8Array(600)],
    ['a write of nothing', { command: COMMAND.write, offset: 0, length: 0 }, 0],
    [
      'a durable write',
      { command: COMMAND.write, flags: COMMAND_FLAG.fua, offset: 0, length: 9 },
      0,
      new Uint8Array(9),
    ],
    ['a write beyond the end', { command: COMMAND.write, offset: MiB - 1, length: 9 }, ERRNO.ENOSPC, new Uint8Array(9)],
    ['a write far beyond', { command: COMMAND.write, offset: 2 ** 60, length: 9 }, ERRNO.ENOSPC, new Uint8Array(9)],
    ['a read beyond the end', { command: COMMAND.read, offset: MiB, length: 1 }, ERRNO.EINVAL],
    ['a read that is too long', { command: COMMAND.read, offset: 0, length: 0xffffffff }, ERRNO.EINVAL],
    ['a write that is too long', { command: COMMAND.write, length: 33 * MiB }, ERRNO.EINVAL, new Uint8Array(33 * MiB)],
    ['a flush', { command: COMMAND.flush }, 0],
    ['a trim', { command: COMMAND.trim, offset: 8192, length: 4096 }, 0],
    ['a trim beyond the end', { command: COMMAND.trim, offset: MiB, length: 4096 }, ERRNO.EINVAL],
    ['zeroes', { command: COMMAND.writeZeroes, flags: COMMAND_FLAG.noHole, offset: 8192, length: 4096 }, 0],
    ['zeroes beyond the end', { command: COMMAND.writeZeroes, offset: 1, length: MiB }, ERRNO.ENOSPC],
    [
      'fast zeroes, not offered',
      { command: COMMAND.writeZeroes, flags: COMMAND_FLAG.fastZero, length: 1 },
      ERRNO.EINVAL,
    ],
    ['a status without contexts', { command: COMMAND.blockStatus, length: 4096 }, ERRNO.EINVAL],
    ['a cache request, not offered', { command: COMMAND.cache, length: 4096 }, ERRNO.EINVAL],
    ['a resize', { command: COMMAND.resize, length: 4096 }, ERRNO.EINVAL],
    ['an unknown command', { command: 999 }, ERRNO.EINVAL],
    ['an unknown flag', { command: COMMAND.read, flags: 1 << 9, length: 1 }, ERRNO.EINVAL],
  ]
  for (const [name, request, wanted, payload] of cases) {
    peer.request(request, payload)
    t.equal(await peer.simpleReply(), wanted, name)
    t.ok(await readBack(), `${name}, then a read`)
  }
  peer.request({ command: COMMAND.disconnect })
  await peer.closed
  t.ok(bytes.subarray(8192, 12_288).every(byte => byte === 0))
})

t.test('a read-only export takes no change', async t => {
  const { where, bytes } = await serve()
  const before = bytes.slice()
  const peer = await rawOpenClient(where, 'ro')
  peer.request({ command: COMMAND.write, offset: 0, length: 5 }, new Uint8Array(5))
  t.equal(await peer.simpleReply(), ERRNO.EPERM)
  for (const command of [COMMAND.trim, COMMAND.writeZeroes]) {
    peer.request({ command, offset: 0, length: 5 })
    t.equal(await peer.simpleReply(), ERRNO.EPERM)
  }
  t.equal(Buffer.compare(bytes, before), 0)
  peer.socket.destroy()
})

t.test('options: refused ones are survived, and INFO leads to the same as GO', async t => {
  const { where } = await serve()
  const peer = await rawClient(where)
  const expectReply = async (
    name: string,
    option: number,
    data: Uint8Array | undefined,
    reply: number,
  ): Promise<void> => {
    t.equal((await peer.option(option, data)).reply, reply, name)
  }
  const name = (exportName: string): Uint8Array => encodeInfoRequest({ exportName, infos: [] })
  const context = (exportName: string): Uint8Array =>
    encodeMetaContextRequest({ exportName, queries: ['base:allocation'] })
  await expectReply('unknown', 4242, new Uint8Array(7), OPTION_REPLY.errorUnsupported)
  await expectReply('too long', OPTION.info, new Uint8Array(70_000), OPTION_REPLY.errorTooBig)
  await expectReply('LIST with data', OPTION.list, new Uint8Array(1), OPTION_REPLY.errorInvalid)
  await expectReply('INFO cut short', OPTION.info, new Uint8Array(5), OPTION_REPLY.errorInvalid)
  await expectReply(
    'a name longer than its option',
    OPTION.go,
    Uint8Array.of(255, 255, 255, 255, 0, 0),
    OPTION_REPLY.errorInvalid,
  )
  await expectReply('an unknown export', OPTION.go, name('other'), OPTION_REPLY.errorUnknown)
  await expectReply('contexts before structured replies', OPTION.setMetaContext, context(''), OPTION_REPLY.errorInvalid)
  await expectReply('TLS that is not there', OPTION.startTls, undefined, OPTION_REPLY.errorPolicy)
  await expectReply('structured with data', OPTION.structuredReply, new Uint8Array(1), OPTION_REPLY.errorInvalid)
  await expectReply('structured', OPTION.structuredReply, undefined, OPTION_REPLY.ack)
  await expectReply('structured twice', OPTION.structuredReply, undefined, OPTION_REPLY.errorInvalid)
  await expectReply('contexts of an unknown export', OPTION.setMetaContext, context('other'), OPTION_REPLY.errorUnknown)
  const replies = async (option: number): Promise<string[]> => {
    const found: string[] = []
    peer.write(encodeOption(option, name('ro')))
    for (;;) {
      const { reply, data } = await peer.optionReply()
      if (reply === OPTION_REPLY.ack) return found
      found.push(Buffer.from(data).toString('hex'))
    }
  }
  t.strictSame(await replies(OPTION.info), await replies(OPTION.go))
  peer.socket.destroy()
})

t.test('contexts are void when another export is opened', async t => {
  const { where } = await serve()
  const peer = await rawClient(where)
  await peer.option(OPTION.structuredReply)
  const query = encodeMetaContextRequest({ exportName: 'ro', queries: ['base:', 'base:allocation', 'other:x'] })
  t.equal((await peer.option(OPTION.setMetaContext, query)).reply, OPTION_REPLY.metaContext, 'one is selected')
  t.equal((await peer.optionReply()).reply, OPTION_REPLY.ack, 'unknown ones are left out')
  peer.write(encodeOption(OPTION.go, encodeInfoRequest({ exportName: '', infos: [] })))
  while ((await peer.optionReply()).reply !== OPTION_REPLY.ack);
  peer.request({ command: COMMAND.blockStatus, length: 4096 })
  t.equal(Buffer.from(await peer.reader.read(26)).readUInt32BE(20), ERRNO.EINVAL)
  peer.socket.destroy()
})

t.test('a client that breaks the protocol is cut off, and others are served', async t => {
  const { where, errors } = await serve()
  const hostile: Record<string, (peer: Awaited<ReturnType<typeof rawClient>>) => void> = {
    'an option without magic': peer => peer.write(new Uint8Array(16)),
    'an option of 4 GiB': peer => {
      const option = encodeOption(OPTION.go)
      viewOf(option).setUint32(12, 0xffffffff)
      peer.write(option)
    },
    'an unknown export by name': peer => peer.write(encodeOption(OPTION.exportName, Buffer.from('nope'))),
    'endless options': peer => {
      for (let i = 0; i < 1001; i++) peer.write(encodeOption(99))
    },
  }
  for (const [name, attack] of Object.entries(hostile)) {
    const peer = await rawClient(where)
    attack(peer)
    await peer.closed
    t.match(errors.pop(), { code: 'GRANARY_PROTOCOL' }, name)
  }
  const flags = await rawClient(where, 0xff)
  await flags.closed
  const magic = await rawOpenClient(where)
  magic.write(new Uint8Array(28))
  await magic.closed
  const length = await rawOpenClient(where)
  length.request({ command: COMMAND.write, length: 0xf0000000 })
  await length.closed
  t.equal(errors.length, 3)
  await using disk = await connectNbd(`nbd+unix:///?socket=${where.path}`)
  await disk.read(0, new Uint8Array(4096))
})

t.test('half a write changes nothing', async t => {
  const { server, where, bytes } = await serve()
  const before = bytes.slice()
  const peer = await rawOpenClient(where)
  peer.request({ command: COMMAND.write, offset: 0, length: 100_000 }, new Uint8Array(99_999))
  peer.socket.end()
  await peer.closed
  await server.close()
  t.equal(Buffer.compare(bytes, before), 0)
})

t.test('plain bytes behind STARTTLS are an attack; without TLS nothing but STARTTLS is answered', async t => {
  const tls = { psk: new Map([['a', new Uint8Array(32)]]) }
  const { where, errors } = await serve({ tls })
  const peer = await rawClient(where)
  t.equal((await peer.option(OPTION.structuredReply)).reply, OPTION_REPLY.errorTlsRequired)
  t.equal((await peer.option(OPTION.list)).reply, OPTION_REPLY.errorTlsRequired)
  peer.write(Buffer.concat([encodeOption(OPTION.startTls), encodeOption(OPTION.structuredReply)]))
  await peer.closed
  t.match(errors.pop(), { code: 'GRANARY_PROTOCOL', message: /plain bytes/ })
  const byName = await rawClient(where)
  byName.write(encodeOption(OPTION.exportName))
  await byName.closed
  t.match(errors.pop(), { message: /TLS/ })
  const late = await rawClient(where)
  t.equal((await late.option(OPTION.startTls)).reply, OPTION_REPLY.ack)
  late.write(Buffer.from('not a TLS record at all, but an injected option'))
  await late.closed
  t.match(errors.pop(), { message: /TLS/ })
})

t.test('what a disk throws reaches the client, and the disk is asked again', async t => {
  let failures = 2
  const disk = memoryDisk(seededBytes(MiB, 1))
  const flaky: DiskReader & DiskWriter = {
    ...disk,
    async read(offset, target, options) {
      if (offset <= 8192 && offset + target.length > 8192 && failures-- > 0)
        throw new GranaryError('GRANARY_CORRUPT', 'a damaged chunk')
      await disk.read(offset, target, options)
    },
    async write() {
      throw new GranaryError('GRANARY_NO_SPACE', 'full')
    },
  }
  const { where } = await serve({}, flaky)
  await using client = await connectNbd(`nbd+unix:///?socket=${where.path}`, { requestBytes: 4096 })
  const reads = await Promise.allSettled(
    Array.from({ length: 8 }, async (_, i) => client.read(i * 4096, new Uint8Array(4096))),
  )
  t.strictSame(
    reads.map(({ status }) => status === 'fulfilled'),
    [true, true, false, true, true, true, true, true],
  )
  t.match((reads[2] as PromiseRejectedResult).reason, { code: 'GRANARY_IO', message: /damaged chunk/ })
  await client.read(8192, new Uint8Array(4096))
  await t.rejects(client.write(0, new Uint8Array(512)), { code: 'GRANARY_NO_SPACE', detail: { errno: ERRNO.ENOSPC } })
})

t.test('a client that never reads is held back, and cut off after a while', async t => {
  let reads = 0
  const disk = memoryDisk(new Uint8Array(64 * MiB))
  const counting: DiskReader & DiskWriter = {
    ...disk,
    async read(offset, target, options) {
      reads += target.length
      await disk.read(offset, target, options)
    },
  }
  const limits = {
    stallTimeoutMs: 200,
    minRateBytesPerSecond: 2 ** 30,
    maxBytesPerConnection: 4 * MiB,
    maxRequestBytes: MiB,
    maxBytes: 8 * MiB,
  }
  const { where, server } = await serve({ limits }, counting)
  const peer = await rawOpenClient(where)
  peer.socket.pause()
  for (let i = 0; i < 500; i++) peer.request({ command: COMMAND.read, offset: 0, length: MiB })
  const other = await connectNbd(`nbd+unix:///?socket=${where.path}`, { connections: 1 })
  await other.read(0, new Uint8Array(MiB))
  t.ok(reads <= 8 * MiB, `${reads / MiB} MiB read for a client that takes nothing`)
  while (server.connections > 1) await new Promise(resolve => setTimeout(resolve, 20))
  t.ok(reads <= 10 * MiB, 'it was cut off')
  await other.read(0, new Uint8Array(MiB))
  await other[Symbol.asyncDispose]()
  peer.socket.destroy()
})

/** Connections that have read the greeting and say nothing; opened a few at a time, as the queue of a socket is short. */
const greeted = async (where: { path: string }, count: number): Promise<Socket[]> => {
  const sockets: Socket[] = []
  while (sockets.length < count) {
    const batch = Array.from({ length: 100 }, () => connect(where).on('error', () => undefined))
    await Promise.all(batch.map(async socket => once(socket, 'data')))
    sockets.push(...batch)
  }
  return sockets
}

t.test('1,000 idle connections hinder nobody, and do not hold up the end', async t => {
  const limits = { handshakeTimeoutMs: 600_000, closeGraceMs: 600_000, maxConnections: 1005 }
  const { where, server } = await serve({ limits })
  await greeted(where, 1000)
  t.equal(server.connections, 1000)
  t.comment(`${Math.round(process.memoryUsage().rss / MiB)} MiB resident with 1,000 connections`)
  const disk = await connectNbd(`nbd+unix:///?socket=${where.path}`, { connections: 1 })
  await disk.read(0, new Uint8Array(MiB))
  const extra = Array.from({ length: 20 }, () => connect(where).on('error', () => undefined))
  await Promise.all(extra.map(async socket => Promise.race([once(socket, 'data'), once(socket, 'close')])))
  t.equal(server.connections, 1005, 'more are turned away')
  await disk.read(0, new Uint8Array(MiB))
  // Were anybody waited for, this would take the grace of ten minutes.
  await server.close()
  t.equal(server.connections, 0)
  await disk[Symbol.asyncDispose]()
})

/** The server hears of the end of a connection a little later than the client. */
const untilEmpty = async (server: NbdServer): Promise<void> => {
  while (server.connections > 0) await new Promise(resolve => setImmediate(resolve))
}

t.test('idle connections are ended in time, before and during TLS', async t => {
  const { where, server } = await serve({ limits: { handshakeTimeoutMs: 100 } })
  const idle = [connect(where), connect(where)].map(socket => socket.on('error', () => undefined).resume())
  await Promise.all(idle.map(async socket => once(socket, 'close')))
  await untilEmpty(server)
  const tls = { psk: new Map([['a', new Uint8Array(32)]]) }
  const secure = await serve({ limits: { handshakeTimeoutMs: 2000 }, tls })
  const peer = await rawClient(secure.where)
  t.equal((await peer.option(OPTION.startTls)).reply, OPTION_REPLY.ack)
  await peer.closed
  await untilEmpty(secure.server)
  t.match(secure.errors, [{ code: 'GRANARY_PROTOCOL', message: /TLS/ }])
})

t.test('options of a server are checked', async t => {
  const disk = memoryDisk(new Uint8Array(4096))
  const INVALID = { code: 'GRANARY_INVALID_ARGUMENT' }
  const listen = 'nbd://127.0.0.1:0'
  await t.rejects(serveNbd({ exports: [], listen }), INVALID)
  await t.rejects(
    serveNbd({
      exports: [
        { name: '', disk },
        { name: '', disk },
      ],
      listen,
    }),
    INVALID,
  )
  await t.rejects(serveNbd({ exports: [{ name: '', disk: cachedDisk(disk), isWritable: true }], listen }), INVALID)
  await t.rejects(serveNbd({ exports: [{ name: '', disk }], listen: 'nbds://127.0.0.1:0' }), INVALID)
  await t.rejects(serveNbd({ exports: [{ name: '', disk }], listen, limits: { maxConnections: 0 } }), INVALID)
  t.equal(encodeGreeting().length, 18)
})
