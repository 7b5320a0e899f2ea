/** Cow volumes as the bytes of their files, out and in. CONTRACT §5.1, §5.4 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { memoryFile, openQcow2 } from '@granary/qcow2'
import { seededBytes } from '@granary/testing'
import { differencesFrom } from '../src/volumes/oracle.ts'
import { SimulatedDisk } from '../src/volumes/simulated-disk.ts'
import { StorageSpace } from '../src/volumes/storage-space.ts'
import { receiveQcow2, storeAsQcow2 } from '../src/volumes/stored-volume.ts'

const MiB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'granary-stored-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const space = new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes: 64 * MiB })
const newDisk = async (name: string): Promise<SimulatedDisk> =>
  await SimulatedDisk.create({ folder: join(folder, name), volumeId: 'base', sizeBytes: 2 * MiB, format: 'cow', space })

const bytesOf = async (disk: DiskReader): Promise<Uint8Array> => {
  const bytes = new Uint8Array(disk.sizeBytes)
  await disk.read(0, bytes)
  return bytes
}

t.test('a cow volume goes out as a qcow2 stream, and comes in again', async t => {
  const disk = await newDisk('one')
  await disk.guestWrite(100_000, seededBytes(500_000, 1))
  await disk.guestZero(MiB, MiB / 2)
  const stored = await storeAsQcow2(disk.openVolume('base'), { path: join(folder, 'stream') })
  const stream = await bytesOf(stored)
  await stored[Symbol.asyncDispose]()
  t.notOk(readdirSync(folder).includes('stream'), 'the stream is removed')
  t.same(await differencesFrom(await disk.record(), await openQcow2(memoryFile(stream))), [])

  const target = await newDisk('two')
  const upload = await receiveQcow2(join(folder, 'upload'), stream.length)
  await upload.file.write(0, stream)
  await upload.commit(target.open())
  await upload[Symbol.asyncDispose]()
  t.same(await differencesFrom(await disk.record(), target.open()), [])
  t.same(await differencesFrom(await target.record(), disk.open()), [])
  await target.remove()
})

t.test('a layer names the one below, and holds its own clusters only', async t => {
  const disk = await newDisk('three')
  await disk.guestWrite(0, seededBytes(MiB, 1))
  await disk.snapshot('over')
  await disk.guestWrite(5000, seededBytes(10, 2))
  await disk.guestZero(MiB / 2, 65_536)
  const backing = { name: 'base', format: 'cow' } as const
  const stored = await storeAsQcow2(disk.openVolume('over'), { path: join(folder, 'layer'), backing })
  const layer = memoryFile(await bytesOf(stored))
  await stored[Symbol.asyncDispose]()
  const image = await openQcow2(layer, { backingDisk: disk.openSnapshot('base') })
  t.match(image.info().backing, { name: 'base' })
  t.same(await differencesFrom(await disk.record(), image), [])
  await disk.remove()
})

t.test('verification refuses what is no image, and images that name other files', async t => {
  const target = memoryDisk(new Uint8Array(MiB))
  const junk = await receiveQcow2(join(folder, 'junk'), MiB)
  await junk.file.write(0, seededBytes(MiB, 1))
  await t.rejects(junk.commit(target), { code: 'GRANARY_CORRUPT' })
  await junk[Symbol.asyncDispose]()
  const sneaky = await storeAsQcow2(memoryDisk(new Uint8Array(MiB)), {
    path: join(folder, 'sneaky'),
    backing: { name: '/etc/shadow', format: 'raw' },
  })
  const image = await receiveQcow2(join(folder, 'upload'), sneaky.sizeBytes)
  await image.file.write(0, await bytesOf(sneaky))
  await t.rejects(image.commit(target), { code: 'GRANARY_UNSUPPORTED' })
  await image[Symbol.asyncDispose]()
  await sneaky[Symbol.asyncDispose]()
  t.same(
    readdirSync(folder).filter(name => !/one|two|three/.test(name)),
    [],
  )
})
