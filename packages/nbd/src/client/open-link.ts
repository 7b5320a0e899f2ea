/** Connecting and negotiating, within a time limit. @module */
import { GranaryError } from '@granary/core'
import { describeAddress } from '../address.ts'
import { CONTEXT, OPTION, OPTION_REPLY } from '../protocol/constants.ts'
import { protocolError } from '../protocol/fields.ts'
import { decodeServer } from '../protocol/option-replies.ts'
import { encodeOption } from '../protocol/options.ts'
import { negotiate, openHandshake } from './negotiate.ts'
import type { Negotiated } from './negotiate.ts'
import { exchangeOption, refusal } from './option-exchange.ts'
import { settleOptions } from './options.ts'
import type { ClientSettings, NbdClientOptions, NbdTarget } from './options.ts'
import { openTransport } from './transport.ts'
import type { Transport } from './transport.ts'

/** @throws GranaryError `GRANARY_TIMEOUT` when it takes too long, `GRANARY_NOT_FOUND` when a meta context is missing */
export const openNegotiated = async (settings: ClientSettings, signal?: AbortSignal): Promise<Negotiated> =>
  withTransport(settings, signal, async (transport, limit) => {
    const { target, requiredContexts, replies } = settings
    const negotiated = await negotiate(transport, {
      exportName: target.exportName,
      tls: target.tls,
      host: hostOf(target),
      contexts: [CONTEXT.allocation, ...requiredContexts],
      maxStyle: replies,
      signal: limit,
    })
    const names = new Set(negotiated.contexts.values())
    for (const name of requiredContexts)
      if (!names.has(name))
        throw new GranaryError('GRANARY_NOT_FOUND', `NBD: the export "${target.exportName}" has no context ${name}`, {
          detail: { context: name, exportName: target.exportName },
        })
    return negotiated
  })

/** One export that a server lists. */
export interface NbdExportInfo {
  readonly name: string
  readonly description: string
}

/**
 * The exports that a server tells of. A server may hide some.
 *
 * @throws GranaryError `GRANARY_PERMISSION` when it tells none to anybody
 */
export const listExports = async (target: NbdTarget, options: NbdClientOptions): Promise<readonly NbdExportInfo[]> => {
  const settings = settleOptions(target, options)
  return withTransport(settings, options.signal, async (plain, limit) => {
    const handshake = await openHandshake(plain, { tls: target.tls, host: hostOf(target), signal: limit })
    const found: NbdExportInfo[] = []
    const outcome = await exchangeOption(handshake, OPTION.list, undefined, (reply, data) => {
      if (reply !== OPTION_REPLY.server)
        throw protocolError('LIST is answered by something else than servers', { reply })
      found.push(decodeServer(data))
    })
    handshake.transport.write(encodeOption(OPTION.abort))
    handshake.transport.end()
    if (!outcome.isAccepted) throw refusal(outcome, 'list')
    return found
  })
}

const hostOf = ({ address }: NbdTarget): string => (address.kind === 'tcp' ? address.host : 'localhost')

const withTransport = async <Result>(
  { target, connectTimeoutMs }: ClientSettings,
  signal: AbortSignal | undefined,
  use: (transport: Transport, limit: AbortSignal) => Promise<Result>,
): Promise<Result> => {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), connectTimeoutMs)
  const limit = signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, signal])
  let transport: Transport | undefined
  const onAbort = (): void => transport?.destroy()
  limit.addEventListener('abort', onAbort, { once: true })
  try {
    transport = await openTransport(target.address, { isDirect: target.tls === undefined, signal: limit })
    return await use(transport, limit)
  } catch (error) {
    transport?.destroy()
    signal?.throwIfAborted()
    if (!timeout.signal.aborted) throw error
    const peer = describeAddress(target.address)
    throw new GranaryError('GRANARY_TIMEOUT', `NBD: ${peer} did not open the export in ${connectTimeoutMs} ms`, {
      cause: error,
      retryable: true,
      detail: { peer, timeoutMs: connectTimeoutMs },
    })
  } finally {
    clearTimeout(timer)
    limit.removeEventListener('abort', onAbort)
  }
}
