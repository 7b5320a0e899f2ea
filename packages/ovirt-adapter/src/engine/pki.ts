/** The engine's internal certificate authority, which every host's imageio has its certificate from. @module */
import { GranaryError } from '@granary/core'
import { faultError } from './faults.ts'
import type { Transport } from './transport.ts'

const PATH = '/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA'
const MOST_BYTES = 262_144

/** Fetched anonymously, over a connection that is already trusted. */
export const fetchInternalCa = async (transport: Transport, base: string, timeoutMs: number): Promise<string> => {
  const answer = await transport.send({
    method: 'GET',
    url: base + PATH,
    headers: { accept: '*/*' },
    timeoutMs,
    mostBytes: MOST_BYTES,
  })
  if (answer.status !== 200) throw faultError(answer, { method: 'GET', path: PATH, hide: [] })
  if (answer.text.includes('-----BEGIN CERTIFICATE-----')) return answer.text
  throw new GranaryError('GRANARY_PROTOCOL', `${PATH}: expected a certificate in PEM`, { detail: { path: PATH } })
}
