/** Certificates for tests, made by openssl. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const run = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' })

/** An authority and a certificate of it for localhost, in a folder; as text, and the path of the authority's. */
export const makeCertificates = (folder: string): { cert: string; key: string; ca: string; caFile: string } => {
  const at = (name: string): string => join(folder, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  run('req', '-x509', ...newKey, '-keyout', at('ca-key.pem'), '-out', at('ca.pem'), '-subj', '/CN=ca', '-days', '30')
  run('req', ...newKey, '-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=localhost')
  writeFileSync(at('ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial']
  run('x509', '-req', '-in', at('csr.pem'), ...issuer, '-days', '30', '-extfile', at('ext'), '-out', at('cert.pem'))
  const read = (name: string): string => readFileSync(at(name), 'utf8')
  return { cert: read('cert.pem'), key: read('key.pem'), ca: read('ca.pem'), caFile: at('ca.pem') }
}
