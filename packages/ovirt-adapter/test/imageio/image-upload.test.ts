/** Writing images over imageio: every byte, in any order, through whatever breaks. CONTRACT §6.3, §6.4 */
import t from 'tap'
import { differencesFrom } from '@granary/ovirt-simulator'
import type { FaultEffect } from '@granary/ovirt-simulator'
import { diskWriterContract, seededBytes, seededRandom } from '@granary/testing'
import { openImageUpload } from '../../src/imageio/image-upload.ts'
import { readAll, startHost } from './simulated-host.ts'

const MiB = 1024 * 1024
const host = await startHost()

diskWriterContract('an upload', async sizeBytes => {
  const disk = await host.newDisk(sizeBytes)
  const { id } = host.addUpload(disk)
  return {
    disk: await openImageUpload(host.optionsFor(id)),
    readBack: async () => {
      await host.daemon.removeTicket(id)
      return await readAll(disk.open())
    },
  }
})

t.test('large writes go in pieces, from shared memory as well', async t => {
  const disk = await host.newDisk(40 * MiB)
  const { id } = host.addUpload(disk)
  const upload = await openImageUpload({ ...host.optionsFor(id), readsZero: true })
  t.ok(upload.readsZero)
  const bytes = new Uint8Array(new SharedArrayBuffer(33 * MiB))
  bytes.set(seededBytes(33 * MiB, 1))
  await upload.write(5 * MiB, bytes)
  t.same(upload.unflushed, { offset: 5 * MiB, length: 33 * MiB })
  await upload.flush()
  t.equal(upload.unflushed, undefined)
  t.equal(upload.flushes, 1)
  const target = new Uint8Array(33 * MiB)
  await upload.read(5 * MiB, target)
  t.equal(Buffer.compare(target, bytes), 0, 'an upload can be read (§6.2)')
  await upload[Symbol.asyncDispose]()
})

for (const [name, effect] of Object.entries<FaultEffect>({
  'a dropped connection': { kind: 'drop', afterBytes: 100_000 },
  'a connection closed in order': { kind: 'truncate', afterBytes: 700_000 },
  'a lost answer': { kind: 'lose-answer' },
}))
  t.test(`${name}: the request is sent again`, async t => {
    const disk = await host.newDisk(16 * MiB)
    const { id } = host.addUpload(disk)
    const upload = await openImageUpload(host.optionsFor(id))
    let requests = 0
    const isStruck = ({ method }: { method: string }): boolean => method !== 'GET' && requests++ % 2 === 0
    const fault = host.daemon.armFault({ when: isStruck, effect, times: 6 })
    const wanted = new Uint8Array(16 * MiB)
    const random = seededRandom(9)
    for (let i = 0; i < 12; i++) {
      const offset = random(15 * MiB)
      const bytes = seededBytes(MiB, i)
      if (i % 3 === 2) await upload.zero(offset, MiB)
      else await upload.write(offset, bytes)
      wanted.set(i % 3 === 2 ? new Uint8Array(MiB) : bytes, offset)
    }
    await upload.flush()
    t.ok(fault.hits >= 4, `${fault.hits} struck`)
    fault.disarm()
    await upload[Symbol.asyncDispose]()
    t.equal(Buffer.compare(await readAll(disk.open()), wanted), 0)
    t.same(await differencesFrom(await disk.record(), disk.open()), [])
  })

t.test('§6.7: after a 500 everything since the last flush is for the caller to send again', async t => {
  const disk = await host.newDisk(16 * MiB)
  const { id, cache } = host.addUpload(disk)
  const first = await openImageUpload(host.optionsFor(id))
  const bytes = seededBytes(16 * MiB, 3)
  await first.write(0, bytes.subarray(0, 4 * MiB))
  await first.flush()
  await first.write(4 * MiB, bytes.subarray(4 * MiB, 6 * MiB))
  host.daemon.armFault({ when: ({ method }) => method === 'PUT', effect: { kind: 'status', status: 500 } })
  const lost = { code: 'GRANARY_REMOTE', detail: { status: 500, unflushedOffset: 4 * MiB, unflushedBytes: 4 * MiB } }
  await t.rejects(first.write(6 * MiB, bytes.subarray(6 * MiB, 8 * MiB)), lost)
  await t.rejects(first.flush(), lost, 'a later flush must not pass for one of what was lost')
  t.same(first.unflushed, { offset: 4 * MiB, length: 4 * MiB })
  await first[Symbol.asyncDispose]()
  cache.crash()
  const { id: next } = host.addUpload(disk)
  const second = await openImageUpload(host.optionsFor(next))
  const from = first.unflushed?.offset ?? 0
  await second.write(from, bytes.subarray(from))
  await second.flush()
  await second[Symbol.asyncDispose]()
  t.equal(Buffer.compare(await readAll(disk.open()), bytes), 0)
})

t.test('a ticket that allows no writing, one that expires, a domain that is full', async t => {
  const disk = await host.newDisk(MiB)
  await t.rejects(openImageUpload(host.optionsFor(host.addTicket(disk.open()))), { code: 'GRANARY_PERMISSION' })
  const { id } = host.addUpload(disk)
  const upload = await openImageUpload(host.optionsFor(id))
  host.daemon.armFault({ when: ({ method }) => method === 'PUT', effect: { kind: 'expire' } })
  await t.rejects(upload.write(0, new Uint8Array(10)), { code: 'GRANARY_PERMISSION', detail: { status: 403 } })
  await upload[Symbol.asyncDispose]()
})
