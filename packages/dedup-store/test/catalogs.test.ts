/** Catalogs in the repository: hidden from listings, gone with their snapshot, known to collection and to the check. */
import { diskStream } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import {
  backup,
  check,
  collect,
  forgetSnapshot,
  listCatalogs,
  listSnapshots,
  openDisk,
  resolveSnapshotId,
} from '../src/index.ts'
import type { Repository, Snapshot } from '../src/index.ts'
import { backUp, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const addCatalog = async (repository: Repository, catalogOf: string, bytes: Uint8Array): Promise<Snapshot> =>
  await backup(repository, [{ name: '.catalog', source: catalogOf, disk: diskStream([bytes], 'catalog') }], {
    name: 'machine',
    catalogOf,
    workers: 0,
    chunker: { strategy: 'fastcdc', minBytes: 4096, averageBytes: 16_384, maxBytes: 65_536 },
  })

t.test('a catalog is in no list of snapshots and in no series, and its disk is read as any other', async t => {
  const repository = await createRepository()
  const first = await backUp(repository, mixedDisk(1 << 20, 1))
  const bytes = seededBytes(200_001, 1)
  const catalog = await addCatalog(repository, first.id, bytes)
  t.match(catalog, { parent: null, prev: null, catalogOf: first.id })
  t.strictSame(
    (await listSnapshots(repository.context)).map(({ id }) => id),
    [first.id],
  )
  t.strictSame(
    (await listCatalogs(repository.context)).map(({ id }) => id),
    [catalog.id],
  )
  t.equal(await resolveSnapshotId(repository.context, 'latest'), first.id)
  await t.rejects(resolveSnapshotId(repository.context, catalog.id.slice(0, 12)), { code: 'GRANARY_NOT_FOUND' })
  t.ok(isEqual(await readStored(repository, catalog.id), bytes))
  const second = await backUp(repository, mixedDisk(1 << 20, 1))
  t.equal(second.parent, first.id, 'the next backup builds on the snapshot')
  t.equal(second.prev?.sid, first.id)
  t.match(await check(repository, { readData: 1 }), { damages: [], snapshots: 2 })
})

t.test('a catalog goes with its snapshot, unless somebody reads it', async t => {
  const repository = await createRepository()
  const kept = await backUp(repository, mixedDisk(1 << 20, 1))
  const forgotten = await backUp(repository, mixedDisk(1 << 20, 2))
  const keptCatalog = await addCatalog(repository, kept.id, seededBytes(100_000, 2))
  const bytes = seededBytes(300_000, 3)
  const catalog = await addCatalog(repository, forgotten.id, bytes)
  const disk = await openDisk(repository, catalog.id, { cacheBytes: 0 })
  await forgetSnapshot(repository.context, forgotten.id)
  t.strictSame(
    (await listCatalogs(repository.context)).map(({ id }) => id),
    [keptCatalog.id],
  )
  await t.rejects(openDisk(repository, catalog.id), { code: 'GRANARY_NOT_FOUND' })
  await collect(repository)
  const read = new Uint8Array(bytes.length)
  await disk.read(0, read)
  t.ok(isEqual(read, bytes), 'its reader holds it')
  await disk[Symbol.asyncDispose]()
  t.ok((await collect(repository)).deletedPacks > 0)
  t.ok(isEqual(await readStored(repository, keptCatalog.id), seededBytes(100_000, 2)), 'the other one stays')
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
})

t.test('a catalog that is forgotten alone leaves its snapshot', async t => {
  const repository = await createRepository()
  const content = mixedDisk(1 << 20, 4)
  const { id } = await backUp(repository, content)
  await forgetSnapshot(repository.context, (await addCatalog(repository, id, seededBytes(50_000, 5))).id)
  await collect(repository)
  t.strictSame(await listCatalogs(repository.context), [])
  t.ok(isEqual(await readStored(repository, id), content))
})

t.test('of two catalogs only what differs is stored twice', async t => {
  const repository = await createRepository()
  const { id } = await backUp(repository, mixedDisk(1 << 20, 6))
  const bytes = seededBytes(2_000_000, 7)
  await addCatalog(repository, id, bytes)
  const changed = Buffer.concat([bytes.subarray(0, 1_000_000), Buffer.from('a file more'), bytes.subarray(1_000_000)])
  const { disks } = await addCatalog(repository, id, changed)
  t.ok((disks[0]?.stats.newBytes ?? Infinity) < 200_000, `${disks[0]?.stats.newBytes} bytes new`)
})

t.test('damage in a catalog is told with the snapshot it is of', async t => {
  const repository = await createRepository()
  const { id } = await backUp(repository, mixedDisk(1 << 20, 8))
  const before = new Set<string>()
  for await (const { key } of repository.context.backend.list('packs/')) before.add(key)
  await addCatalog(repository, id, seededBytes(100_000, 9))
  for await (const { key } of repository.context.backend.list('packs/'))
    if (!before.has(key)) await repository.context.backend.delete(key)
  const { touched } = await check(repository)
  t.match(touched, [{ snapshot: id, disk: '.catalog' }])
})
