/** Both sides of the handshake against peers that say exactly what they are told: doc/proto.md, "Option types". */
import { once } from 'node:events'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { connectNbd, serveNbd } from '../src/index.ts'
import type { BitmapSource, NbdServerOptions } from '../src/index.ts'
import { decodeStatusChunk, encodeStatusChunk } from '../src/protocol/block-status.ts'
import {
  CHUNK,
  COMMAND,
  COMMAND_FLAG,
  ERRNO,
  EXPORT_FLAG,
  FRAME_BYTES,
  MAGIC,
  OPTION,
  OPTION_REPLY,
} from '../src/protocol/constants.ts'
import { decodeErrorPayload } from '../src/protocol/error-payload.ts'
import { readUint64, viewOf, writeUint64 } from '../src/protocol/fields.ts'
import {
  decodeInfo,
  decodeMetaContext,
  encodeExportSize,
  encodeMetaContext,
  encodeOptionReply,
} from '../src/protocol/option-replies.ts'
import {
  decodeOptionHeader,
  encodeInfoRequest,
  encodeMetaContextRequest,
  encodeOption,
} from '../src/protocol/options.ts'
import { encodeChunkHeader, encodeSimpleReply } from '../src/protocol/replies.ts'
import { encodeGreeting } from '../src/protocol/greeting.ts'
import { PSK_CIPHERS } from '../src/tls.ts'
import { temporaryFolder } from './peers.ts'
import { RawPeer, nextRequest, rawClient, rawServer, welcomeClient } from './raw-peer.ts'

const MiB = 1024 * 1024
const content = seededBytes(MiB, 3)
const dirty: BitmapSource = {
  async *extents({ offset = 0, length = MiB - offset } = {}) {
    yield { offset, length, kind: 'data' as const, dirty: true }
  },
}

const serve = async (options: Partial<NbdServerOptions> = {}): Promise<{ path: string }> => {
  const path = join(temporaryFolder(t), 's')
  const one = { name: '', disk: memoryDisk(content.slice()), isWritable: true, hasAllocationDepth: true }
  const exports = [{ ...one, bitmaps: { b0: dirty } }]
  const server = await serveNbd({ exports, listen: { kind: 'unix', path }, ...options })
  t.teardown(async () => server.close())
  return { path }
}

const go = encodeInfoRequest({ exportName: '', infos: [] })
const contexts = (...queries: readonly string[]): Uint8Array => encodeMetaContextRequest({ exportName: '', queries })

/** Error number of the only chunk of a structured reply; 0 for none. */
const structuredErrno = async (peer: RawPeer): Promise<number> => {
  const head = viewOf(await peer.reader.read(FRAME_BYTES.structuredReply))
  const payload = await peer.reader.read(head.getUint32(16))
  const type = head.getUint16(6)
  return type === CHUNK.error ? decodeErrorPayload(payload, type).error : 0
}

t.test('EXPORT_NAME: zeros behind the size unless both sides left them out, also before fixed newstyle', async t => {
  const where = await serve()
  for (const [flags, paddingBytes] of [
    [0, 124],
    [1, 124],
    [3, 0],
  ] as const) {
    const peer = await rawClient(where, flags)
    peer.write(encodeOption(OPTION.exportName))
    const size = viewOf(await peer.reader.read(FRAME_BYTES.exportNameReply))
    t.equal(readUint64(size, 0), MiB)
    t.equal(size.getUint16(8) & EXPORT_FLAG.sendDf, 0, 'DF belongs to structured replies')
    const padding = await peer.reader.read(paddingBytes)
    t.ok(padding.every(byte => byte === 0))
    peer.request({ command: COMMAND.read, offset: 5, length: 3 })
    t.equal(await peer.simpleReply(), 0, `flags ${flags}`)
    t.equal(Buffer.compare(await peer.reader.read(3), content.subarray(5, 8)), 0)
    peer.socket.destroy()
  }
  const old = await rawClient(where, 0)
  old.write(encodeOption(OPTION.list))
  await old.closed
})

t.test('what was agreed before TLS is void in it (CVE-2021-3716)', async t => {
  const key = new Uint8Array(32).fill(7)
  const where = await serve({ tls: { psk: new Map([['alice', key]]), isRequired: false } })
  const plain = await rawClient(where)
  t.equal((await plain.option(OPTION.startTls, new Uint8Array(1))).reply, OPTION_REPLY.errorInvalid, 'with data')
  t.equal((await plain.option(OPTION.structuredReply)).reply, OPTION_REPLY.ack)
  t.equal((await plain.optionReplies(OPTION.setMetaContext, contexts('base:allocation'))).length, 2)
  t.equal((await plain.option(OPTION.startTls)).reply, OPTION_REPLY.ack)
  plain.socket.removeAllListeners('data')
  const tls = connectTls({
    socket: plain.socket,
    ciphers: PSK_CIPHERS,
    maxVersion: 'TLSv1.2',
    pskCallback: () => ({ identity: 'alice', psk: key }),
    checkServerIdentity: () => undefined,
  })
  await once(tls, 'secureConnect')
  const peer = new RawPeer(tls)
  t.equal((await peer.option(OPTION.startTls)).reply, OPTION_REPLY.errorInvalid, 'TLS twice')
  t.equal((await peer.option(OPTION.setMetaContext, contexts())).reply, OPTION_REPLY.errorInvalid, 'no style yet')
  await peer.optionReplies(OPTION.go, go)
  peer.request({ command: COMMAND.blockStatus, length: 512 })
  t.equal(await peer.simpleReply(), ERRNO.EINVAL, 'neither structured replies nor contexts')
  tls.destroy()
})

t.test('meta contexts are listed by wildcard, selected by name, replaced by each SET', async t => {
  const peer = await rawClient(await serve())
  await peer.option(OPTION.structuredReply)
  const ask = async (option: number, ...queries: readonly string[]) => {
    const replies = await peer.optionReplies(option, contexts(...queries))
    return replies.filter(({ reply }) => reply === OPTION_REPLY.metaContext).map(({ data }) => decodeMetaContext(data))
  }
  const listed = async (...queries: readonly string[]): Promise<string[]> => {
    const found = await ask(OPTION.listMetaContext, ...queries)
    t.ok(found.every(({ id }) => id === 0))
    return found.map(({ name }) => name)
  }
  const [allocation, depth, bitmap] = ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0']
  t.same(await listed(), [allocation, depth, bitmap])
  t.same(await listed('base:'), [allocation])
  t.same(await listed('qemu:'), [depth, bitmap])
  t.same(await listed('qemu:dirty-bitmap:', 'other:thing'), [bitmap])
  t.same(await ask(OPTION.setMetaContext, 'base:', 'qemu:dirty-bitmap:'), [], 'wildcards select nothing')
  const selected = await ask(OPTION.setMetaContext, bitmap, allocation, 'qemu:dirty-bitmap:none')
  t.same(selected.map(({ name }) => name).toSorted(), [allocation, bitmap])
  t.equal(new Set(selected.map(({ id }) => id)).size, 2)
  const other = encodeMetaContextRequest({ exportName: 'other', queries: [allocation] })
  t.equal((await peer.option(OPTION.setMetaContext, other)).reply, OPTION_REPLY.errorUnknown)
  await peer.optionReplies(OPTION.go, go)
  peer.request({ command: COMMAND.blockStatus, length: 512 })
  t.equal(await structuredErrno(peer), ERRNO.EINVAL, 'a SET that failed has replaced what there was')
  peer.socket.destroy()
})

interface ExtendedReply {
  readonly type: number
  readonly offset: number
  readonly cookie: string
  readonly payload: Uint8Array
}

const extendedReply = async (peer: RawPeer): Promise<ExtendedReply> => {
  const head = Buffer.from(await peer.reader.read(FRAME_BYTES.extendedReply))
  if (head.readUInt32BE(0) !== MAGIC.extendedReply) throw new Error(`no extended reply: ${head.toString('hex')}`)
  const payload = await peer.reader.read(Number(head.readBigUInt64BE(24)))
  return {
    type: head.readUInt16BE(6),
    offset: Number(head.readBigUInt64BE(16)),
    cookie: head.toString('hex', 8, 16),
    payload,
  }
}

const errnoOf = ({ type, payload }: ExtendedReply): number =>
  type === CHUNK.error ? decodeErrorPayload(payload, type).error : 0

t.test('extended headers: every reply is extended, payload lengths are announced, status may be filtered', async t => {
  const where = await serve()
  const named = await rawClient(where)
  t.equal((await named.option(OPTION.extendedHeaders)).reply, OPTION_REPLY.ack)
  t.equal((await named.option(OPTION.extendedHeaders)).reply, OPTION_REPLY.errorInvalid, 'twice')
  t.equal((await named.option(OPTION.structuredReply)).reply, OPTION_REPLY.errorExtendedHeadersRequired)
  named.write(encodeOption(OPTION.exportName))
  await named.closed

  const flagsOf = async (peer: RawPeer): Promise<number> => {
    for (const { reply, data } of await peer.optionReplies(OPTION.info, go)) {
      const info = reply === OPTION_REPLY.info ? decodeInfo(data) : undefined
      if (info?.type === 'export') return info.flags
    }
    throw new Error('no export information')
  }
  const peer = await rawClient(where)
  const { sendDf, blockStatusPayload } = EXPORT_FLAG
  t.equal((await flagsOf(peer)) & (sendDf | blockStatusPayload), 0)
  await peer.option(OPTION.extendedHeaders)
  t.equal((await flagsOf(peer)) & (sendDf | blockStatusPayload), sendDf)
  const selected = await peer.optionReplies(OPTION.setMetaContext, contexts('base:allocation', 'qemu:dirty-bitmap:b0'))
  const ids = selected.slice(0, -1).map(({ data }) => decodeMetaContext(data).id)
  t.equal((await flagsOf(peer)) & (sendDf | blockStatusPayload), sendDf | blockStatusPayload)
  await peer.optionReplies(OPTION.go, go)

  const ask = async (fields: Parameters<RawPeer['request']>[0], payload?: Uint8Array): Promise<ExtendedReply> => {
    peer.request(fields, payload, true)
    return await extendedReply(peer)
  }
  const payloadLength = COMMAND_FLAG.payloadLength
  const four = Uint8Array.of(1, 2, 3, 4)
  const write = { command: COMMAND.write, offset: 4096, length: 4 }
  t.equal((await ask(write, new Uint8Array(4))).type, CHUNK.none, 'QEMU does not announce the payload of a write')
  t.equal((await ask({ ...write, flags: payloadLength }, four)).type, CHUNK.none)
  const read = { command: COMMAND.read, offset: 4096, length: 4, cookie: { high: 0xffffffff, low: 0xfffffffe } }
  const sound = async (after: string): Promise<void> => {
    const { type, offset, cookie, payload } = await ask(read)
    t.strictSame([type, offset, cookie], [CHUNK.offsetData, 4096, 'fffffffffffffffe'], `a read after ${after}`)
    t.same([...payload.subarray(8)], [...four])
  }
  await sound('a write')
  t.equal(errnoOf(await ask({ ...read, flags: payloadLength }, four)), ERRNO.EINVAL, 'a read with a payload')
  await sound('an unwanted payload')
  const far = await ask({ command: COMMAND.read, offset: 2 ** 40, length: 2 ** 41 })
  t.strictSame([errnoOf(far), far.offset], [ERRNO.EINVAL, 2 ** 40])

  const filter = (...wanted: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(8 + wanted.length * 4)
    writeUint64(viewOf(bytes), 0, 65_536)
    for (const [i, id] of wanted.entries()) viewOf(bytes).setUint32(8 + i * 4, id)
    return bytes
  }
  const filtered = async (...wanted: readonly number[]): Promise<ExtendedReply> => {
    const bytes = filter(...wanted)
    return await ask({ command: COMMAND.blockStatus, flags: payloadLength, length: bytes.length }, bytes)
  }
  const one = await filtered(ids[1] as number)
  t.equal(one.type, CHUNK.blockStatusExtended)
  t.strictSame(decodeStatusChunk(one.payload, true), {
    contextId: ids[1] as number,
    extents: [{ length: 65_536, flags: 1 }],
  })
  for (const [name, wanted] of Object.entries({ twice: [ids[0], ids[0]], unknown: [4242], none: [] }))
    t.equal(errnoOf(await filtered(...(wanted as number[]))), ERRNO.EINVAL, `a context ${name}`)
  await sound('filters')
  peer.socket.destroy()
})

t.test('a server without GO is opened by EXPORT_NAME', async t => {
  for (const isPadded of [false, true]) {
    const server = await rawServer(t, async peer => {
      const greeting = encodeGreeting()
      viewOf(greeting).setUint16(16, isPadded ? 1 : 3)
      peer.write(greeting)
      await peer.reader.read(FRAME_BYTES.clientFlags)
      for (;;) {
        const { option, length } = decodeOptionHeader(await peer.reader.read(FRAME_BYTES.option))
        const name = await peer.reader.read(length)
        if (option !== OPTION.exportName) {
          peer.write(encodeOptionReply(option, OPTION_REPLY.errorUnsupported))
          continue
        }
        if (Buffer.from(name).toString() !== 'old') return void peer.socket.destroy()
        peer.write(encodeExportSize({ sizeBytes: 4096, flags: EXPORT_FLAG.hasFlags }))
        peer.write(new Uint8Array(isPadded ? FRAME_BYTES.exportNamePadding : 0))
        const { cookie } = await nextRequest(peer)
        peer.write(encodeSimpleReply(cookie, 0), new Uint8Array(4096).fill(8))
        return
      }
    })
    const disk = await connectNbd(server.uri.replace('///', '///old'))
    const target = new Uint8Array(4096)
    await disk.read(0, target)
    t.ok(target.every(byte => byte === 8))
    await disk[Symbol.asyncDispose]()
    await t.rejects(connectNbd(server.uri), { code: 'GRANARY_IO' }, 'it has no way to say why')
  }
})

t.test('a server too old for options is too old for TLS', async t => {
  const server = await rawServer(t, async peer => {
    const greeting = encodeGreeting()
    viewOf(greeting).setUint16(16, 0)
    peer.write(greeting)
  })
  const tls = { psk: { identity: 'a', key: new Uint8Array(32) } }
  const target = { address: { kind: 'unix', path: server.path }, tls } as const
  await t.rejects(connectNbd(target), { code: 'GRANARY_UNSUPPORTED', message: /TLS/ })
})

t.test('contexts that nobody asked for are left unread; one that stays silent is an error', async t => {
  const flags = EXPORT_FLAG.hasFlags
  const status = (contextId: number, value: number): Uint8Array =>
    encodeStatusChunk({ contextId, extents: [{ length: MiB, flags: value }] }, false)
  const serveStatus = async (answered: readonly number[]) =>
    await rawServer(t, async peer => {
      await welcomeClient(peer, {
        sizeBytes: MiB,
        flags,
        contexts: [encodeMetaContext(9, 'x:unasked'), encodeMetaContext(0, 'base:allocation')],
      })
      const { cookie } = await nextRequest(peer)
      for (const [i, id] of answered.entries()) {
        const payloadHead = status(id, id === 9 ? 77 : 3)
        const isLast = i === answered.length - 1
        const fields = { cookie, type: CHUNK.blockStatus, length: payloadHead.length, requestOffset: 0, payloadHead }
        peer.write(encodeChunkHeader({ ...fields, flags: isLast ? 1 : 0 }, false))
      }
    })
  const ask = async (uri: string) => {
    await using disk = await connectNbd(uri, { reconnectAttempts: 0 })
    const extents = []
    for await (const extent of disk.extents()) extents.push(extent)
    return extents
  }
  t.strictSame(await ask((await serveStatus([9, 0])).uri), [{ offset: 0, length: MiB, kind: 'hole' }])
  await t.rejects(ask((await serveStatus([9])).uri), { code: 'GRANARY_PROTOCOL', message: /base:allocation/ })
})

t.test('a trim or zeroes that a server finds too long come again in shorter pieces', async t => {
  const flags = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendTrim | EXPORT_FLAG.sendWriteZeroes
  const taken = new Map<number, number>()
  const server = await rawServer(t, async peer => {
    await welcomeClient(peer, { sizeBytes: 80 * MiB, flags, isStructured: false })
    for (;;) {
      const { cookie, command, length } = await nextRequest(peer)
      if (command === COMMAND.disconnect) return
      const isTooLong = length > 32 * MiB
      if (!isTooLong) taken.set(command, (taken.get(command) ?? 0) + length)
      peer.write(encodeSimpleReply(cookie, isTooLong ? ERRNO.EINVAL : 0))
    }
  })
  await using disk = await connectNbd(server.uri, { requestBytes: 32 * MiB })
  await disk.trim(0, 80 * MiB)
  await disk.zero(0, 80 * MiB, { punch: true })
  t.same(Object.fromEntries(taken), { [COMMAND.trim]: 80 * MiB, [COMMAND.writeZeroes]: 80 * MiB })
})
