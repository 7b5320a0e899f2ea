import t from 'tap'
import { activatedSockets, formatNbdUri, isNbdUri, parseListenAddress, parseNbdUri } from '../src/index.ts'

const INVALID = { code: 'GRANARY_INVALID_ARGUMENT' }
const tcp = (host: string, port = 10809) => ({ kind: 'tcp', host, port }) as const

t.test('URIs of the NBD project', async t => {
  const cases = [
    ['nbd://example.com', tcp('example.com'), '', false],
    ['nbd://example.com/', tcp('example.com'), '', false],
    ['nbd://example.com:7000/disk', tcp('example.com', 7000), 'disk', false],
    ['nbd://example.com//disk', tcp('example.com'), '/disk', false],
    ['nbd://[::1]:10810/a%20b/c', tcp('::1', 10810), 'a b/c', false],
    ['nbds://h/', tcp('h'), '', true],
    ['nbd:///x', tcp('localhost'), 'x', false],
    ['nbd+unix:///?socket=/tmp/s', { kind: 'unix', path: '/tmp/s' }, '', false],
    ['nbd+unix:///a/b?socket=%00abstract', { kind: 'unix', path: '\0abstract' }, 'a/b', false],
    ['nbds+unix:///?socket=rel', { kind: 'unix', path: 'rel' }, '', true],
  ] as const
  for (const [text, address, exportName, isTls] of cases) {
    t.match(parseNbdUri(text), { address, exportName, isTls }, text)
    const again = parseNbdUri(formatNbdUri({ address, exportName, isTls }))
    t.match(again, { address, exportName, isTls }, `${text}, formatted and read again`)
  }
})

t.test('keys in URIs', async t => {
  t.match(parseNbdUri('nbds://alice@h/?tls-psk-file=/k'), { user: 'alice', tlsPskFile: '/k', isPeerVerified: true })
  t.match(parseNbdUri('nbds://h/?tls-certificates=/p&tls-hostname=n&tls-verify-peer=0&tls-type=x509'), {
    tlsCertificates: '/p',
    tlsHostname: 'n',
    isPeerVerified: false,
  })
})

t.test('what is no NBD URI is refused', async t => {
  for (const text of [
    'http://h/',
    'nbd:h',
    'nbd+vsock:///',
    'nbd://h:0/',
    'nbd://h:70000/',
    'nbd://::1/',
    'nbd://h/?unknown=1',
    'nbd://h/?socket=/s',
    'nbd://h/%zz',
    'nbd+unix:///',
    'nbd+unix:///?socket=',
    'nbd+unix://h/?socket=/s',
    'nbd+unix:///?socket=/s%00x',
    'nbd+unix:///?socket=/s&socket=/t',
    'nbd://h/?tls-certificates=/p',
    'nbds://h/?tls-verify-peer=perhaps',
    'nbds://h/?tls-type=anon',
    'nbd://h/#x',
  ])
    t.throws(() => parseNbdUri(text), INVALID, text)
  t.ok(isNbdUri('nbds+unix:///?socket=x'))
  t.notOk(isNbdUri('qcow2:nbd'))
})

t.test('listening addresses', async t => {
  const cases = [
    ['nbd://', tcp('localhost'), false],
    ['nbd://0.0.0.0:7', tcp('0.0.0.0', 7), false],
    ['nbds://[::]:0', tcp('::', 0), true],
    ['nbd+unix:///?socket=/s', { kind: 'unix', path: '/s' }, false],
    ['fd:', { kind: 'fd', fd: 3 }, false],
    ['fd:7', { kind: 'fd', fd: 7 }, false],
    ['stdio:', { kind: 'stdio' }, false],
  ] as const
  for (const [text, address, isTls] of cases) t.strictSame(parseListenAddress(text), { address, isTls }, text)
  for (const text of ['nbd://h/name', 'fd:x', '', 'stdio', '/path'])
    t.throws(() => parseListenAddress(text), INVALID, text)
})

t.test('sockets that were handed over', async t => {
  t.strictSame(activatedSockets({}, 5), [])
  t.strictSame(activatedSockets({ LISTEN_FDS: '2', LISTEN_PID: '5' }, 5), [3, 4])
  t.strictSame(activatedSockets({ LISTEN_FDS: '1', LISTEN_PID: '6' }, 5), [], 'meant for another process')
  t.throws(() => activatedSockets({ LISTEN_FDS: 'many' }, 5), INVALID)
})
