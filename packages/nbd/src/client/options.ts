/** Where to connect, and how a client behaves. @module */
import { GranaryError } from '@granary/core'
import type { NbdAddress } from '../address.ts'
import { MAX_TIMER_MS, settleNumbers } from '../number-options.ts'
import type { NumberRange } from '../number-options.ts'
import { CONTEXT } from '../protocol/constants.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import { readNbdCertificates, readNbdPskFile } from '../tls.ts'
import { parseNbdUri } from '../uri.ts'
import type { NbdUri } from '../uri.ts'
import type { NbdClientTls } from './tls.ts'

/** One export of one server. */
export interface NbdTarget {
  readonly address: NbdAddress
  /** @default '' (the default export) */
  readonly exportName?: string
  /** TLS is required when this is given, and not used when it is not. */
  readonly tls?: NbdClientTls
}

export interface NbdClientOptions {
  /** Dirty bitmap to report as `dirty` in extents (`qemu:dirty-bitmap:NAME`). It must exist. */
  readonly bitmap?: string
  /** Report `depth` and `present` in extents (`qemu:allocation-depth`). The server must know it. @default false */
  readonly allocationDepth?: boolean
  /** More meta contexts to ask for, read with `metaExtents`. They must exist. */
  readonly metaContexts?: readonly string[]
  /** Most connections, used when the server says that it keeps them consistent. @default 2 */
  readonly connections?: number
  /** Size of the pieces that large reads and writes are sent in, bytes. @default 512 KiB */
  readonly requestBytes?: number
  /** Bytes under way at most, over all connections. @default 8 MiB */
  readonly maxBytesInFlight?: number
  /** For connecting and the handshake. @default 30000 */
  readonly connectTimeoutMs?: number
  /** A connection that waits for an answer is given up after so long without a byte. @default 60000 */
  readonly timeoutMs?: number
  /** How often a lost connection is opened again for one request; 0 never. @default 5 */
  readonly reconnectAttempts?: number
  /** Wait before the first of them, doubled each time up to 5 s. @default 100 */
  readonly reconnectDelayMs?: number
  /**
   * Unflushed writes kept in memory, bytes, to be sent again when the connection is lost. When they are full, a flush is made.
   * With 0, a loss of unflushed writes makes the next `flush` fail. @default 0
   */
  readonly replayBytes?: number
  /** The most to agree on: lower only to test old servers. @default 'extended' */
  readonly replies?: ReplyStyle
  /** Ends the connecting. */
  readonly signal?: AbortSignal
}

const MiB = 1024 * 1024

/** Defaults and ranges of the numbers. */
const NUMBERS = {
  connections: { initial: 2, min: 1, max: 64 },
  requestBytes: { initial: MiB / 2, min: 4096, max: 32 * MiB },
  maxBytesInFlight: { initial: 8 * MiB, min: 4096, max: 1024 * MiB },
  connectTimeoutMs: { initial: 30_000, min: 1, max: MAX_TIMER_MS },
  timeoutMs: { initial: 60_000, min: 1, max: MAX_TIMER_MS },
  reconnectAttempts: { initial: 5, min: 0, max: 1000 },
  reconnectDelayMs: { initial: 100, min: 0, max: 60_000 },
  replayBytes: { initial: 0, min: 0, max: 1024 * MiB },
} as const satisfies Partial<Record<keyof NbdClientOptions, NumberRange>>

type NumberName = keyof typeof NUMBERS

export type ClientSettings = Readonly<Record<NumberName, number>> & {
  readonly target: NbdTarget & { readonly exportName: string }
  /** Contexts that must be agreed on. */
  readonly requiredContexts: readonly string[]
  readonly bitmapContext: string | undefined
  readonly hasDepth: boolean
  readonly replies: ReplyStyle
}

/** Fills in the defaults. @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a number is out of its range */
export const settleOptions = (target: NbdTarget, options: NbdClientOptions): ClientSettings => {
  const bitmapContext = options.bitmap === undefined ? undefined : CONTEXT.dirtyBitmap + options.bitmap
  const hasDepth = options.allocationDepth ?? false
  return {
    ...settleNumbers<NumberName>(NUMBERS, options),
    target: { ...target, exportName: target.exportName ?? '' },
    requiredContexts: [
      ...(bitmapContext === undefined ? [] : [bitmapContext]),
      ...(hasDepth ? [CONTEXT.allocationDepth] : []),
      ...(options.metaContexts ?? []),
    ],
    bitmapContext,
    hasDepth,
    replies: options.replies ?? 'extended',
  }
}

/**
 * The target that a URI names, with the certificates or the key it points at.
 *
 * @param tls used instead of what the URI points at
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when nbds has neither certificates nor key
 */
export const targetOfUri = async (text: string, tls?: NbdClientTls): Promise<NbdTarget> => {
  const uri = parseNbdUri(text)
  const { address, exportName, isTls } = uri
  if (!isTls) {
    if (tls !== undefined)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `NBD URI ${text}: keys were given, but the scheme is not nbds`)
    return { address, exportName }
  }
  return { address, exportName, tls: tls ?? (await tlsOfUri(uri, text)) }
}

const tlsOfUri = async (uri: NbdUri, text: string): Promise<NbdClientTls> => {
  if (uri.tlsPskFile !== undefined) {
    const identity = uri.user ?? ''
    const key = (await readNbdPskFile(uri.tlsPskFile)).get(identity)
    if (key !== undefined) return { psk: { identity, key } }
    throw new GranaryError('GRANARY_WRONG_KEY', `the key file ${uri.tlsPskFile} has no identity "${identity}"`, {
      hint: 'Name the identity in the URI: nbds://IDENTITY@HOST/?tls-psk-file=FILE.',
    })
  }
  if (uri.tlsCertificates !== undefined)
    return {
      ...(await readNbdCertificates(uri.tlsCertificates, 'client')),
      isPeerVerified: uri.isPeerVerified,
      ...(uri.tlsHostname === undefined ? {} : { serverName: uri.tlsHostname }),
    }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `NBD URI ${text}: nbds needs certificates or a key`, {
    hint: 'Add ?tls-certificates=FOLDER or ?tls-psk-file=FILE.',
  })
}
