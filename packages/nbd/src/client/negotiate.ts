/**
 * The handshake of a client, from the greeting to an open export.
 *
 * @see doc/proto.md, "Fixed newstyle negotiation"
 * @module
 */
import { GranaryError } from '@granary/core'
import {
  ASSUMED_MIN_BYTES,
  DEFAULT_MAX_PAYLOAD_BYTES,
  DEFAULT_PREFERRED_BYTES,
  EXPORT_FLAG,
  FRAME_BYTES,
  HANDSHAKE_FLAG,
  INFO,
  OPTION,
  OPTION_REPLY,
} from '../protocol/constants.ts'
import { encodeText, protocolError } from '../protocol/fields.ts'
import { decodeGreeting, encodeClientFlags } from '../protocol/greeting.ts'
import { decodeExportSize, decodeInfo, decodeMetaContext } from '../protocol/option-replies.ts'
import type { BlockSizes, ExportSize } from '../protocol/option-replies.ts'
import { encodeInfoRequest, encodeMetaContextRequest, encodeOption } from '../protocol/options.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import { exchangeOption, receiveHandshake, refusal } from './option-exchange.ts'
import type { Handshake } from './option-exchange.ts'
import { startTls } from './tls.ts'
import type { NbdClientTls } from './tls.ts'
import type { Transport } from './transport.ts'

export interface NegotiateOptions {
  readonly exportName: string
  readonly tls: NbdClientTls | undefined
  /** Host to look for in the server's certificate. */
  readonly host: string
  /** Meta contexts to ask for. */
  readonly contexts: readonly string[]
  /** The most that is asked for. */
  readonly maxStyle: ReplyStyle
  readonly signal: AbortSignal
}

/** What was agreed on one connection. */
export interface Negotiated {
  readonly transport: Transport
  readonly sizeBytes: number
  /** Transmission flags. */
  readonly flags: number
  readonly blockSizes: BlockSizes
  /** False where the block sizes are the customary ones, because the server told none. */
  readonly isBlockSizeTold: boolean
  readonly style: ReplyStyle
  /** Names of the meta contexts by the id they have on this connection. */
  readonly contexts: ReadonlyMap<number, string>
  readonly description: string | undefined
}

const CUSTOMARY_SIZES: BlockSizes = {
  minBytes: ASSUMED_MIN_BYTES,
  preferredBytes: DEFAULT_PREFERRED_BYTES,
  maxBytes: DEFAULT_MAX_PAYLOAD_BYTES,
}

/** Greets, and starts TLS where it is wanted. Nothing of what was agreed before TLS counts after it. */
export const openHandshake = async (
  transport: Transport,
  { tls, host, signal }: Pick<NegotiateOptions, 'tls' | 'host' | 'signal'>,
): Promise<Handshake & { readonly handshakeFlags: number }> => {
  const handshake: Handshake = { transport, reader: receiveHandshake(transport) }
  const handshakeFlags = decodeGreeting(await handshake.reader.read(FRAME_BYTES.greeting))
  const isFixed = (handshakeFlags & HANDSHAKE_FLAG.fixedNewstyle) !== 0
  transport.write(encodeClientFlags(handshakeFlags))
  if (tls === undefined) return { ...handshake, handshakeFlags }
  if (!isFixed) throw new GranaryError('GRANARY_UNSUPPORTED', 'NBD: the server is too old for TLS')
  const outcome = await exchangeOption(handshake, OPTION.startTls)
  if (!outcome.isAccepted) throw refusal(outcome, 'startTls')
  if (handshake.reader.bufferedBytes > 0)
    throw protocolError('the server, or somebody on the way, sent plain bytes after agreeing to TLS')
  const secure = await startTls(transport, tls, { host, signal })
  return { transport: secure, reader: receiveHandshake(secure), handshakeFlags }
}

/**
 * Opens an export on a fresh connection.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such export, `GRANARY_PROTOCOL` when the server contradicts itself
 */
export const negotiate = async (plain: Transport, options: NegotiateOptions): Promise<Negotiated> => {
  const { handshakeFlags, ...handshake } = await openHandshake(plain, options)
  const isFixed = (handshakeFlags & HANDSHAKE_FLAG.fixedNewstyle) !== 0
  const style = isFixed ? await agreeOnStyle(handshake, options.maxStyle) : 'simple'
  const contexts = style === 'simple' ? new Map<number, string>() : await agreeOnContexts(handshake, options)
  const opened = (isFixed ? await go(handshake, options) : undefined) ?? {
    size: await exportName(handshake, options.exportName, { handshakeFlags, style }),
    blockSizes: undefined,
    description: undefined,
  }
  if ((opened.size.flags & EXPORT_FLAG.hasFlags) === 0) throw protocolError('the export has no transmission flags')
  if (!Number.isSafeInteger(opened.size.sizeBytes))
    throw new GranaryError('GRANARY_LIMIT', 'NBD: the export is larger than 2^53 - 1 bytes')
  return {
    transport: handshake.transport,
    sizeBytes: opened.size.sizeBytes,
    flags: opened.size.flags,
    blockSizes: opened.blockSizes ?? CUSTOMARY_SIZES,
    isBlockSizeTold: opened.blockSizes !== undefined,
    style,
    contexts,
    description: opened.description,
  }
}

const agreeOnStyle = async (handshake: Handshake, maxStyle: ReplyStyle): Promise<ReplyStyle> => {
  if (maxStyle === 'extended') {
    const outcome = await exchangeOption(handshake, OPTION.extendedHeaders)
    if (outcome.isAccepted) return 'extended'
    if (outcome.reply === OPTION_REPLY.errorTlsRequired) throw refusal(outcome, 'extendedHeaders')
  }
  if (maxStyle === 'simple') return 'simple'
  const outcome = await exchangeOption(handshake, OPTION.structuredReply)
  if (outcome.isAccepted) return 'structured'
  if (outcome.reply === OPTION_REPLY.errorTlsRequired) throw refusal(outcome, 'structuredReply')
  return 'simple'
}

const agreeOnContexts = async (
  handshake: Handshake,
  { exportName, contexts }: NegotiateOptions,
): Promise<ReadonlyMap<number, string>> => {
  const ids = new Map<number, string>()
  if (contexts.length === 0) return ids
  const query = encodeMetaContextRequest({ exportName, queries: contexts })
  const outcome = await exchangeOption(handshake, OPTION.setMetaContext, query, (reply, data) => {
    if (reply !== OPTION_REPLY.metaContext) return
    const { id, name } = decodeMetaContext(data)
    if (ids.has(id)) throw protocolError('two meta contexts have one id', { id })
    // A server may select what nobody asked for: its extents will come, and are left unread.
    ids.set(id, name)
    if (ids.size > contexts.length + 64) throw protocolError('far more meta contexts than were asked for')
  })
  if (outcome.isAccepted) return ids
  // Old servers do not know the option; an unknown export is told better by GO.
  if (outcome.reply === OPTION_REPLY.errorUnsupported || outcome.reply === OPTION_REPLY.errorUnknown) return new Map()
  throw refusal(outcome, 'setMetaContext', { exportName })
}

interface Opened {
  readonly size: ExportSize
  readonly blockSizes: BlockSizes | undefined
  readonly description: string | undefined
}

/** Opens by GO; undefined where the server is too old to know it. */
const go = async (handshake: Handshake, { exportName }: NegotiateOptions): Promise<Opened | undefined> => {
  let size: ExportSize | undefined
  let blockSizes: BlockSizes | undefined
  let description: string | undefined
  const query = encodeInfoRequest({ exportName, infos: [INFO.blockSize, INFO.description] })
  const outcome = await exchangeOption(handshake, OPTION.go, query, (reply, data) => {
    if (reply !== OPTION_REPLY.info) return
    const info = decodeInfo(data)
    if (info.type === 'export') size = { sizeBytes: info.sizeBytes, flags: info.flags }
    if (info.type === 'blockSize')
      blockSizes = { minBytes: info.minBytes, preferredBytes: info.preferredBytes, maxBytes: info.maxBytes }
    if (info.type === 'description') description = info.text
  })
  if (!outcome.isAccepted) {
    if (outcome.reply === OPTION_REPLY.errorUnsupported) return undefined
    throw refusal(outcome, 'go', { exportName })
  }
  if (size === undefined) throw protocolError('the server opened an export without telling its size')
  return { size, blockSizes, description }
}

/** Opens by EXPORT_NAME, which has no way to say why it fails. */
const exportName = async (
  { transport, reader }: Handshake,
  name: string,
  { handshakeFlags, style }: { readonly handshakeFlags: number; readonly style: ReplyStyle },
): Promise<ExportSize> => {
  if (style === 'extended') throw protocolError('the server knows extended headers but not GO')
  transport.write(encodeOption(OPTION.exportName, encodeText(name, 'export name')))
  const size = decodeExportSize(await reader.read(FRAME_BYTES.exportNameReply))
  if ((handshakeFlags & HANDSHAKE_FLAG.noZeroes) === 0) await reader.skip(FRAME_BYTES.exportNamePadding)
  return size
}
