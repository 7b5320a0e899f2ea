/** The simulated disk against a plain model of it: freezes, layers, bitmaps, space. CONTRACT §4.3, §4.4 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Bytes, DiskReader } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes, seededRandom } from '@granary/testing'
import { StorageSpace } from '../src/volumes/storage-space.ts'
import { SimulatedDisk } from '../src/volumes/simulated-disk.ts'
import type { FreezeOptions } from '../src/volumes/simulated-disk.ts'
import type { FrozenDisk } from '../src/volumes/frozen-disk.ts'
import { differencesFrom } from '../src/volumes/oracle.ts'

const MiB = 1024 * 1024
const KiB64 = 65_536
const root = mkdtempSync(join(tmpdir(), 'granary-disk-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
let folders = 0
const newFolder = (): string => join(root, String(folders++))
const fileSpace = (capacityBytes = 64 * MiB): StorageSpace =>
  new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes })

const newDisk = async (
  options: { sizeBytes?: number; format?: 'raw' | 'cow'; space?: StorageSpace; initialBytes?: number } = {},
): Promise<SimulatedDisk> =>
  await SimulatedDisk.create({
    folder: newFolder(),
    volumeId: 'base',
    sizeBytes: options.sizeBytes ?? 2 * MiB,
    format: options.format ?? 'cow',
    space: options.space ?? fileSpace(),
    initialBytes: options.initialBytes,
  })

const readAll = async (disk: DiskReader): Promise<Bytes> => {
  const bytes = new Uint8Array(disk.sizeBytes)
  await disk.read(0, bytes)
  return bytes
}

const collect = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

/** A guest that changes a disk and a model of it alike. */
const randomGuest = (disk: SimulatedDisk, model: Bytes, seed: number): (() => Promise<void>) => {
  const random = seededRandom(seed)
  return async () => {
    const offset = random(model.length)
    const length = random(Math.min(300_000, model.length - offset)) + 1
    const what = random(4)
    if (what < 2) {
      const bytes = seededBytes(length, random(1e6))
      await disk.guestWrite(offset, bytes)
      model.set(bytes, offset)
    } else if (what === 2) {
      await disk.guestZero(offset, length)
      model.fill(0, offset, offset + length)
    } else {
      await disk.guestDiscard(offset, length)
      const end = offset + length === model.length ? model.length : offset + length - ((offset + length) % KiB64)
      const first = Math.ceil(offset / KiB64) * KiB64
      if (end > first) model.fill(0, first, end)
    }
  }
}

const checkFrozen = async (
  test: Pick<typeof t, 'equal' | 'same' | 'ok'>,
  frozen: FrozenDisk,
  wanted: Bytes,
): Promise<void> => {
  test.equal(Buffer.compare(await readAll(frozen), wanted), 0, 'content')
  test.same(await differencesFrom(frozen.record, frozen), [], 'the oracle agrees')
  let at = 0
  for await (const { offset, length, kind } of frozen.extents()) {
    test.equal(offset, at, 'extents touch')
    if (kind !== 'data')
      test.ok(
        wanted.subarray(offset, offset + length).every(byte => byte === 0),
        'zeros are zeros',
      )
    at += length
  }
  test.equal(at, wanted.length, 'extents cover the disk')
}

for (const format of ['raw', 'cow'] as const)
  for (const mode of ['live', 'snapshot', 'cold'] as const)
    t.test(`§4.3 ${mode}, ${format}: what is frozen stays while the guest writes on`, async t => {
      const sizeBytes = 2 * MiB - 1000
      const disk = await newDisk({ sizeBytes, format })
      const model = new Uint8Array(sizeBytes)
      const guest = randomGuest(disk, model, 17)
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 12; i++) await guest()
        const wanted = model.slice()
        const frozen = await disk.freeze({ mode, volumeId: `v${round}`, checkpointId: `c${round}` })
        for (let i = 0; i < 10 && mode !== 'cold'; i++) {
          if (i === 5) await checkFrozen(t, frozen, wanted)
          await guest()
        }
        await checkFrozen(t, frozen, wanted)
        await frozen[Symbol.asyncDispose]()
        if (mode === 'snapshot' && round % 2 === 1) {
          await disk.merge(`v${round - 1}`)
          await disk.merge('base')
          t.equal(disk.volumes.length, 1)
        }
        t.equal(Buffer.compare(await readAll(disk.open()), model), 0, 'the guest sees its own writes')
        t.same(await differencesFrom(await disk.record(), disk.open()), [])
      }
      await disk.remove()
    })

t.test('the oracle notices one changed byte', async t => {
  const disk = await newDisk()
  await disk.guestWrite(1_000_000, seededBytes(1000, 1))
  const frozen = await disk.freeze({ mode: 'live', volumeId: 'scratch' })
  await disk.guestWrite(1_000_500, Uint8Array.of(1, 2, 3))
  t.same(await differencesFrom(frozen.record, disk.open()), [{ offset: 15 * KiB64, length: KiB64 }])
  await disk.remove()
})

t.test('§4.4 dirty since any checkpoint: at least what changed, whole clusters, older ones include newer', async t => {
  const disk = await newDisk({ sizeBytes: 4 * MiB })
  const dirtyOf = async (since: string, options: Partial<FreezeOptions> = {}): Promise<number[]> => {
    const frozen = await disk.freeze({ mode: 'cold', since, ...options })
    const clusters: number[] = []
    for await (const { offset, length, dirty } of frozen.extents())
      for (let at = offset; dirty === true && at < offset + length; at += KiB64) clusters.push(at / KiB64)
    return clusters
  }
  await (await disk.freeze({ mode: 'cold', checkpointId: 'one' }))[Symbol.asyncDispose]()
  await disk.guestWrite(KiB64 + 5, Uint8Array.of(1))
  await (await disk.freeze({ mode: 'cold', checkpointId: 'two' }))[Symbol.asyncDispose]()
  await disk.guestZero(10 * KiB64, KiB64)
  t.same(await dirtyOf('one'), [1, 10])
  t.same(await dirtyOf('two'), [10])
  disk.bitmaps.overReport([{ offset: 20 * KiB64, length: 1 }])
  t.same(await dirtyOf('two'), [10, 20])
  disk.bitmaps.remove('two')
  t.same(await dirtyOf('one'), [1, 10, 20], 'a removed checkpoint leaves its changes to the one before')
  await disk.resize(5 * MiB)
  t.same(
    (await dirtyOf('one')).slice(3),
    Array.from({ length: 16 }, (_, i) => 64 + i),
    'what is new is dirty',
  )
  await t.rejects(dirtyOf('two'), { code: 'GRANARY_NOT_FOUND' })
  disk.bitmaps.crash()
  await t.rejects(dirtyOf('one'), { code: 'GRANARY_CORRUPT' }, 'in use after a crash')
  disk.bitmaps.lose()
  await t.rejects(dirtyOf('one'), { code: 'GRANARY_NOT_FOUND' })
  await disk.remove()
})

t.test('dirty and zero together', async t => {
  const disk = await newDisk()
  await disk.guestWrite(0, seededBytes(2 * KiB64, 1))
  await disk.freeze({ mode: 'cold', checkpointId: 'one' })
  await disk.guestDiscard(0, KiB64)
  const frozen = await disk.freeze({ mode: 'cold', since: 'one' })
  const [first, second] = await collect(frozen.extents())
  t.match(first, { offset: 0, length: KiB64, kind: 'zero', dirty: true })
  t.match(second, { offset: KiB64, kind: 'data', dirty: false })
  await disk.remove()
})

t.test('disks of one VM are frozen at one instant, or none is', async t => {
  const [one, two] = [await newDisk(), await newDisk()]
  const freeze = { mode: 'live', volumeId: 's' } as const
  let isFrozen = false
  const guest = (async () => {
    for (let i = 1; i < 250 && !isFrozen; i++) for (const disk of [one, two]) await disk.guestWrite(0, Uint8Array.of(i))
  })()
  await one.guestWrite(KiB64, Uint8Array.of(1))
  const frozen = await SimulatedDisk.freezeTogether([one, two].map(disk => ({ disk, options: freeze })))
  isFrozen = true
  await guest
  const [first = 0, second = 0] = await Promise.all(frozen.map(async disk => (await readAll(disk))[0]))
  t.ok(second <= first && first <= second + 1, `a cut of the guest's writes: ${first}, ${second}`)
  for (const disk of frozen) await disk[Symbol.asyncDispose]()
  await t.rejects(
    SimulatedDisk.freezeTogether([
      { disk: one, options: { mode: 'live', volumeId: 't', since: 'nothing' } },
      { disk: two, options: { mode: 'live', volumeId: 't' } },
    ]),
    { code: 'GRANARY_NOT_FOUND' },
  )
  t.equal((await two.freeze({ mode: 'live', volumeId: 't' })).scratchBytes, 0)
  for (const disk of [one, two]) await disk.remove()
})

t.test(
  'file storage: space follows what is written, scratch and overlays included; a full domain changes nothing',
  async t => {
    const space = new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes: 20 * KiB64 })
    const disk = await newDisk({ space })
    t.equal(space.usedBytes, 0, 'a thin file takes nothing')
    await disk.guestWrite(0, seededBytes(4 * KiB64, 1))
    const overhead = space.usedBytes - 4 * KiB64
    t.ok(overhead > 0 && overhead < 8 * KiB64, 'header and tables')
    const frozen = await disk.freeze({ mode: 'live', volumeId: 'scratch' })
    await disk.guestWrite(0, seededBytes(KiB64, 2))
    t.ok(frozen.scratchBytes > KiB64)
    t.equal(space.usedBytes, disk.allocatedBytes + frozen.scratchBytes)
    space.capacityBytes = space.usedBytes
    const before = await readAll(disk.open())
    await t.rejects(disk.guestWrite(KiB64, seededBytes(10, 3)), { code: 'GRANARY_NO_SPACE' }, 'scratch is full')
    await t.rejects(
      disk.guestWrite(9 * KiB64, seededBytes(10, 3)),
      { code: 'GRANARY_NO_SPACE' },
      'the disk cannot grow',
    )
    await t.rejects(
      disk.snapshot('overlay').then(() => disk.guestZero(5, 100)),
      { code: 'GRANARY_NO_SPACE' },
    )
    t.equal(Buffer.compare(await readAll(disk.open()), before), 0)
    t.same(await differencesFrom(await disk.record(), disk.open()), [])
    await frozen[Symbol.asyncDispose]()
    await disk.guestDiscard(0, 2 * MiB)
    await disk.remove()
    t.equal(space.usedBytes, 0)
  },
)

t.test('block storage: a running VM is extended, an upload is not (§3.3)', async t => {
  const space = new StorageSpace({ name: 'iscsi', kind: 'block', capacityBytes: 4 * 1024 * MiB })
  const disk = await newDisk({ space, sizeBytes: 4 * MiB, initialBytes: MiB })
  t.equal(space.usedBytes, MiB)
  const upload = disk.open()
  await upload.write(0, seededBytes(5 * KiB64, 1))
  await t.rejects(upload.write(5 * KiB64, seededBytes(MiB, 1)), { code: 'GRANARY_NO_SPACE' })
  await disk.guestWrite(5 * KiB64, seededBytes(MiB, 1))
  t.equal(space.usedBytes, MiB + 1024 * MiB)
  await disk.guestDiscard(0, 4 * MiB)
  t.equal(space.usedBytes, MiB + 1024 * MiB, 'a logical volume stays as large as it is')
  await disk.remove()
  t.equal(space.usedBytes, 0)
  await t.rejects(newDisk({ space, initialBytes: 5 * 1024 * MiB }), { code: 'GRANARY_NO_SPACE' })
  const thick = { format: 'raw', isThick: true, space, sizeBytes: MiB, volumeId: 'raw' } as const
  const raw = await SimulatedDisk.create({ ...thick, folder: newFolder() })
  t.equal(space.usedBytes, MiB, 'preallocated')
  await raw.remove()
})

t.test('a merge that does not fit leaves both layers', async t => {
  const space = fileSpace()
  const disk = await newDisk({ space })
  await disk.snapshot('over')
  await disk.guestWrite(0, seededBytes(8 * KiB64, 1))
  space.capacityBytes = space.usedBytes
  await t.rejects(disk.merge('base'), { code: 'GRANARY_NO_SPACE' })
  t.equal(disk.volumes.length, 2)
  t.same(await differencesFrom(await disk.record(), disk.open()), [])
  space.capacityBytes = 64 * MiB
  await disk.merge('base')
  t.same(await differencesFrom(await disk.record(), disk.open()), [])
  await t.rejects(disk.merge('base'), { code: 'GRANARY_NOT_FOUND' })
  await disk.remove()
})

t.test('nothing of a removed disk stays', async t => {
  const folder = newFolder()
  const disk = await SimulatedDisk.create({ folder, volumeId: 'b', sizeBytes: MiB, format: 'cow', space: fileSpace() })
  await disk.freeze({ mode: 'live', volumeId: 'scratch' })
  t.same(readdirSync(folder).toSorted(), ['b', 'oracle', 'scratch'])
  await disk.remove()
  t.notOk(existsSync(folder))
})

t.test('a lone layer shows its own clusters only (shallow, §5.1)', async t => {
  const disk = await newDisk()
  await disk.guestWrite(0, seededBytes(2 * KiB64, 1))
  await disk.snapshot('over')
  await disk.guestWrite(KiB64, seededBytes(KiB64, 2))
  const kinds = (await collect(disk.openVolume('over').extents())).map(({ offset, kind }) => [offset, kind])
  t.same(kinds, [
    [0, 'hole'],
    [KiB64, 'data'],
    [2 * KiB64, 'hole'],
  ])
  t.equal(
    Buffer.compare((await readAll(disk.openSnapshot('base'))).subarray(0, 2 * KiB64), seededBytes(2 * KiB64, 1)),
    0,
  )
  await t.rejects(async () => disk.openVolume('none'), { code: 'GRANARY_NOT_FOUND' })
  await disk.remove()
})

diskReaderContract('a simulated disk', async () => {
  const disk = await newDisk({ sizeBytes: MiB + 777 })
  const content = new Uint8Array(MiB + 777)
  const guest = randomGuest(disk, content, 4)
  for (let i = 0; i < 6; i++) await guest()
  return { disk: disk.open(), content }
})

diskWriterContract('a simulated disk', async sizeBytes => {
  const disk = await newDisk({ sizeBytes, format: 'raw' })
  return { disk: disk.open(), readBack: () => readAll(disk.open()) }
})
