/** What `check` found damaged: no backup refers to it, old snapshots heal, and collection takes the pack away. */
import { markDirty, memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import { backup, check, collect, forgetSnapshot, memoryBackend, openRepository } from '../src/index.ts'
import type { Backend, Repository } from '../src/index.ts'
import { openPack } from '../src/packs/pack-reader.ts'
import type { PackType } from '../src/packs/pack-format.ts'
import { readDamagedPacks } from '../src/sessions/damaged-packs.ts'
import { SECRET, backUp, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const MiB = 1024 * 1024

/** Flips a bit in the middle of some blobs of a pack. */
const damage = async (
  repository: Repository,
  key: string,
  isHit: (ordinal: number) => boolean = () => true,
): Promise<void> => {
  const { backend, keys } = repository.context
  const bytes = (await backend.get(key)).slice()
  for (const [ordinal, { offset, sealedLength }] of (await openPack(backend, keys, key)).entries.entries()) {
    if (!isHit(ordinal)) continue
    const at = offset + Math.floor(sealedLength / 2)
    bytes[at] = (bytes[at] as number) ^ 4
  }
  await backend.put(key, bytes)
}

const packsOf = async ({ context }: Repository, type: PackType): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of context.backend.list('packs/'))
    if ((await openPack(context.backend, context.keys, key)).type === type) keys.push(key)
  return keys
}

/** A repository opened anew, as the next program would: nothing is left in caches. */
const reopen = async (backend: Backend): Promise<Repository> => await openRepository(backend, SECRET)

const isReadable = async (repository: Repository, id: string, wanted: Bytes): Promise<boolean> =>
  await readStored(repository, id).then(
    found => isEqual(found, wanted),
    () => false,
  )

for (const type of ['dataPack', 'mapPack'] as const) {
  t.test(`${type}: found, stored again, healed, collected`, async t => {
    const backend = memoryBackend()
    const repository = await createRepository({ chunker: 'grid:32k' }, backend)
    const disk = mixedDisk(3 * MiB, 1)
    const first = await backUp(repository, disk)
    const [key = ''] = await packsOf(repository, type)
    await damage(repository, key, ordinal => ordinal === 0)

    const unaware = await backUp(await reopen(backend), disk, { parent: 'none' })
    if (type === 'dataPack') t.equal(unaware.disks[0]?.stats.newBytes, 0, 'nobody knows yet')

    const found = await check(await reopen(backend), { readData: 1 })
    t.ok(found.damages.length > 0 && found.touched.length > 0)
    t.equal(found.damagedPacks, 1)
    t.strictSame([...(await readDamagedPacks(repository.context))], [key])
    t.equal((await check(await reopen(backend))).damagedPacks, 1, 'it is remembered')

    const waiting = collect(await reopen(backend))
    if (type === 'dataPack') t.equal((await waiting).deletedPacks, 0, 'while a chunk is nowhere else, its pack stays')
    else
      await t.rejects(waiting, { code: 'GRANARY_AUTHENTICATION' }, 'without its map, what a snapshot needs is unknown')

    const again = await backUp(await reopen(backend), disk)
    t.ok(isEqual(await readStored(await reopen(backend), again.id), disk), 'stored again')
    t.ok(isEqual(await readStored(await reopen(backend), first.id), disk), 'and whole before it is collected')

    t.ok((await collect(await reopen(backend))).deletedPacks > 0)
    t.equal(await backend.stat(key), undefined, 'the damaged pack is gone')
    const clean = await check(await reopen(backend), { readData: 1 })
    t.strictSame([clean.damages, clean.touched, clean.damagedPacks], [[], [], 0])
    for (const { id } of [first, unaware, again]) t.ok(isEqual(await readStored(await reopen(backend), id), disk))
    for await (const { key: left } of backend.list('damaged/')) t.fail(left)
  })
}

t.test('changed-block tracking takes nothing over that refers to a damaged pack, and all else', async t => {
  const backend = memoryBackend()
  const repository = await createRepository({ chunker: 'grid:32k' }, backend)
  const disk = mixedDisk(33 * MiB, 2)
  const full = await backUp(repository, disk)
  const [key = ''] = await packsOf(repository, 'dataPack')
  await damage(repository, key, ordinal => ordinal === 3)
  await check(await reopen(backend), { readData: 1 })
  const source = memoryDisk(disk)
  const clean = { ...source, extents: (options?: object) => markDirty(source.extents(options), []) }
  const next = async (): Promise<{ id: string; readBytes: number }> => {
    const { id, disks } = await backup(await reopen(backend), [{ name: 'disk', source: 'test', disk: clean }], {
      name: 'machine',
      workers: 0,
    })
    return { id, readBytes: disks[0]?.stats.readBytes ?? -1 }
  }
  const { id, readBytes } = await next()
  t.ok(readBytes > 0 && readBytes <= 32 * MiB, `${readBytes} bytes read`)
  t.ok(isEqual(await readStored(await reopen(backend), id), disk))
  t.ok(isEqual(await readStored(await reopen(backend), full.id), disk))
  t.equal((await next()).readBytes, 0, 'what was stored again serves the next one')
})

t.test('a pack put back from a copy is relied on again', async t => {
  const backend = memoryBackend()
  const repository = await createRepository({ chunker: 'grid:32k' }, backend)
  const disk = mixedDisk(MiB, 3)
  await backUp(repository, disk)
  const [key = ''] = await packsOf(repository, 'dataPack')
  const sound = await backend.get(key)
  await damage(repository, key)
  await check(await reopen(backend), { readData: 1 })
  await backend.put(key, sound)
  t.equal((await check(await reopen(backend))).damagedPacks, 1, 'not before it was read')
  const report = await check(await reopen(backend), { readData: 0.000_001, seed: 5 })
  t.strictSame([report.damages, report.damagedPacks], [[], 0], 'a share of the data has what is known as damaged in it')
  t.equal((await backUp(await reopen(backend), disk, { parent: 'none' })).disks[0]?.stats.newBytes, 0)
})

t.test('packs damaged in different places make up for each other; what none has keeps them all', async t => {
  const random = seededRandom(4)
  const rounds = process.env['GRANARY_TEST_LONG'] === undefined ? 3 : 100
  t.comment(`${rounds} rounds`)
  for (let round = 0; round < rounds; round++) {
    const backend = memoryBackend()
    const repository = await createRepository({ chunker: 'grid:32k' }, backend)
    const disk = mixedDisk(MiB, 40 + round)
    const ids = [(await backUp(repository, disk)).id]
    /** Each round of damage and storing again leaves one more pack with some of the chunks. */
    for (let copy = 0; copy < 2; copy++) {
      for (const key of await packsOf(repository, 'dataPack'))
        if (!(await readDamagedPacks(repository.context)).has(key))
          await damage(repository, key, ordinal => ordinal % 2 === copy || random(4) === 0)
      await check(await reopen(backend), { readData: 1 })
      if (copy === 0) ids.push((await backUp(await reopen(backend), disk)).id)
    }
    const before = await Promise.all(ids.map(async id => await isReadable(await reopen(backend), id, disk)))
    await collect(await reopen(backend), { repackBelow: 0 })
    const after = await Promise.all(ids.map(async id => await isReadable(await reopen(backend), id, disk)))
    for (const [i, was] of before.entries()) t.ok(!was || after[i] === true, `round ${round}: what was readable is`)
    const healed = await backUp(await reopen(backend), disk)
    await collect(await reopen(backend), { repackBelow: 0 })
    for (const id of [...ids, healed.id])
      t.ok(await isReadable(await reopen(backend), id, disk), `round ${round}, ${id}`)
    t.strictSame((await check(await reopen(backend), { readData: 1 })).damages, [], `round ${round}: clean`)
    for (const id of ids) await forgetSnapshot(repository.context, id)
    await collect(await reopen(backend))
    t.ok(await isReadable(await reopen(backend), healed.id, disk), `round ${round}: and stays`)
  }
})
