/** Reading images over imageio, and what may go wrong meanwhile. CONTRACT §5.5-§5.7, §6 */
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { Extent } from '@granary/core'
import { differencesFrom } from '@granary/ovirt-simulator'
import type { FaultEffect, FrozenDisk, SimulatedDisk } from '@granary/ovirt-simulator'
import { diskReaderContract, seededBytes } from '@granary/testing'
import { openImageDisk } from '../../src/imageio/image-disk.ts'
import { readAll, startHost } from './simulated-host.ts'

const MiB = 1024 * 1024
const KiB64 = 65_536
const host = await startHost({ localSocket: `\0granary-test-${process.pid}` })

const filledDisk = async (sizeBytes = 24 * MiB): Promise<SimulatedDisk> => {
  const disk = await host.newDisk(sizeBytes)
  for (let at = 0; at < sizeBytes / 2; at += MiB) await disk.guestWrite(at, seededBytes(MiB - 5 * KiB64, at))
  return disk
}
const frozen = async (): Promise<FrozenDisk> => await (await filledDisk()).freeze({ mode: 'cold' })
const collect = async (extents: AsyncIterable<Extent>): Promise<Extent[]> => {
  const all: Extent[] = []
  for await (const extent of extents) all.push(extent)
  return all
}

diskReaderContract('an image', async () => {
  const disk = await host.newDisk(MiB + 512)
  const content = new Uint8Array(MiB + 512)
  content.set(seededBytes(300_000, 1), 70_000)
  await disk.guestWrite(70_000, content.subarray(70_000, 370_000))
  const image = await openImageDisk(host.optionsFor(host.addTicket(disk.open())))
  return { disk: image, content }
})

t.test('bit for bit, over several connections', async t => {
  const disk = await frozen()
  const id = host.addTicket(disk)
  const image = await openImageDisk(host.optionsFor(id))
  t.same(await differencesFrom(disk.record, image), [])
  t.equal(Buffer.compare(await readAll(image), await readAll(disk)), 0)
  const { connections } = host.daemon.ticketInfo(id) ?? {}
  t.ok(Number(connections) > 1 && Number(connections) <= 4, `${String(connections)} connections`)
  t.equal(image.way, 'host')
  await image[Symbol.asyncDispose]()
})

t.test('on the host itself it goes over the local socket', async t => {
  const disk = await frozen()
  const image = await openImageDisk({ ...host.optionsFor(host.addTicket(disk)), isLocalAllowed: true })
  t.equal(image.way, 'local')
  t.same(await differencesFrom(disk.record, image), [])
  await image[Symbol.asyncDispose]()
})

for (const [name, effect] of Object.entries<FaultEffect>({
  'a dropped connection': { kind: 'drop', afterBytes: 100_000 },
  'a truncated answer': { kind: 'truncate', afterBytes: 3_000_000 },
  'an answer that never begins': { kind: 'drop', afterBytes: 0 },
  'a server that fails': { kind: 'status', status: 500 },
  'a server that is busy': { kind: 'status', status: 503 },
}))
  t.test(`${name}: goes on from the last byte`, async t => {
    const disk = await frozen()
    const id = host.addTicket(disk)
    const image = await openImageDisk(host.optionsFor(id))
    const when = ({ method, resource }: { method: string; resource: string }): boolean =>
      method === 'GET' && resource === 'image'
    const fault = host.daemon.armFault({ when, effect, times: 5 })
    t.same(await differencesFrom(disk.record, image), [])
    t.equal(fault.hits, 5)
    fault.disarm()
    await image[Symbol.asyncDispose]()
  })

t.test('a server that stays broken is given up, after attempts that moved nothing', async t => {
  const disk = await frozen()
  const image = await openImageDisk(host.optionsFor(host.addTicket(disk)))
  const fault = host.daemon.armFault({ effect: { kind: 'status', status: 500 }, times: Infinity })
  await t.rejects(image.read(0, new Uint8Array(10)), { code: 'GRANARY_REMOTE', retryable: true })
  t.equal(fault.hits, 6)
  fault.disarm()
  await image[Symbol.asyncDispose]()
})

t.test('§6.7: a refused ticket is for the engine to explain', async t => {
  const disk = await frozen()
  const id = host.addTicket(disk)
  const image = await openImageDisk(host.optionsFor(id))
  host.daemon.armFault({ effect: { kind: 'expire' } })
  const refusal = { code: 'GRANARY_PERMISSION', retryable: false, hint: /ask the engine/, detail: { status: 403 } }
  await t.rejects(image.read(0, new Uint8Array(10)), refusal)
  await host.daemon.removeTicket(id)
  const error = await openImageDisk(host.optionsFor(id)).catch((error: Error) => error)
  t.match(error, { code: 'GRANARY_PERMISSION' })
  t.notMatch((error as Error).message, new RegExp(id), 'the id of a ticket is as good as a password')
  await image[Symbol.asyncDispose]()
})

t.test('§5.5: an idle image keeps its ticket alive, and no connection is left afterwards', async t => {
  const disk = await frozen()
  const id = host.addTicket(disk, { inactivity_timeout: 60 })
  const image = await openImageDisk({ ...host.optionsFor(id), keepAliveMs: 20_000 })
  for (let minute = 0; minute < 20; minute++) await host.clock.advance(60_000)
  await image.read(0, new Uint8Array(10))
  await image[Symbol.asyncDispose]()
  while (host.daemon.ticketInfo(id)?.['connections'] !== 0) await new Promise(resolve => setImmediate(resolve))
  await host.clock.advance(301_000)
  await t.rejects(openImageDisk(host.optionsFor(id)), { code: 'GRANARY_PERMISSION' })
})

t.test('§5.7: an unreachable host is read through the proxy', async t => {
  const disk = await frozen()
  const other = await startHost()
  const id = host.addTicket(disk)
  for (const how of ['refused', 'silent'] as const) {
    const away = other.daemon.urlOf(other.addTicket(disk))
    await other.daemon.setReachable(how)
    const authorities = { ca: other.certificates.ca, proxyCa: host.certificates.ca }
    // The proxy must answer in that time, too, on a machine that does much else.
    const connectTimeoutMs = how === 'silent' ? 3000 : 10_000
    const options = { transferUrl: away, proxyUrl: host.daemon.urlOf(id), connectTimeoutMs, ...authorities }
    const image = await openImageDisk({ ...host.optionsFor(id), ...options })
    t.equal(image.way, 'proxy')
    t.same(await differencesFrom(disk.record, image), [])
    await image[Symbol.asyncDispose]()
    await t.rejects(openImageDisk({ ...host.optionsFor(id), ...options, proxyUrl: undefined }), {
      code: 'GRANARY_IO',
      hint: /54322/,
    })
    await other.daemon.setReachable('reachable')
  }
})

t.test('a host that goes away midway is left for the proxy', async t => {
  const disk = await frozen()
  const other = await startHost()
  const id = other.addTicket(disk)
  const proxyUrl = host.daemon.urlOf(host.addTicket(disk))
  const proxyCa = host.certificates.ca
  const image = await openImageDisk({ ...other.optionsFor(id), proxyUrl, proxyCa })
  t.equal(image.way, 'host')
  await other.daemon.setReachable('refused')
  t.same(await differencesFrom(disk.record, image), [])
  t.equal(image.way, 'proxy')
  await image[Symbol.asyncDispose]()
})

t.test('§1.3: a certificate of another authority is refused at once', async t => {
  const other = await startHost()
  const id = host.addTicket(await frozen())
  const wrong = { ...host.optionsFor(id), ca: other.certificates.ca }
  await t.rejects(openImageDisk(wrong), { code: 'GRANARY_AUTHENTICATION', hint: /authority/ })
})

t.test('§6.5: extents tell zeros and what is dirty; slow ones are waited for', async t => {
  const disk = await filledDisk(4 * MiB)
  await disk.freeze({ mode: 'cold', checkpointId: 'one' })
  await disk.guestWrite(3 * MiB + 5, Uint8Array.of(1))
  await disk.guestDiscard(0, KiB64)
  const changed = await disk.freeze({ mode: 'cold', since: 'one' })
  const id = host.addTicket(changed, { dirty: true })
  host.daemon.armFault({ when: ({ resource }) => resource === 'extents', effect: { kind: 'delay', ms: 600_000 } })
  const image = await openImageDisk({ ...host.optionsFor(id), isDirty: true })
  const dirty = (await collect(image.extents())).filter(extent => extent.dirty === true)
  t.same(dirty, [
    { offset: 0, length: KiB64, kind: 'zero', dirty: true },
    { offset: 3 * MiB, length: KiB64, kind: 'data', dirty: true },
  ])
  t.same(await differencesFrom(changed.record, image), [])
  const plain = host.addTicket(changed)
  await t.rejects(openImageDisk({ ...host.optionsFor(plain), isDirty: true }), { code: 'GRANARY_UNSUPPORTED' })
  await image[Symbol.asyncDispose]()
})

t.test('who leaves a long listing of extents takes nothing from the others', async t => {
  const image = await openImageDisk(host.optionsFor(host.addTicket(await frozen())))
  const slow = { when: ({ resource }: { resource: string }) => resource === 'extents' }
  const fault = host.daemon.armFault({ ...slow, effect: { kind: 'delay', ms: 60_000 } })
  const controller = new AbortController()
  const left = t.rejects(collect(image.extents({ signal: controller.signal })), { message: 'enough' })
  const stayed = collect(image.extents())
  controller.abort(new Error('enough'))
  await left
  t.ok((await stayed).length > 1)
  t.equal(fault.hits, 1, 'asked once')
  await image[Symbol.asyncDispose]()
})

t.test('an abort ends a read that hangs, and closing ends all', async t => {
  const disk = memoryDisk(new Uint8Array(MiB))
  const image = await openImageDisk(host.optionsFor(host.addTicket(disk)))
  const hanging = { ...disk, read: async () => await new Promise<void>(() => undefined) }
  const stuck = await openImageDisk(host.optionsFor(host.addTicket(disk)))
  disk.read = hanging.read
  const controller = new AbortController()
  const read = image.read(0, new Uint8Array(10), { signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(read, { message: 'enough' })
  const closed = t.rejects(stuck.read(0, new Uint8Array(10)), { code: 'GRANARY_ABORTED', message: /closed/ })
  await stuck[Symbol.asyncDispose]()
  await closed
  await image[Symbol.asyncDispose]()
})
