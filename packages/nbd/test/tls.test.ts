import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { freePort, seededBytes, untilListening } from '@granary/testing'
import { connectNbd, listNbdExports, readNbdCertificates, readNbdPskFile, serveNbd } from '../src/index.ts'
import type { NbdServerTls } from '../src/index.ts'
import { makePki } from './pki.ts'
import { missing, run, startPeer, temporaryFolder } from './peers.ts'

const MiB = 1024 * 1024
const AUTHENTICATION = { code: 'GRANARY_AUTHENTICATION' }
const content = seededBytes(3 * MiB, 4)

const withoutOpenssl = missing('openssl')
const pki = withoutOpenssl === false ? makePki(temporaryFolder(t)) : ''
const pskFile = join(pki, 'keys.psk')

const expectContent = async (uri: string): Promise<boolean> => {
  await using disk = await connectNbd(uri)
  const target = new Uint8Array(content.length)
  await disk.read(0, target)
  return Buffer.compare(target, content) === 0
}

const serverTls = async (): Promise<NbdServerTls> => (await readNbdCertificates(pki, 'server')) as NbdServerTls

t.test('our client and our server: certificates', { skip: withoutOpenssl }, async t => {
  const exports = [{ name: '', disk: memoryDisk(content.slice()), isWritable: true }]
  await using server = await serveNbd({ exports, listen: 'nbds://localhost:0', tls: await serverTls() })
  const uri = server.uriOf()
  t.ok(await expectContent(`${uri}?tls-certificates=${pki}`))
  await t.rejects(connectNbd(uri.replace('nbds', 'nbd')), { code: 'GRANARY_PERMISSION', message: /TLS/ }, 'plain bytes')
  await t.rejects(connectNbd(`${uri}?tls-certificates=${pki}&tls-hostname=other`), AUTHENTICATION, 'another name')
  await t.rejects(connectNbd(uri), { code: 'GRANARY_INVALID_ARGUMENT' }, 'no keys at all')
  const { ca } = await readNbdCertificates(pki, 'client')
  const anonymous = connectNbd(uri, { tls: { ca }, reconnectAttempts: 0 })
  await t.rejects(anonymous, { code: /GRANARY_(AUTHENTICATION|IO)/ }, 'a client without a certificate')
  const stranger = await readNbdCertificates(makePki(temporaryFolder(t)), 'client')
  await t.rejects(connectNbd(uri, { tls: stranger }), AUTHENTICATION, 'a server of another authority')
  t.match(await listNbdExports(`${uri}?tls-certificates=${pki}`), [{ name: '' }])
})

t.test('our client and our server: pre-shared keys', { skip: withoutOpenssl }, async t => {
  const exports = [{ name: '', disk: memoryDisk(content) }]
  const path = join(temporaryFolder(t), 's')
  const psk = await readNbdPskFile(pskFile)
  await using server = await serveNbd({ exports, listen: { kind: 'unix', path }, tls: { psk } })
  t.ok(await expectContent(`nbds+unix://alice@/?socket=${path}&tls-psk-file=${pskFile}`))
  const wrong = { psk: { identity: 'alice', key: new Uint8Array(32) } }
  await t.rejects(connectNbd(server.uriOf(), { tls: wrong }), AUTHENTICATION, 'a wrong key')
  const unknown = { psk: { identity: 'bob', key: new Uint8Array(32) } }
  await t.rejects(connectNbd(server.uriOf(), { tls: unknown }), AUTHENTICATION, 'an unknown identity')
  await t.rejects(connectNbd(`nbds+unix://bob@/?socket=${path}&tls-psk-file=${pskFile}`), { code: 'GRANARY_WRONG_KEY' })
})

t.test('a client that wants a key takes no certificate for it', { skip: withoutOpenssl }, async t => {
  const exports = [{ name: '', disk: memoryDisk(content) }]
  await using server = await serveNbd({ exports, listen: 'nbds://localhost:0', tls: await serverTls() })
  const tls = { psk: { identity: 'alice', key: new Uint8Array(32) } }
  await t.rejects(connectNbd(server.uriOf(), { tls }), AUTHENTICATION)
})

t.test('a server may serve with and without TLS', { skip: withoutOpenssl }, async t => {
  const exports = [{ name: '', disk: memoryDisk(content) }]
  const tls = { ...(await serverTls()), isRequired: false }
  await using server = await serveNbd({ exports, listen: 'nbd://localhost:0', tls })
  const uri = server.uriOf()
  t.ok(await expectContent(uri.replace('nbds', 'nbd')))
  t.ok(await expectContent(`${uri}?tls-certificates=${pki}`))
})

t.test('keys on disk: what is missing or malformed is named, without the key', async t => {
  const folder = temporaryFolder(t)
  await t.rejects(readNbdCertificates(folder, 'client'), { code: 'GRANARY_NOT_FOUND', message: /ca-cert.pem/ })
  writeFileSync(join(folder, 'ca-cert.pem'), 'x')
  await t.rejects(readNbdCertificates(folder, 'server'), { message: /server-cert.pem/ })
  writeFileSync(join(folder, 'client-cert.pem'), 'x')
  await t.rejects(readNbdCertificates(folder, 'client'), { message: /client-key.pem/ })
  mkdirSync(join(folder, 'client-key.pem'))
  await t.rejects(readNbdCertificates(folder, 'client'), { code: 'GRANARY_PERMISSION' })
  for (const text of ['alice', 'alice:', 'alice:5a', `alice:${'zz'.repeat(32)}`, `:${'5a'.repeat(32)}`]) {
    writeFileSync(join(folder, 'k'), `# keys\n\n${text}\n`)
    await t.rejects(readNbdPskFile(join(folder, 'k')), { code: 'GRANARY_CORRUPT', message: /line 3/ })
  }
  await t.rejects(readNbdPskFile(join(folder, 'none')), { code: 'GRANARY_NOT_FOUND' })
})

t.test('client of qemu-nbd with TLS', { skip: missing('openssl', 'qemu-nbd') }, async t => {
  const folder = temporaryFolder(t)
  const image = join(folder, 'd.img')
  writeFileSync(image, content)
  const port = await freePort()
  const x509 = `tls-creds-x509,id=t,endpoint=server,dir=${pki},verify-peer=yes`
  startPeer(t, 'qemu-nbd', [
    '-t',
    '-e',
    '4',
    '-f',
    'raw',
    '-p',
    `${port}`,
    '-b',
    '127.0.0.1',
    '--object',
    x509,
    '--tls-creds',
    't',
    image,
  ])
  await untilListening({ host: '127.0.0.1', port })
  t.ok(await expectContent(`nbds://127.0.0.1:${port}/?tls-certificates=${pki}`))
  t.ok(await expectContent(`nbds://127.0.0.1:${port}/?tls-certificates=${pki}&tls-hostname=localhost`))
  await t.rejects(connectNbd(`nbd://127.0.0.1:${port}`), { code: 'GRANARY_PERMISSION', hint: /nbds/ })

  const socket = join(folder, 's')
  const psk = `tls-creds-psk,id=t,endpoint=server,dir=${pki}`
  startPeer(t, 'qemu-nbd', ['-t', '-e', '4', '-f', 'raw', '-k', socket, '--object', psk, '--tls-creds', 't', image])
  await untilListening({ path: socket })
  t.ok(await expectContent(`nbds+unix://alice@/?socket=${socket}&tls-psk-file=${pskFile}`))
})

t.test('client of nbdkit with TLS', { skip: missing('openssl', 'nbdkit') }, async t => {
  const folder = temporaryFolder(t)
  const image = join(folder, 'd.img')
  writeFileSync(image, content)
  const [x509, psk] = [join(folder, 'x'), join(folder, 'p')]
  const verify = ['--tls=require', '--tls-verify-peer', `--tls-certificates=${pki}`]
  startPeer(t, 'nbdkit', ['-f', '-U', x509, ...verify, 'file', image])
  startPeer(t, 'nbdkit', ['-f', '-U', psk, '--tls=require', `--tls-psk=${pskFile}`, 'file', image])
  await Promise.all([untilListening({ path: x509 }), untilListening({ path: psk })])
  t.ok(await expectContent(`nbds+unix:///?socket=${x509}&tls-certificates=${pki}`))
  t.ok(await expectContent(`nbds+unix://alice@/?socket=${psk}&tls-psk-file=${pskFile}`))
})

t.test(
  'nbdinfo and qemu-img as clients of our server with TLS',
  { skip: missing('openssl', 'nbdinfo', 'qemu-img') },
  async t => {
    const folder = temporaryFolder(t)
    const image = join(folder, 'd.img')
    writeFileSync(image, content)
    const exports = [{ name: '', disk: memoryDisk(content) }]
    await using server = await serveNbd({ exports, listen: 'nbds://localhost:0', tls: await serverTls() })
    const { port } = server.address as { port: number }
    const info = await run('nbdinfo', ['--size', `nbds://localhost:${port}/?tls-certificates=${pki}`])
    t.match(info, { code: 0, stdout: `${content.length}` })
    const creds = `tls-creds-x509,id=t,endpoint=client,dir=${pki}`
    const options = `driver=nbd,host=localhost,port=${port},tls-creds=t`
    const compare = ['compare', '--object', creds, '--image-opts', `driver=raw,file.filename=${image}`, options]
    t.match(await run('qemu-img', compare), { code: 0, stdout: /identical/ })

    const path = join(folder, 's')
    await using byKey = await serveNbd({
      exports,
      listen: { kind: 'unix', path },
      tls: { psk: await readNbdPskFile(pskFile) },
    })
    t.equal(byKey.address?.kind, 'unix')
    const uri = `nbds+unix://alice@/?socket=${path}&tls-psk-file=${pskFile}`
    t.match(await run('nbdinfo', ['--size', uri]), { code: 0, stdout: `${content.length}` })
  },
)
