/** Asking a server for one option at a time. @module */
import { GranaryError } from '@granary/core'
import type { Bytes, ErrorCode } from '@granary/core'
import { FRAME_BYTES, OPTION_REPLY } from '../protocol/constants.ts'
import type { OPTION } from '../protocol/constants.ts'
import { decodeMessage, protocolError } from '../protocol/fields.ts'
import { FrameReader } from '../protocol/frame-reader.ts'
import { decodeOptionReplyHeader, isErrorReply } from '../protocol/option-replies.ts'
import { encodeOption } from '../protocol/options.ts'
import type { Transport } from './transport.ts'

/** Longest option reply taken, bytes. */
const MAX_REPLY_BYTES = 64 * 1024
/** Most replies to one option: bounds what a server can make us read. */
const MAX_REPLIES = 100_000

/** What the server said at the end of an option. */
export type OptionOutcome =
  | { readonly isAccepted: true }
  | { readonly isAccepted: false; readonly reply: number; readonly message: string }

/** The bytes that arrive at a transport, as a reader for the handshake. */
export const receiveHandshake = (transport: Transport): FrameReader => {
  const reader = new FrameReader({ pause: () => transport.pause(), resume: () => transport.resume() })
  transport.receiver = {
    window: () => undefined,
    isBulk: () => false,
    filled: () => {},
    push: bytes => reader.push(bytes.slice()),
    ended: error => reader.end(error),
  }
  return reader
}

export interface Handshake {
  readonly transport: Transport
  readonly reader: FrameReader
}

/**
 * Sends one option and reads its replies up to the final one.
 *
 * @param take called with each reply before the final one
 */
export const exchangeOption = async (
  { transport, reader }: Handshake,
  option: number,
  data?: Bytes,
  take: (reply: number, data: Bytes) => void = () => {},
): Promise<OptionOutcome> => {
  transport.write(encodeOption(option, data))
  for (let count = 0; count < MAX_REPLIES; count++) {
    const header = decodeOptionReplyHeader(await reader.read(FRAME_BYTES.optionReply))
    if (header.option !== option)
      throw protocolError(`asked for option ${option}, the server answers ${header.option}`, { option })
    if (header.length > MAX_REPLY_BYTES)
      throw protocolError(`an option reply of ${header.length} bytes`, { limitBytes: MAX_REPLY_BYTES })
    const payload = await reader.read(header.length)
    if (isErrorReply(header.reply)) return { isAccepted: false, reply: header.reply, message: decodeMessage(payload) }
    if (header.reply === OPTION_REPLY.ack) {
      if (payload.length > 0) throw protocolError('an acknowledgement carries data')
      return { isAccepted: true }
    }
    take(header.reply, payload)
  }
  throw protocolError(`more than ${MAX_REPLIES} replies to option ${option}`, { option })
}

const REFUSALS: Readonly<Record<number, { readonly code: ErrorCode; readonly text: string; readonly hint?: string }>> =
  {
    [OPTION_REPLY.errorUnsupported]: { code: 'GRANARY_UNSUPPORTED', text: 'does not support it' },
    [OPTION_REPLY.errorPolicy]: { code: 'GRANARY_PERMISSION', text: 'forbids it' },
    [OPTION_REPLY.errorInvalid]: { code: 'GRANARY_REMOTE', text: 'calls it invalid' },
    [OPTION_REPLY.errorPlatform]: { code: 'GRANARY_UNSUPPORTED', text: 'cannot do it on its platform' },
    [OPTION_REPLY.errorTlsRequired]: {
      code: 'GRANARY_PERMISSION',
      text: 'requires TLS first',
      hint: 'Use an nbds:// URI, with certificates or a pre-shared key.',
    },
    [OPTION_REPLY.errorUnknown]: { code: 'GRANARY_NOT_FOUND', text: 'knows no such export' },
    [OPTION_REPLY.errorShutdown]: { code: 'GRANARY_REMOTE', text: 'is shutting down' },
    [OPTION_REPLY.errorBlockSizeRequired]: { code: 'GRANARY_REMOTE', text: 'requires block sizes to be agreed' },
    [OPTION_REPLY.errorTooBig]: { code: 'GRANARY_LIMIT', text: 'finds it too big' },
    [OPTION_REPLY.errorExtendedHeadersRequired]: { code: 'GRANARY_UNSUPPORTED', text: 'requires extended headers' },
  }

/** The error for a refused option. */
export const refusal = (
  outcome: Extract<OptionOutcome, { isAccepted: false }>,
  option: keyof typeof OPTION,
  detail: Readonly<Record<string, string>> = {},
): GranaryError => {
  const { code, text, hint } = REFUSALS[outcome.reply] ?? {
    code: 'GRANARY_REMOTE' as const,
    text: `answers error ${outcome.reply}`,
  }
  const message = outcome.message === '' ? '' : `: ${outcome.message}`
  return new GranaryError(code, `NBD: the server ${text} (${option})${message}`, {
    detail: { option, reply: outcome.reply, ...detail },
    retryable: outcome.reply === OPTION_REPLY.errorShutdown,
    ...(hint === undefined ? {} : { hint }),
  })
}
