/** Whether an address answers with a certificate that is trusted. @module */
import { connect } from 'node:tls'
import { isIP } from 'node:net'
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'

export interface ReachOptions extends AbortOptions {
  readonly host: string
  readonly port: number
  /** Certificates, PEM. */
  readonly ca: string
  readonly timeoutMs: number
}

/** @throws GranaryError `GRANARY_IO` when nobody answers, `GRANARY_AUTHENTICATION` when the certificate is not trusted */
export const reach = async ({ host, port, ca, timeoutMs, signal }: ReachOptions): Promise<void> => {
  const limit = AbortSignal.timeout(timeoutMs)
  const socket = connect({ host, port, ca, ...(isIP(host) === 0 ? { servername: host } : {}) })
  const end = signal === undefined ? limit : AbortSignal.any([signal, limit])
  const onEnd = (): void => void socket.destroy(new Error(limit.aborted ? 'no answer' : 'aborted'))
  end.addEventListener('abort', onEnd, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw translate(error, `${host}:${port}`)
  } finally {
    end.removeEventListener('abort', onEnd)
    socket.destroy()
  }
}

const translate = (error: unknown, address: string): GranaryError => {
  const { code, message } = error as NodeJS.ErrnoException
  const isCertificate = /^(CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code ?? '')
  return new GranaryError(
    isCertificate ? 'GRANARY_AUTHENTICATION' : 'GRANARY_IO',
    `${address}: ${isCertificate ? 'its certificate is not trusted' : 'not reached'} (${code ?? message})`,
    { detail: { address }, cause: error },
  )
}
