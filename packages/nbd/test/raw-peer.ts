/** A client or server of a test that says exactly the bytes it is told to say. */
import { once } from 'node:events'
import { createServer, connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { FRAME_BYTES, OPTION, OPTION_REPLY, OPTION_REPLY_ERROR_BIT } from '../src/protocol/constants.ts'
import { FrameReader } from '../src/protocol/frame-reader.ts'
import { encodeClientFlags, encodeGreeting } from '../src/protocol/greeting.ts'
import {
  decodeOptionReplyHeader,
  encodeExportInfo,
  encodeMetaContext,
  encodeOptionReply,
} from '../src/protocol/option-replies.ts'
import {
  decodeMetaContextRequest,
  decodeOptionHeader,
  encodeInfoRequest,
  encodeOption,
} from '../src/protocol/options.ts'
import { decodeRequest, encodeRequest } from '../src/protocol/requests.ts'
import type { Request } from '../src/protocol/requests.ts'
import { temporaryFolder } from './peers.ts'
import type { Teardown } from './peers.ts'

export class RawPeer {
  readonly socket: Socket
  readonly reader: FrameReader
  readonly closed: Promise<unknown>

  constructor(socket: Socket) {
    this.socket = socket
    this.reader = new FrameReader({ pause: () => socket.pause(), resume: () => socket.resume() })
    socket.on('data', (bytes: Buffer) => this.reader.push(bytes))
    this.closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('end', () => this.reader.end()).on('close', () => this.reader.end())
    socket.on('error', () => undefined)
  }

  write(...parts: readonly (Uint8Array | string)[]): void {
    for (const part of parts) this.socket.write(typeof part === 'string' ? Buffer.from(part, 'hex') : part)
  }

  async option(option: number, data?: Uint8Array): Promise<{ reply: number; data: Uint8Array }> {
    this.write(encodeOption(option, data))
    return this.optionReply()
  }

  async optionReply(): Promise<{ reply: number; data: Uint8Array }> {
    const { reply, length } = decodeOptionReplyHeader(await this.reader.read(FRAME_BYTES.optionReply))
    return { reply, data: await this.reader.read(length) }
  }

  request(fields: Partial<Request>, payload?: Uint8Array, isExtended = false): void {
    const request = { flags: 0, command: 0, cookie: { high: 7, low: 9 }, offset: 0, length: 0, ...fields }
    this.write(encodeRequest(request, isExtended))
    if (payload !== undefined) this.write(payload)
  }

  /** All replies to an option, up to the final one. */
  async optionReplies(option: number, data?: Uint8Array): Promise<{ reply: number; data: Uint8Array }[]> {
    const replies = [await this.option(option, data)]
    const isFinal = (reply: number): boolean => reply === OPTION_REPLY.ack || reply >= OPTION_REPLY_ERROR_BIT
    while (!isFinal(replies.at(-1)?.reply ?? 0)) replies.push(await this.optionReply())
    return replies
  }

  /** Error number of a simple reply. */
  async simpleReply(): Promise<number> {
    const head = Buffer.from(await this.reader.read(FRAME_BYTES.simpleReply))
    if (head.readUInt32BE(0) !== 0x67446698) throw new Error(`no simple reply: ${head.toString('hex')}`)
    return head.readUInt32BE(4)
  }
}

/** A client that has read the greeting and sent its flags. */
export const rawClient = async (
  where: { path: string } | { host: string; port: number },
  flags = 3,
): Promise<RawPeer> => {
  const peer = new RawPeer(connect(where))
  await once(peer.socket, 'connect')
  await peer.reader.read(FRAME_BYTES.greeting)
  peer.write(encodeClientFlags(flags))
  return peer
}

/** A client that has opened an export, for simple replies. */
export const rawOpenClient = async (where: { path: string }, exportName = ''): Promise<RawPeer> => {
  const peer = await rawClient(where)
  peer.write(encodeOption(OPTION.go, encodeInfoRequest({ exportName, infos: [] })))
  while ((await peer.optionReply()).reply !== OPTION_REPLY.ack);
  return peer
}

/** A server on a socket of its own that lets `talk` speak to each client. */
export const rawServer = async (
  t: Teardown,
  talk: (peer: RawPeer) => Promise<void> | void,
): Promise<{ uri: string; path: string }> => {
  const path = join(temporaryFolder(t), 's')
  const peers = new Set<RawPeer>()
  const server = createServer(socket => {
    const peer = new RawPeer(socket)
    peers.add(peer)
    void Promise.resolve(talk(peer)).catch(() => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(async () => {
    for (const { socket } of peers) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  return { uri: `nbd+unix:///?socket=${path}`, path }
}

export interface FakeExport {
  readonly sizeBytes: number
  readonly flags: number
  readonly isStructured?: boolean
  /** INFO replies besides the size. */
  readonly infos?: readonly Uint8Array[]
  /** What SET_META_CONTEXT selects. @default what was asked for */
  readonly contexts?: readonly Uint8Array[]
}

/** Plays the server's part of a handshake up to the open export. */
export const welcomeClient = async (peer: RawPeer, fake: FakeExport): Promise<void> => {
  peer.write(encodeGreeting())
  await peer.reader.read(FRAME_BYTES.clientFlags)
  for (;;) {
    const { option, length } = decodeOptionHeader(await peer.reader.read(FRAME_BYTES.option))
    const data = await peer.reader.read(length)
    const isStructured = fake.isStructured ?? true
    if (option === OPTION.go) {
      for (const info of [encodeExportInfo(fake), ...(fake.infos ?? [])])
        peer.write(encodeOptionReply(option, OPTION_REPLY.info, info))
      peer.write(encodeOptionReply(option, OPTION_REPLY.ack))
      return
    }
    if (option === OPTION.setMetaContext) {
      const asked = decodeMetaContextRequest(data).queries.map((query, i) => encodeMetaContext(i + 1, query))
      for (const context of fake.contexts ?? asked)
        peer.write(encodeOptionReply(option, OPTION_REPLY.metaContext, context))
    }
    const isKnown = isStructured && (option === OPTION.structuredReply || option === OPTION.setMetaContext)
    peer.write(encodeOptionReply(option, isKnown ? OPTION_REPLY.ack : OPTION_REPLY.errorUnsupported))
  }
}

/** The next request of the client. */
export const nextRequest = async (peer: RawPeer): Promise<Request> =>
  decodeRequest(await peer.reader.read(FRAME_BYTES.request), false)
