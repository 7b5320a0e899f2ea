/** Format 1, as it was written once, before packs and decisions were signed and after: read by every version from then on. */
import { createHash } from 'node:crypto'
import { cp, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { memoryDisk } from '@granary/core'
import { projectPath } from '@granary/testing'
import {
  backup,
  check,
  collect,
  fileBackend,
  listSigners,
  listSnapshots,
  openDisk,
  openRepository,
  verify,
} from '../src/index.ts'
import type { Repository } from '../src/index.ts'
import { GOLDEN_PASSPHRASE, goldenEscrowKey } from './golden/golden.ts'
import type { GoldenRepository } from './golden/golden.ts'

const FOLDERS = ['v1', 'v1-signed'].map(name => projectPath('packages/dedup-store/test/golden', name))

const sha256Of = async (repository: Repository, id: string, name: string): Promise<string> => {
  await using disk = await openDisk(repository, id, { disk: name })
  const hash = createHash('sha256')
  const piece = new Uint8Array(1024 * 1024)
  for (let at = 0; at < disk.sizeBytes; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, disk.sizeBytes - at))
    await disk.read(at, part)
    hash.update(part)
  }
  return hash.digest('hex')
}

/** Everything that was in it is in it. */
const checkContent = async (t: Test, repository: Repository, golden: GoldenRepository): Promise<void> => {
  const snapshots = await listSnapshots(repository.context)
  for (const { id, name, timeMs, disks } of golden.snapshots) {
    const found = snapshots.find(snapshot => snapshot.id === id)
    t.match(found, { name, timeMs, host: 'golden', labels: { made: 'once' }, suite: golden.suite })
    for (const disk of disks) t.equal(await sha256Of(repository, id, disk.name), disk.sha256, `${name} ${disk.name}`)
  }
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
}

const goldens: { folder: string; golden: GoldenRepository }[] = []
for (const folder of FOLDERS)
  for (const golden of JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as GoldenRepository[])
    goldens.push({ folder, golden })

for (const { folder: FOLDER, golden } of goldens)
  t.test(`the golden repository of format 1, ${basename(FOLDER)}, with ${golden.suite}`, async t => {
    const folder = join(t.testdir(), 'repository')
    await cp(join(FOLDER, golden.suite), folder, { recursive: true })
    const key = new Uint8Array(await readFile(join(FOLDER, 'key')))
    const repository = await openRepository(fileBackend(folder), { kind: 'key-file', key })
    t.match(repository.config, { granary: 'repository', format: 1 })
    t.match(repository.settings, { suite: golden.suite, compression: 'zstd:3', chunker: { strategy: 'grid' } })
    t.strictSame(
      (await listSnapshots(repository.context)).map(({ id }) => id),
      golden.snapshots.map(({ id }) => id),
    )
    await checkContent(t, repository, golden)
    for (const id of golden.forgotten) await t.rejects(openDisk(repository, id), { code: 'GRANARY_NOT_FOUND' })
    await t.resolves(openRepository(fileBackend(folder), { kind: 'passphrase', passphrase: GOLDEN_PASSPHRASE }))
    await t.rejects(openRepository(fileBackend(folder), { kind: 'passphrase', passphrase: 'another' }), {
      code: 'GRANARY_WRONG_KEY',
    })

    // It is one that this version works on, too: equal content is stored no more than once, and collection keeps all of it.
    const [{ id, disks }] = golden.snapshots as [GoldenRepository['snapshots'][number]]
    await using disk = await openDisk(repository, id, { disk: disks[0]?.name as string })
    const bytes = new Uint8Array(disk.sizeBytes)
    await disk.read(0, bytes)
    const again = await backup(repository, [{ name: 'root', source: 'test', disk: memoryDisk(bytes) }], {
      name: 'again',
      parent: 'none',
      workers: 0,
    })
    t.equal(again.disks[0]?.stats.newChunks, 0, 'the same content is known')
    await collect(repository)
    await checkContent(t, repository, golden)
    if (basename(FOLDER) === 'v1') return

    t.equal(repository.keyring?.current, 2)
    const escrow = { kind: 'escrow', privateKey: goldenEscrowKey } as const
    t.equal((await openRepository(fileBackend(folder), escrow)).keyring?.current, 2)
    t.match(await listSigners(repository), [{ name: /client/ }, { name: /client/ }])
    t.strictSame((await verify(repository)).problems, [])
    const by = (await listSnapshots(repository.context)).map(({ signedBy }) => signedBy.kind)
    t.equal(by.filter(kind => kind === 'client').length, 3)
  })
