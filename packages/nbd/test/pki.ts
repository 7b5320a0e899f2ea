/** Certificates and keys for tests, in the layout that QEMU, nbdkit and libnbd expect. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from './peers.ts'

/** Writes ca, server and client pairs, and keys.psk with the identity alice. Needs openssl. */
export const makePki = (folder: string): string => {
  const at = (name: string): string => join(folder, name)
  const request = (name: string, subject: string): void => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at(`${name}-key.pem`)]
    mustRun('openssl', 'req', '-new', ...key, '-subj', `/CN=${subject}`, '-out', at(`${name}.csr`))
  }
  const sign = (name: string, extensions: string, ...issuer: readonly string[]): void => {
    writeFileSync(at(`${name}.ext`), extensions)
    const output = ['-days', '30', '-extfile', at(`${name}.ext`), '-out', at(`${name}-cert.pem`)]
    mustRun('openssl', 'x509', '-req', '-in', at(`${name}.csr`), ...issuer, ...output)
  }
  const issuer = ['-CA', at('ca-cert.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial']
  request('ca', 'test-ca')
  sign('ca', 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n', '-key', at('ca-key.pem'))
  request('server', 'localhost')
  sign(
    'server',
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n',
    ...issuer,
  )
  request('client', 'client1')
  sign('client', 'extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n', ...issuer)
  writeFileSync(at('keys.psk'), `alice:${'5a'.repeat(32)}\n`)
  return folder
}
