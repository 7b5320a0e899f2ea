import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { setUp } from './client.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

test('§1.3 OpenSSL verifies the engine by its authority, strictly', { skip }, async t => {
  const client = await setUp(t)
  const folder = t.testdir()
  const [ca, engine] = [join(folder, 'ca.pem'), join(folder, 'engine.pem')]
  writeFileSync(ca, client.simulator.ca)
  writeFileSync(
    engine,
    (await client.get('/ovirt-engine/services/pki-resource?resource=engine-certificate&format=X509-PEM')).text,
  )
  const verify = spawnSync(
    'openssl',
    ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_ip', '127.0.0.1', '-CAfile', ca, engine],
    { encoding: 'utf8' },
  )
  t.equal(verify.stdout, `${engine}: OK\n`, verify.stderr)
  const shown = spawnSync('openssl', ['x509', '-in', engine, '-noout', '-text'], { encoding: 'utf8' }).stdout
  t.match(shown, /Subject Alternative Name:\s+IP Address:127\.0\.0\.1, DNS:localhost/)
  t.match(shown, /Extended Key Usage:\s+TLS Web Server Authentication/)
  t.match(shown, /Version: 3/)
})
