/**
 * The handshake of a server, from the greeting until a client opened an export or left.
 *
 * @see doc/proto.md, "Fixed newstyle negotiation", "TLS support"
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, HANDSHAKE_FLAG, INFO, OPTION, OPTION_REPLY } from '../protocol/constants.ts'
import { decodeText, protocolError } from '../protocol/fields.ts'
import { decodeClientFlags, encodeGreeting } from '../protocol/greeting.ts'
import {
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportSize,
  encodeMetaContext,
  encodeOptionReply,
  encodeServer,
  encodeTextInfo,
} from '../protocol/option-replies.ts'
import { decodeInfoRequest, decodeMetaContextRequest, decodeOptionHeader } from '../protocol/options.ts'
import type { MetaContextRequest, OptionHeader } from '../protocol/options.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import { exportFlags } from './exports.ts'
import type { MetaContext, PreparedExport } from './exports.ts'
import type { ServerLimits } from './limits.ts'
import { acceptTls } from './tls.ts'
import type { NbdServerTls } from './tls.ts'
import type { Wire } from './wire.ts'

/** Longest option taken, bytes: longer ones are read and refused. */
const MAX_OPTION_BYTES = 64 * 1024
/** Longest option worth reading at all, bytes. */
const MAX_SKIPPED_BYTES = 32 * 1024 * 1024
/** A client that has not opened an export by then never will. */
const MAX_OPTIONS = 1000

export interface HandshakeContext {
  readonly exports: ReadonlyMap<string, PreparedExport>
  readonly tls: NbdServerTls | undefined
  readonly limits: ServerLimits
  readonly isClosing: () => boolean
}

/** What was agreed with a client. */
export interface Session {
  readonly wire: Wire
  readonly export: PreparedExport
  readonly style: ReplyStyle
  readonly contexts: readonly MetaContext[]
}

/** What a handler of an option answers. */
type Verdict =
  | { readonly kind: 'reply'; readonly reply: number; readonly message?: string }
  | { readonly kind: 'startTls' }
  | { readonly kind: 'open'; readonly export: PreparedExport }
  | { readonly kind: 'leave' }

/**
 * @param onWire told when TLS replaces the wire
 * @returns undefined when the client left politely
 * @throws GranaryError `GRANARY_PROTOCOL` when the client breaks the protocol: it must be cut off
 */
export const welcome = async (
  wire: Wire,
  context: HandshakeContext,
  onWire: (wire: Wire) => void,
): Promise<Session | undefined> => {
  wire.write(encodeGreeting())
  const flagBytes = await wire.reader.readOrEnd(FRAME_BYTES.clientFlags)
  if (flagBytes === undefined) return undefined
  const flags = decodeClientFlags(flagBytes)
  return await new Handshake(wire, context, onWire, flags).run()
}

class Handshake {
  #wire: Wire
  readonly #context: HandshakeContext
  readonly #onWire: (wire: Wire) => void
  readonly #clientFlags: number
  #isTls = false
  #style: ReplyStyle = 'simple'
  #selected: { readonly exportName: string; readonly contexts: readonly MetaContext[] } | undefined

  constructor(wire: Wire, context: HandshakeContext, onWire: (wire: Wire) => void, clientFlags: number) {
    this.#wire = wire
    this.#context = context
    this.#onWire = onWire
    this.#clientFlags = clientFlags
  }

  async run(): Promise<Session | undefined> {
    for (let count = 0; count < MAX_OPTIONS; count++) {
      const head = await this.#wire.reader.readOrEnd(FRAME_BYTES.option)
      if (head === undefined) return undefined
      const header = decodeOptionHeader(head)
      const isFixed = (this.#clientFlags & HANDSHAKE_FLAG.fixedNewstyle) !== 0
      if (!isFixed && header.option !== OPTION.exportName)
        throw protocolError('the client did not agree to fixed newstyle, but asks for options')
      const verdict = await this.#take(header)
      if (verdict.kind === 'leave') return undefined
      if (verdict.kind === 'open') return this.#session(verdict.export)
      if (verdict.kind === 'startTls') await this.#startTls(header)
      else this.#reply(header.option, verdict.reply, new TextEncoder().encode(verdict.message ?? ''))
    }
    throw protocolError(`the client asks for more than ${MAX_OPTIONS} options`)
  }

  #session(each: PreparedExport): Session {
    const contexts = this.#selected?.exportName === each.name ? this.#selected.contexts : []
    return { wire: this.#wire, export: each, style: this.#style, contexts }
  }

  #reply(option: number, reply: number, data?: Bytes): void {
    this.#wire.write(encodeOptionReply(option, reply, data))
  }

  async #take({ option, length }: OptionHeader): Promise<Verdict> {
    if (length > MAX_SKIPPED_BYTES) throw protocolError(`an option of ${length} bytes`, { option })
    if (length > MAX_OPTION_BYTES) {
      await this.#wire.reader.skip(length)
      if (option === OPTION.exportName) throw protocolError('an export name is too long')
      return refuse(OPTION_REPLY.errorTooBig, `expected at most ${MAX_OPTION_BYTES} bytes`)
    }
    const data = await this.#wire.reader.read(length)
    const { tls, isClosing } = this.#context
    if (isClosing()) return option === OPTION.exportName ? { kind: 'leave' } : refuse(OPTION_REPLY.errorShutdown)
    if (tls !== undefined && (tls.isRequired ?? true) && !this.#isTls && !isBeforeTls(option)) {
      if (option === OPTION.exportName) throw protocolError('the client opens an export without the TLS it needs')
      return refuse(OPTION_REPLY.errorTlsRequired, 'TLS is required')
    }
    try {
      return this.#answer(option, data)
    } catch (error) {
      if (!isGranaryError(error) || option === OPTION.exportName) throw error
      return refuse(OPTION_REPLY.errorInvalid, error.message)
    }
  }

  #answer(option: number, data: Bytes): Verdict {
    switch (option) {
      case OPTION.exportName:
        return this.#openByName(decodeText(data, 'export name'))
      case OPTION.abort:
        this.#reply(option, OPTION_REPLY.ack)
        return { kind: 'leave' }
      case OPTION.list:
        return this.#list(data)
      case OPTION.startTls:
        return this.#agreeOnTls(data)
      case OPTION.info:
      case OPTION.go:
        return this.#inform(option, data)
      case OPTION.structuredReply:
      case OPTION.extendedHeaders:
        return this.#agreeOnStyle(option, data)
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.#metaContexts(option, data)
      default:
        return refuse(OPTION_REPLY.errorUnsupported)
    }
  }

  #openByName(name: string): Verdict {
    const each = this.#context.exports.get(name)
    if (each === undefined) throw protocolError('the client opens an export that is not there')
    if (this.#style === 'extended') throw protocolError('EXPORT_NAME after extended headers were agreed')
    const hasZeroes = (this.#clientFlags & HANDSHAKE_FLAG.noZeroes) === 0
    this.#wire.write(encodeExportSize({ sizeBytes: each.disk.sizeBytes, flags: this.#flagsOf(each) }))
    if (hasZeroes) this.#wire.write(new Uint8Array(FRAME_BYTES.exportNamePadding))
    return { kind: 'open', export: each }
  }

  #list(data: Bytes): Verdict {
    if (data.length > 0) return refuse(OPTION_REPLY.errorInvalid, 'LIST takes no data')
    for (const { name, description } of this.#context.exports.values())
      this.#reply(OPTION.list, OPTION_REPLY.server, encodeServer(name, description))
    return accept
  }

  #agreeOnTls(data: Bytes): Verdict {
    if (this.#context.tls === undefined) return refuse(OPTION_REPLY.errorPolicy, 'this server has no TLS')
    if (data.length > 0) return refuse(OPTION_REPLY.errorInvalid, 'STARTTLS takes no data')
    if (this.#isTls) return refuse(OPTION_REPLY.errorInvalid, 'TLS is there already')
    return { kind: 'startTls' }
  }

  #inform(option: number, data: Bytes): Verdict {
    const { exportName, infos } = decodeInfoRequest(data)
    const each = this.#context.exports.get(exportName)
    if (each === undefined) return refuse(OPTION_REPLY.errorUnknown, 'no such export')
    const size = { sizeBytes: each.disk.sizeBytes, flags: this.#flagsOf(each) }
    this.#reply(option, OPTION_REPLY.info, encodeExportInfo(size))
    if (infos.includes(INFO.name)) this.#reply(option, OPTION_REPLY.info, encodeTextInfo('name', each.name))
    if (infos.includes(INFO.description) && each.description !== '')
      this.#reply(option, OPTION_REPLY.info, encodeTextInfo('description', each.description))
    const sizes = {
      minBytes: 1,
      preferredBytes: each.preferredBytes,
      maxBytes: this.#context.limits.maxRequestBytes,
    }
    this.#reply(option, OPTION_REPLY.info, encodeBlockSizeInfo(sizes))
    if (option === OPTION.info) return accept
    this.#reply(option, OPTION_REPLY.ack)
    return { kind: 'open', export: each }
  }

  #agreeOnStyle(option: number, data: Bytes): Verdict {
    if (data.length > 0) return refuse(OPTION_REPLY.errorInvalid, 'this option takes no data')
    if (option === OPTION.structuredReply) {
      if (this.#style === 'extended') return refuse(OPTION_REPLY.errorExtendedHeadersRequired)
      if (this.#style === 'structured')
        return refuse(OPTION_REPLY.errorInvalid, 'structured replies are agreed already')
      this.#style = 'structured'
    } else {
      if (this.#style === 'extended') return refuse(OPTION_REPLY.errorInvalid, 'extended headers are agreed already')
      this.#style = 'extended'
    }
    return accept
  }

  #metaContexts(option: number, data: Bytes): Verdict {
    const isSet = option === OPTION.setMetaContext
    // SET replaces what was selected, also when it fails.
    if (isSet) this.#selected = undefined
    if (this.#style === 'simple') return refuse(OPTION_REPLY.errorInvalid, 'structured replies come first')
    const request = decodeMetaContextRequest(data)
    const each = this.#context.exports.get(request.exportName)
    if (each === undefined) return refuse(OPTION_REPLY.errorUnknown, 'no such export')
    const contexts = isSet ? selectContexts(each, request) : listContexts(each, request)
    for (const { id, name } of contexts)
      this.#reply(option, OPTION_REPLY.metaContext, encodeMetaContext(isSet ? id : 0, name))
    if (isSet) this.#selected = { exportName: request.exportName, contexts }
    return accept
  }

  async #startTls({ option }: OptionHeader): Promise<void> {
    // Plain bytes behind STARTTLS were put there to be taken for authenticated ones (CVE-2021-3716).
    if (this.#wire.reader.bufferedBytes > 0) throw protocolError('plain bytes follow STARTTLS')
    this.#reply(option, OPTION_REPLY.ack)
    this.#wire = await acceptTls(this.#wire, this.#context.tls as NbdServerTls)
    this.#onWire(this.#wire)
    this.#isTls = true
    this.#style = 'simple'
    this.#selected = undefined
  }

  #flagsOf(each: PreparedExport): number {
    const hasContexts = this.#selected?.exportName === each.name && this.#selected.contexts.length > 0
    return exportFlags(each, this.#style, hasContexts)
  }
}

const accept: Verdict = { kind: 'reply', reply: OPTION_REPLY.ack }

const refuse = (reply: number, message = ''): Verdict => ({ kind: 'reply', reply, message })

const isBeforeTls = (option: number): boolean => option === OPTION.startTls || option === OPTION.abort

const selectContexts = ({ contexts }: PreparedExport, { queries }: MetaContextRequest): readonly MetaContext[] =>
  contexts.filter(({ name }) => queries.includes(name))

/** A query that ends in a colon asks for all that begin with it; no query asks for all. */
const listContexts = ({ contexts }: PreparedExport, { queries }: MetaContextRequest): readonly MetaContext[] =>
  contexts.filter(
    ({ name }) =>
      queries.length === 0 || queries.some(query => query === name || (query.endsWith(':') && name.startsWith(query))),
  )
