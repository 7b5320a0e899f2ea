import t from 'tap'
import { check, collect, diffSnapshots, forgetSnapshot, listSnapshots, openDisk, planRetention } from '../src/index.ts'
import type { RetentionPolicy, Snapshot } from '../src/index.ts'
import { backUp, changeDisk, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const MiB = 1024 * 1024

const storedBytes = async (repository: Awaited<ReturnType<typeof createRepository>>): Promise<number> => {
  let sum = 0
  for await (const { sizeBytes } of repository.context.backend.list('packs/')) sum += sizeBytes
  return sum
}

t.test('forgotten snapshots give their space back, and nothing else goes', async t => {
  const repository = await createRepository()
  const versions: { id: string; content: Uint8Array }[] = []
  const disk = mixedDisk(6 * MiB, 1)
  for (let i = 0; i < 6; i++) {
    versions.push({ id: (await backUp(repository, disk)).id, content: disk.slice() })
    changeDisk(disk, i, 40)
  }
  for (const i of [0, 2, 3]) await forgetSnapshot(repository.context, (versions[i] as { id: string }).id)
  const before = await storedBytes(repository)
  const planned = await collect(repository, { dryRun: true })
  t.equal(await storedBytes(repository), before, 'a dry run changes nothing')
  const report = await collect(repository)
  t.equal(report.deletedPacks, planned.deletedPacks)
  t.ok(report.deletedPacks > 0)
  t.ok((await storedBytes(repository)) < before)
  for (const i of [1, 4, 5]) {
    const { id, content } = versions[i] as (typeof versions)[0]
    t.ok(isEqual(await readStored(repository, id), content), `version ${i}`)
  }
  await t.rejects(openDisk(repository, (versions[0] as { id: string }).id), { code: 'GRANARY_NOT_FOUND' })
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
  t.equal((await collect(repository)).deletedPacks, 0, 'a second one finds nothing')
  const again = await backUp(repository, disk)
  t.ok(isEqual(await readStored(repository, again.id), disk))
  for (const { id } of await listSnapshots(repository.context)) await forgetSnapshot(repository.context, id)
  await collect(repository)
  t.equal(await storedBytes(repository), 0, 'nothing is left of what nobody needs')
})

t.test('a disk that is open survives forget and collection until it is closed', async t => {
  const repository = await createRepository()
  const content = mixedDisk(2 * MiB, 4)
  const { id } = await backUp(repository, content)
  const disk = await openDisk(repository, id, { cacheBytes: 0 })
  await forgetSnapshot(repository.context, id)
  await collect(repository)
  const read = new Uint8Array(content.length)
  await disk.read(0, read)
  t.ok(isEqual(read, content))
  await disk[Symbol.asyncDispose]()
  t.ok((await collect(repository)).deletedPacks > 0)
})

t.test('many small sessions end in few index segments', async t => {
  const repository = await createRepository()
  const disk = mixedDisk(MiB, 2)
  for (let i = 0; i < 20; i++) {
    changeDisk(disk, i, 3)
    await backUp(repository, disk)
  }
  await collect(repository)
  const segments: string[] = []
  for await (const { key } of repository.context.backend.list('index/')) segments.push(key)
  t.ok(segments.length <= 2, `${segments.length} segments`)
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
})

t.test('diff finds what changed, and only that', async t => {
  const repository = await createRepository()
  const disk = mixedDisk(70 * MiB, 3)
  const first = await backUp(repository, disk)
  const before = disk.slice()
  const changes = changeDisk(disk, 77, 5)
  const second = await backUp(repository, disk)
  for await (const { disk: name, ranges } of diffSnapshots(repository, first.id, second.id)) {
    t.equal(name, 'disk')
    const covered = new Uint8Array(disk.length)
    let total = 0
    for await (const { offset, length } of ranges) {
      covered.fill(1, offset, offset + length)
      total += length
    }
    const isMissed = disk.some((byte, i) => byte !== before[i] && covered[i] === 0)
    t.notOk(isMissed, 'every changed byte is in a range')
    t.ok(total <= changes.length * 2 * MiB, `${total} bytes reported`)
  }
})

t.test('retention keeps what its rules name, per series', async t => {
  const day = 86_400_000
  const snapshots = Array.from({ length: 40 }, (_, i) => ({
    id: String(i).padStart(32, '0'),
    name: i % 2 === 0 ? 'a' : 'b',
    timeMs: i * day,
    labels: {},
    signedBy: { kind: 'holder', isVerified: true },
  })) as unknown as Snapshot[]
  const { keep, forget } = planRetention(snapshots, { keepLast: 2, keepMonthly: 1 })
  t.equal(keep.length + forget.length, 40)
  t.strictSame(
    keep.map(({ snapshot }) => snapshot.timeMs / day),
    [36, 37, 38, 39],
  )
  t.throws(() => planRetention(snapshots, {}), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => planRetention(snapshots, { keepLast: 1.5 }), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('retention: a copy that is marked inconsistent pushes no good one out', t => {
  /** One a day, the oldest first: g is good, x is marked. */
  const kept = (series: string, policy: RetentionPolicy): string => {
    const snapshots = series.split('').map((kind, i) => ({
      id: String(i).padStart(32, '0'),
      name: 'a',
      timeMs: i * 86_400_000,
      labels: kind === 'x' ? { inconsistent: 'paused' } : {},
      signedBy: { kind: 'holder', isVerified: true },
    })) as unknown as Snapshot[]
    const { keep } = planRetention(snapshots, policy)
    return series
      .split('')
      .map((kind, i) => (keep.some(({ snapshot }) => snapshot === snapshots[i]) ? kind : '-'))
      .join('')
  }
  t.equal(kept('gggxxx', { keepLast: 2 }), '-gg-xx', 'newer than the last good one: among themselves')
  t.equal(kept('ggxxg', { keepLast: 2 }), '-g--g', 'older than the last good one: forgotten')
  t.equal(kept('gxgxgx', { keepDaily: 3 }), 'g-g-gx')
  t.equal(kept('xxxx', { keepLast: 1 }), '---x', 'all there is')
  t.equal(kept('gxxxxxxx', { keepWeekly: 2 }), 'g--x---x', 'the fifth day is a Monday')
  t.end()
})
