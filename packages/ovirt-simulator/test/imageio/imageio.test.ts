/** Tickets, timeouts, removal, restarts and faults of the simulated imageio, on virtual time. CONTRACT §5.5, §6 */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { createVirtualClock } from '../../src/clock/virtual-clock.ts'
import type { ImageBackend } from '../../src/imageio/backend.ts'
import { startImageio } from '../../src/imageio/daemon.ts'
import type { FaultEffect } from '../../src/imageio/faults.ts'
import { openBackendByUrl } from '../../src/imageio/open-backend.ts'
import { createAuthority } from '../../src/pki/authority.ts'
import { rawConnect, rawExchange, readAnswer, writeRequest } from './raw-http.ts'
import type { RawAnswer } from './raw-http.ts'

const MiB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'granary-sim-imageio-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const clock = createVirtualClock()
const authority = createAuthority('test')
const images = new Map<string, ImageBackend>()
const daemon = await startImageio({
  clock,
  certificate: authority.issue({ names: ['localhost', '127.0.0.1'] }),
  controlSocket: join(folder, 'control.sock'),
  openBackend: async url => images.get(url) as ImageBackend,
})
t.teardown(() => daemon[Symbol.asyncDispose]())
const remote = { port: daemon.port, ca: authority.cert }
const control = { path: join(folder, 'control.sock') }

let count = 0
const addTicket = (fields: Readonly<Record<string, unknown>> = {}, disk?: DiskReader): string => {
  const id = `ticket-${++count}`
  const image = disk ?? memoryDisk(new Uint8Array(MiB))
  images.set(`nbd:unix:/${id}`, { disk: image, kind: 'nbd' })
  daemon.addTicket({ uuid: id, url: `nbd:unix:/${id}`, size: image.sizeBytes, ops: ['read'], timeout: 300, ...fields })
  return id
}
const get = async (id: string, range = 'bytes=0-3'): Promise<RawAnswer> =>
  await rawExchange(remote, { method: 'GET', path: `/images/${id}`, headers: [`Range: ${range}`] })
const options = async (id: string): Promise<RawAnswer> =>
  await rawExchange(remote, { method: 'OPTIONS', path: `/images/${id}` })
const patch = async (id: string, message: object): Promise<RawAnswer> =>
  await rawExchange(remote, { method: 'PATCH', path: `/images/${id}`, body: Buffer.from(JSON.stringify(message)) })

t.test('§5.5: a ticket lives its timeout from the last request on; OPTIONS is one, extents is none', async t => {
  const id = addTicket({ timeout: 300 })
  for (let i = 0; i < 3; i++) {
    await clock.advance(299_000)
    t.equal((await (i % 2 === 0 ? get(id) : options(id))).status, i % 2 === 0 ? 206 : 200)
  }
  await clock.advance(200_000)
  t.equal((await rawExchange(remote, { method: 'GET', path: `/images/${id}/extents` })).status, 200)
  await clock.advance(101_000)
  const refused = await get(id)
  t.equal(refused.status, 403)
  t.match(refused.body.toString(), /expired/)
  t.equal(daemon.extendTicket(id, 100), true)
  t.equal((await get(id)).status, 206, 'an expired ticket can be extended (§6.9)')
  t.equal(daemon.extendTicket('none', 100), false)
})

t.test('§6.9: idle time and bytes moved, overlapping ranges once', async t => {
  const id = addTicket()
  await get(id, 'bytes=0-99')
  await get(id, 'bytes=50-149')
  await get(id, 'bytes=1000-1009')
  await clock.advance(7000)
  t.match(daemon.ticketInfo(id), { transferred: 160, active: false, idle_time: 7 })
  const both = addTicket({ ops: ['read', 'write'] })
  await get(both)
  t.notOk('transferred' in JSON.parse(JSON.stringify(daemon.ticketInfo(both))), 'not told of tickets with both')
  t.equal(daemon.ticketInfo('none'), undefined)
})

t.test('§5.4, §6.9: removal waits 60 s for requests under way, then the ticket stays cancelled', async t => {
  const disk = memoryDisk(new Uint8Array(MiB))
  let release = (): void => undefined
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  let isReading = (): void => undefined
  const reading = new Promise<void>(resolve => {
    isReading = resolve
  })
  const stuck: DiskReader = {
    ...disk,
    async read(offset, target) {
      isReading()
      await gate
      await disk.read(offset, target)
    },
  }
  const quick = await startImageio({
    clock: createVirtualClock(),
    certificate: authority.issue({ names: ['localhost'] }),
    controlSocket: join(folder, 'quick.sock'),
    openBackend: async () => ({ disk: stuck, kind: 'nbd' }),
    removeTimeoutMs: 0,
  })
  quick.addTicket({ uuid: 'x', url: 'nbd:unix:/x', size: MiB, ops: ['read'], timeout: 300 })
  const request = { method: 'GET', path: '/images/x', headers: ['Range: bytes=0-3'] }
  const answer = rawExchange({ port: quick.port, ca: authority.cert }, request)
  await reading
  t.match(quick.ticketInfo('x'), { active: true, connections: 1 })
  t.equal(await quick.removeTicket('x'), false)
  t.match(quick.ticketInfo('x'), { canceled: true })
  release()
  t.equal((await answer).status, 403, 'what ran ends with "was canceled"')
  t.equal(await quick.removeTicket('x'), true)
  t.equal(quick.ticketInfo('x'), undefined)
  t.equal(await quick.removeTicket('x'), true, 'removing is idempotent')
  await quick[Symbol.asyncDispose]()
})

t.test('§6.8: a connection without a ticket may be silent for 60 s', async t => {
  const socket = await rawConnect(remote)
  writeRequest(socket, { method: 'GET', path: '/info/' })
  t.equal((await readAnswer(socket, 'GET')).status, 200)
  let isClosed = false
  socket.resume().once('close', () => {
    isClosed = true
  })
  await clock.advance(59_000)
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(isClosed)
  await Promise.all([once(socket, 'close'), clock.advance(2000)])
})

t.test('§6.9: bad tickets', async t => {
  const good = { uuid: 'bad', url: 'file:///x', size: 1, ops: ['read'], timeout: 1 }
  for (const [fields, message] of [
    [{ size: undefined }, /parameter is missing: size/],
    [{ size: '1' }, /expecting a <class 'int'>/],
    [{ ops: ['erase'] }, /'ops'/],
    [{ url: 'x' }, /Unsupported url scheme/],
    [{ dirty: 'yes' }, /<class 'bool'>/],
  ] as const) {
    const body = Buffer.from(JSON.stringify({ ...good, ...fields }))
    const answer = await rawExchange(control, { method: 'PUT', path: '/tickets/bad', body })
    t.equal(answer.status, 400)
    t.match(answer.body.toString(), message)
    t.throws(() => daemon.addTicket(JSON.parse(body.toString())), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
  const noJson = await rawExchange(control, { method: 'PUT', path: '/tickets/bad', body: Buffer.from('{') })
  t.match(noJson.body.toString(), /not in a json format/)
  t.equal((await rawExchange(control, { method: 'GET', path: '/tickets/' })).status, 400)
})

t.test('§6.4: what PATCH refuses', async t => {
  const id = addTicket({ ops: ['write'] })
  for (const [message, text] of [
    [{ op: 'zero', size: -1 }, 'Invalid value -1 < 0\n'],
    [{ op: 'zero', size: 1, flush: 'no' }, "Boolean required 'no'\n"],
    [{}, 'Missing required value for op\n'],
    [{ op: 'zero', size: 1.5 }, 'Integer required 1.5\n'],
  ] as const)
    t.equal((await patch(id, message)).body.toString(), text)
})

t.test('a daemon that is restarted knows no ticket any more', async t => {
  const id = addTicket()
  const socket = await rawConnect(remote)
  writeRequest(socket, { method: 'OPTIONS', path: `/images/${id}` })
  t.equal((await readAnswer(socket, 'OPTIONS')).status, 200)
  const closing = once(socket.resume(), 'close')
  await daemon.restart()
  await closing
  t.match((await get(id)).body.toString(), /No such ticket/)
})

t.test('certificates are renewed for connections to come', async t => {
  const other = createAuthority('other')
  daemon.setCertificate(other.issue({ names: ['localhost'] }))
  await t.rejects(rawConnect(remote), /self-signed|unable to/)
  daemon.setCertificate(authority.issue({ names: ['localhost'], notAfterMs: Date.now() - 86_400_000 }))
  await t.rejects(rawConnect(remote), /expired/)
  daemon.setCertificate(authority.issue({ names: ['localhost'] }))
  await daemon.setReachable('refused')
  await t.rejects(rawConnect(remote), { code: 'ECONNREFUSED' })
  await daemon.setReachable('reachable')
  t.equal((await get(addTicket())).status, 206)
})

t.test('faults strike as often as they are told, where they are told', async t => {
  const content = seededBytes(MiB, 1)
  const id = addTicket({}, memoryDisk(content))
  const strike = (effect: FaultEffect, times = 1): ReturnType<typeof daemon.armFault> =>
    daemon.armFault({ when: request => request.ticketId === id && request.offset === 100, effect, times })
  const range = `bytes=100-${MiB - 1}`
  const status = strike({ kind: 'status', status: 500 }, 2)
  t.same([(await get(id)).status, (await get(id, range)).status, (await get(id, range)).status], [206, 500, 500])
  t.equal(status.hits, 2)
  t.equal((await get(id, range)).status, 206)
  for (const kind of ['drop', 'truncate'] as const) {
    strike({ kind, afterBytes: 70_000 })
    const cut = await get(id, range)
    t.ok(cut.body.length <= 70_000, `${cut.body.length} bytes`)
    t.equal(Buffer.compare(cut.body, content.subarray(100, 100 + cut.body.length)), 0)
  }
  const before = clock.now()
  strike({ kind: 'delay', ms: 600_000 })
  t.equal((await get(id, range)).status, 206)
  t.equal(clock.now() - before, 600_000, 'slow on virtual time')
  const disarmed = strike({ kind: 'expire' })
  disarmed.disarm()
  t.equal((await get(id, range)).status, 206)
  daemon.armFault({ after: 1, effect: { kind: 'expire' } })
  t.same([(await get(id)).status, (await get(id)).status], [206, 403])
})

t.test('§5.7: a proxy reads and writes through to the host, and says what the host says', async t => {
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, authority.cert)
  const proxy = await startImageio({
    clock,
    certificate: authority.issue({ names: ['localhost'] }),
    openBackend: openBackendByUrl({ caFile }),
  })
  const through = { port: proxy.port, ca: authority.cert }
  const bytes = new Uint8Array(MiB)
  const id = addTicket({ ops: ['write'] }, memoryDisk(bytes))
  proxy.addTicket({ uuid: 'up', url: daemon.urlOf(id), size: MiB, ops: ['write'], timeout: 300 })
  const body = Buffer.from('hello, host')
  const headers = ['Content-Range: bytes 1000-1010/*']
  const put = await rawExchange(through, { method: 'PUT', path: '/images/up?flush=n', headers, body })
  t.equal(put.status, 200)
  t.equal(Buffer.from(bytes.subarray(1000, 1011)).toString(), 'hello, host')
  const zero = {
    method: 'PATCH',
    path: '/images/up',
    body: Buffer.from('{"op":"zero","offset":1002,"size":3,"flush":true}'),
  }
  t.equal((await rawExchange(through, zero)).status, 200)
  const ranged = { method: 'GET', path: '/images/up', headers: ['Range: bytes=1000-1005'] }
  t.equal((await rawExchange(through, ranged)).body.toString('latin1'), 'he\0\0\0,')
  t.equal(
    Number(daemon.ticketInfo(id)?.['transferred']),
    12,
    'the host counts what went through, and the byte that told the size',
  )
  await daemon.removeTicket(id)
  const refused = await rawExchange(through, ranged)
  t.equal(refused.status, 403)
  t.match(refused.body.toString(), /No such ticket/)
  await proxy[Symbol.asyncDispose]()
})

t.test('a lost answer: what was asked for is done all the same', async t => {
  const bytes = new Uint8Array(MiB)
  const id = addTicket({ ops: ['write'] }, memoryDisk(bytes))
  daemon.armFault({ effect: { kind: 'lose-answer' } })
  const body = Buffer.from('hello')
  const headers = ['Content-Range: bytes 10-14/*']
  await t.rejects(rawExchange(remote, { method: 'PUT', path: `/images/${id}`, headers, body }), /ended/)
  t.equal(Buffer.from(bytes.subarray(10, 15)).toString(), 'hello')
})
