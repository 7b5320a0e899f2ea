/** Catalogs of real file systems, recorded in a repository and found again. */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CatalogIndex, decodeCatalog, recordCatalog, searchCatalog } from '@granary/catalog'
import type { CatalogRecord } from '@granary/catalog'
import { diskStream, memoryDisk } from '@granary/core'
import {
  backup,
  collect,
  forgetSnapshot,
  initRepository,
  listCatalogs,
  listSnapshots,
  memoryBackend,
  openDisk,
  openRepository,
} from '@granary/dedup-store'
import type { Repository, Snapshot } from '@granary/dedup-store'
import t from 'tap'
import { pathOf } from './helpers/rows.ts'

t.setTimeout(600_000)
const skip = spawnSync('which', ['mkfs.ext4']).status === 0 ? false : 'needs mkfs.ext4'
const folder = mkdtempSync(join(tmpdir(), 'granary-catalog-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const SECRET = { kind: 'key-file', key: new Uint8Array(32).fill(7) } as const

const freshRepository = async (): Promise<Repository> => {
  const backend = memoryBackend()
  await initRepository(backend, SECRET)
  return await openRepository(backend, SECRET)
}

/** An ext4 disk with what is in a folder. */
const diskOf = (source: string): Uint8Array<ArrayBuffer> => {
  const path = join(folder, 'disk.raw')
  rmSync(path, { force: true })
  execFileSync('mkfs.ext4', [
    '-q',
    '-F',
    '-E',
    'lazy_itable_init=0,root_owner=0:0,hash_seed=00000000-0000-0000-0000-000000000001',
    '-d',
    source,
    path,
    '16M',
  ])
  return new Uint8Array(readFileSync(path))
}

const backUp = async (repository: Repository, disk: Uint8Array<ArrayBuffer>): Promise<Snapshot> =>
  await backup(repository, [{ name: 'root', source: 'test', disk: memoryDisk(disk) }], { name: 'web', workers: 0 })

const makeFiles = (): string => {
  const source = mkdtempSync(join(folder, 'files-'))
  mkdirSync(join(source, 'Отчёты', '2024'), { recursive: true })
  for (let i = 0; i < 2000; i++)
    writeFileSync(join(source, i % 2 === 0 ? 'Отчёты' : 'Отчёты/2024', `Файл-${i}.txt`), `${i}`)
  writeFileSync(join(source, 'secret.key'), 'x'.repeat(5000))
  chmodSync(join(source, 'secret.key'), 0o600)
  utimesSync(join(source, 'secret.key'), 1_600_000_000, 1_600_000_000)
  symlinkSync('secret.key', join(source, 'link'))
  return source
}

t.test('files are found as the guest has them', { skip }, async t => {
  const repository = await freshRepository()
  const source = makeFiles()
  const { id } = await backUp(repository, diskOf(source))
  const progress: number[] = []
  const recorded = await recordCatalog(repository, id, { onProgress: ({ rows }) => progress.push(rows) })
  t.equal(recorded.warnings, 0)
  t.equal(recorded.rows, 2006, 'the files, the folders, and the root')
  t.ok(progress.length > 0)
  await using index = await CatalogIndex.open(join(folder, 'index'))
  t.strictSame(await index.sync(repository), { added: 1, removed: 0, failed: [] })
  t.strictSame(await index.sync(repository), { added: 0, removed: 0, failed: [] })
  t.match(index.snapshots(), [{ snapshot: id, name: 'web', rows: 2006, warnings: 0 }])
  const { hits } = searchCatalog(index, { contains: 'отчёты/2024/файл-77', sort: 'path', ascending: true })
  t.strictSame(
    hits.map(({ row }) => pathOf(row)),
    ['/Отчёты/2024/Файл-77.txt', ...Array.from({ length: 5 }, (_, i) => `/Отчёты/2024/Файл-77${2 * i + 1}.txt`)],
  )
  const [key] = searchCatalog(index, { suffix: '/SECRET.KEY' }).hits
  const { uid, gid } = statSync(join(source, 'secret.key'))
  t.match(key, { volume: { id: 'disk', content: 'ext4' }, snapshot: { name: 'web' } })
  t.strictSame(
    { ...key?.row, created: undefined },
    {
      directory: { text: '' },
      name: { text: 'secret.key' },
      type: 'file',
      sizeBytes: 5000,
      mode: 0o600,
      uid,
      gid,
      modified: 1_600_000_000n * 1_000_000_000n,
      created: undefined,
    },
  )
})

t.test(
  'of the next catalog only what changed is stored, and an older one of the same snapshot goes',
  { skip },
  async t => {
    const repository = await freshRepository()
    const source = makeFiles()
    const first = await recordCatalog(repository, (await backUp(repository, diskOf(source))).id)
    writeFileSync(join(source, 'Отчёты', 'Файл-2.txt'), 'longer than before')
    const { id } = await backUp(repository, diskOf(source))
    const second = await recordCatalog(repository, id)
    t.equal(second.rows, first.rows)
    const again = await recordCatalog(repository, id)
    const [stats] = again.catalog.disks
    t.equal(stats?.stats.newBytes, 0, 'nothing changed, nothing stored')
    t.strictSame(
      (await listCatalogs(repository.context)).map(({ id }) => id),
      [first.catalog.id, again.catalog.id],
    )
  },
)

t.test('an index follows the repository: forgotten snapshots leave it, and it can be made anew', { skip }, async t => {
  const repository = await freshRepository()
  const disk = diskOf(makeFiles())
  const [a, b] = [await backUp(repository, disk), await backUp(repository, disk)]
  await recordCatalog(repository, a.id)
  await recordCatalog(repository, b.id)
  const path = join(folder, 'following')
  {
    await using index = await CatalogIndex.open(path)
    t.strictSame(await index.sync(repository), { added: 2, removed: 0, failed: [] })
    t.equal(searchCatalog(index, { suffix: 'secret.key', all: true }).hits.length, 2)
    await t.rejects(CatalogIndex.open(path), { code: 'GRANARY_LOCKED' })
  }
  await forgetSnapshot(repository.context, a.id)
  await collect(repository)
  {
    await using index = await CatalogIndex.open(path)
    t.strictSame(await index.sync(repository), { added: 0, removed: 1, failed: [] })
    t.equal(searchCatalog(index, { suffix: 'secret.key', all: true }).hits.length, 1, 'shared pages stay')
  }
  t.equal(statSync(path).mode & 0o777, 0o600, 'names of files are nobody else’s business')
  const damaged = readFileSync(path)
  writeFileSync(path, damaged.fill(0x55, 0, 50_000))
  await using index = await CatalogIndex.open(path)
  t.strictSame(await index.sync(repository), { added: 1, removed: 0, failed: [] })
  t.equal(searchCatalog(index, { suffix: 'secret.key' }).hits.length, 1)
})

t.test('a catalog that is damaged keeps no other from being searched', { skip }, async t => {
  const repository = await freshRepository()
  const disk = diskOf(makeFiles())
  const [good, bad] = [await backUp(repository, disk), await backUp(repository, disk)]
  await recordCatalog(repository, good.id)
  const noise = diskStream([new Uint8Array(10_000).fill(7)], 'no catalog')
  await backup(repository, [{ name: '.catalog', source: 'test', disk: noise }], {
    name: 'web',
    catalogOf: bad.id,
    workers: 0,
  })
  await using index = await CatalogIndex.open(join(folder, 'partly'))
  t.match(await index.sync(repository), {
    added: 1,
    failed: [{ snapshot: bad.id, error: { code: 'GRANARY_CORRUPT' } }],
  })
  t.equal(searchCatalog(index, { suffix: 'secret.key', all: true }).hits.length, 1)
  t.equal((await recordCatalog(repository, bad.id)).rows > 0, true)
  t.match(await index.sync(repository), { added: 1, failed: [] })
})

t.test('damage in an index is told, with what to do', { skip }, async t => {
  const repository = await freshRepository()
  await recordCatalog(repository, (await backUp(repository, diskOf(makeFiles()))).id)
  const path = join(folder, 'rotten')
  {
    await using index = await CatalogIndex.open(path)
    await index.sync(repository)
  }
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0xaa, 40_000))
  await using index = await CatalogIndex.open(path)
  const search = async (): Promise<unknown> => {
    await index.sync(repository)
    return searchCatalog(index, { contains: 'x' })
  }
  await t.rejects(search(), { code: 'GRANARY_CORRUPT', hint: /made again/ })
})

t.test('what can not be read is a warning in the catalog, and never stops it', { skip }, async t => {
  const repository = await freshRepository()
  const disk = diskOf(makeFiles())
  const damaged = disk.slice()
  // The folder's blocks hold names in UTF-8: what is found of them is overwritten.
  const name = Buffer.from('Файл-77.txt')
  for (
    let at = Buffer.from(damaged.buffer).indexOf(name);
    at >= 0;
    at = Buffer.from(damaged.buffer).indexOf(name, at + 1)
  )
    damaged.fill(0xff, at - (at % 1024), at - (at % 1024) + 1024)
  const luks = new Uint8Array(1 << 20)
  luks.set(Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'))
  const disks = [damaged, luks].map((bytes, i) => ({ name: `d${i}`, source: 'test', disk: memoryDisk(bytes) }))
  const { id } = await backup(repository, disks, { name: 'web', workers: 0 })
  const recorded = await recordCatalog(repository, id)
  t.ok(recorded.warnings >= 2, recorded.kept.map(({ where, message }) => `${where}: ${message}`).join('\n'))
  await using stored = await openDisk(repository, recorded.catalog.id)
  const records: CatalogRecord[] = []
  for await (const record of decodeCatalog(stored)) records.push(record)
  t.ok(
    records.some(record => record.kind === 'volume' && record.volume.whyNot !== undefined),
    'the volume says why',
  )
  t.ok(records.some(record => record.kind === 'warning'))
})

t.test('folders deeper than a path has room for are a warning', { skip }, async t => {
  const path = join(folder, 'deep.raw')
  execFileSync('mkfs.ext4', ['-q', '-F', path, '8M'])
  // In a code page of old, so that the bytes of each path are kept beside its text.
  const name = `d${'x'.repeat(240)}`
  const odd = Buffer.concat([
    Buffer.from('mkdir odd'),
    Buffer.of(0xe9),
    Buffer.from('\ncd odd'),
    Buffer.of(0xe9),
    Buffer.from('\n'),
  ])
  const script = join(folder, 'deep.debugfs')
  writeFileSync(script, Buffer.concat([odd, Buffer.from(`mkdir ${name}\ncd ${name}\n`.repeat(280))]))
  execFileSync('debugfs', ['-w', '-f', script, path], { stdio: 'ignore' })
  const repository = await freshRepository()
  const { id } = await backUp(repository, new Uint8Array(readFileSync(path)))
  const recorded = await recordCatalog(repository, id)
  t.equal(recorded.rows, 2 + 1 + 270, 'the root, lost+found, and folders with paths of up to 65,535 bytes')
  t.equal(recorded.warnings, 10)
  t.match(recorded.kept[0], { where: /^.{4097}$/u, message: /a path of 65587 bytes/ })
  await using index = await CatalogIndex.open(join(folder, 'deep-index'))
  t.match(await index.sync(repository), { added: 1, failed: [] })
})

t.test('an index that can not be opened is told, and stays', async t => {
  await t.rejects(CatalogIndex.open(join(folder, 'none', 'index')), { code: 'GRANARY_NOT_FOUND' })
  const path = join(folder, 'a-folder')
  mkdirSync(join(path, 'inside'), { recursive: true })
  await t.rejects(CatalogIndex.open(path), { name: 'GranaryError' })
  t.ok(statSync(join(path, 'inside')).isDirectory())
})

t.test('it gives up when time is up, and stores nothing', { skip }, async t => {
  const repository = await freshRepository()
  const { id } = await backUp(repository, diskOf(makeFiles()))
  await t.rejects(recordCatalog(repository, id, { timeoutMs: 1 }), { code: 'GRANARY_TIMEOUT' })
  t.strictSame(await listCatalogs(repository.context), [])
  t.equal((await listSnapshots(repository.context)).length, 1)
  await t.rejects(recordCatalog(repository, 'f'.repeat(32)), { code: 'GRANARY_NOT_FOUND' })
})

t.test('a catalog that is none, or ends early, is refused', async t => {
  const read = async (bytes: Uint8Array<ArrayBuffer>): Promise<unknown> => {
    for await (const record of decodeCatalog(memoryDisk(bytes))) if (record.kind === 'end') return 'whole'
    return 'no end'
  }
  const magic = Buffer.from('GRNYCATL\x01\0\0\0', 'latin1')
  const end = Buffer.from('{"rows":0,"pages":0,"warnings":0}')
  const whole = new Uint8Array(
    Buffer.concat([magic, Uint8Array.of(9, 1, 0, 0, 0, 7), Uint8Array.of(4, end.length, 0, 0, 0), end]),
  )
  t.equal(await read(whole), 'whole', 'unknown records are passed over')
  for (let length = 0; length < whole.length; length++)
    await t.rejects(read(whole.slice(0, length)), { code: 'GRANARY_CORRUPT' })
  await t.rejects(read(whole.with(8, 2)), { code: 'GRANARY_UNSUPPORTED' })
  await t.rejects(read(whole.with(16, 0xff)), { code: 'GRANARY_CORRUPT' })
})
