/** The client's entry points. @module */
import { NbdClientDisk } from './disk.ts'
import type { NbdDisk } from './disk.ts'
import { listExports, openNegotiated } from './open-link.ts'
import type { NbdExportInfo } from './open-link.ts'
import { settleOptions, targetOfUri } from './options.ts'
import type { NbdClientOptions, NbdTarget } from './options.ts'
import type { NbdClientTls } from './tls.ts'

/** Options for a URI, which may leave out keys that come from elsewhere. */
export interface NbdUriOptions {
  /** Used instead of what the URI points at; the scheme must be nbds. */
  readonly tls?: NbdClientTls
}

/**
 * Opens an export of an NBD server.
 *
 * @throws GranaryError `GRANARY_IO` (retryable) when nobody answers, `GRANARY_NOT_FOUND` when there is no such export or bitmap,
 * `GRANARY_AUTHENTICATION` when TLS fails, `GRANARY_UNSUPPORTED` for an oldstyle server, `GRANARY_PROTOCOL` for what is no NBD server
 * @example await using disk = await connectNbd('nbd+unix:///?socket=/run/vm.sock', { bitmap: 'backup-1' })
 */
export const connectNbd = async (
  target: string | NbdTarget,
  { tls, ...options }: NbdClientOptions & NbdUriOptions = {},
): Promise<NbdDisk> => {
  const settings = settleOptions(await resolve(target, tls), options)
  return new NbdClientDisk(await openNegotiated(settings, options.signal), settings)
}

/**
 * The exports that a server tells of. The export that the target names is of no meaning.
 *
 * @throws GranaryError `GRANARY_PERMISSION` when the server does not tell
 */
export const listNbdExports = async (
  target: string | NbdTarget,
  { tls, ...options }: Pick<NbdClientOptions, 'connectTimeoutMs' | 'signal'> & NbdUriOptions = {},
): Promise<readonly NbdExportInfo[]> => listExports(await resolve(target, tls), options)

const resolve = async (target: string | NbdTarget, tls: NbdClientTls | undefined): Promise<NbdTarget> => {
  if (typeof target === 'string') return targetOfUri(target, tls)
  return tls === undefined ? target : { ...target, tls }
}
