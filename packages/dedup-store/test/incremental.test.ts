import fc from 'fast-check'
import t from 'tap'
import { markDirty, memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { backup, forgetSnapshot, listSnapshots } from '../src/index.ts'
import type { Backend, Repository } from '../src/index.ts'
import { backUp, changeDisk, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

t.setTimeout(600_000)

const MiB = 1024 * 1024
const GRANULARITY = 65_536

/** A disk that knows what changed, in 64 KiB clusters, as changed-block tracking does. */
const trackedDisk = (
  bytes: Uint8Array,
  changes: readonly { offset: number; length: number }[],
): DiskReader & { readBytes: () => number } => {
  const disk = memoryDisk(bytes)
  let read = 0
  const clusters = [
    ...new Set(
      changes.flatMap(({ offset, length }) =>
        Array.from(
          { length: Math.floor((offset + length - 1) / GRANULARITY) - Math.floor(offset / GRANULARITY) + 1 },
          (_, i) => Math.floor(offset / GRANULARITY) + i,
        ),
      ),
    ),
  ].toSorted((a, b) => a - b)
  const dirty = clusters.map(cluster => ({
    offset: cluster * GRANULARITY,
    length: Math.min(GRANULARITY, bytes.length - cluster * GRANULARITY),
  }))
  return {
    ...disk,
    readBytes: () => read,
    async read(offset, target, options) {
      read += target.length
      await disk.read(offset, target, options)
    },
    extents: options => markDirty(disk.extents(options), dirty),
  }
}

t.test('an incremental by changed blocks gives the map of a full read, and reads only about what changed', async t => {
  for (const chunker of ['grid:128k', 'fixed:64k', 'fastcdc:64k']) {
    const repository = await createRepository({ chunker })
    const content = mixedDisk(36 * MiB + 5000, 11)
    await backUp(repository, content)
    for (let round = 0; round < 2; round++) {
      const changes = changeDisk(content, 100 + round, 6)
      const disk = trackedDisk(content, changes)
      const snapshot = await backup(repository, [{ name: 'disk', source: 'test', disk }], {
        name: 'machine',
        workers: round % 2,
      })
      t.ok(isEqual(await readStored(repository, snapshot.id), content), `${chunker}, round ${round}`)
      const again = await backUp(repository, content, { parent: 'none' })
      t.equal(snapshot.disks[0]?.map.root, again.disks[0]?.map.root, 'the same map')
      if (chunker !== 'fastcdc:64k') t.ok(disk.readBytes() < 16 * MiB, `${disk.readBytes()} bytes read`)
    }
  }
})

t.test('any changes: the incremental map equals the full map', async t => {
  const runs = process.env['GRANARY_TEST_LONG'] === undefined ? 25 : 1000
  const repository = await createRepository({ chunker: 'grid:32k', compression: 'none' })
  const content = mixedDisk(3 * MiB + 1000, 12)
  await backUp(repository, content)
  const change = fc.record({
    offset: fc.nat(content.length - 1),
    length: fc.integer({ min: 1, max: 200_000 }),
    fill: fc.constantFrom('zero', 'text', 'noise'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 6 }), async changes => {
      const ranges = changes.map(({ offset, length, fill }, i) => {
        const end = Math.min(content.length, offset + length)
        if (fill === 'zero') content.fill(0, offset, end)
        else content.set(mixedDisk(end - offset, fill === 'text' ? 1 : offset + i), offset)
        return { offset, length: end - offset }
      })
      const disk = trackedDisk(content, ranges)
      const tracked = await backup(repository, [{ name: 'disk', source: 'test', disk }], {
        name: 'machine',
        workers: 0,
      })
      const full = await backUp(repository, content, { parent: 'none', name: 'full' })
      return tracked.disks[0]?.map.root === full.disks[0]?.map.root
    }),
    { numRuns: runs, seed: 7 },
  )
  t.comment(`${runs} sequences of changes`)
  t.pass()
})

t.test('disks are opened one after another when their turn has come, and closed, whatever happens', async t => {
  const repository = await createRepository()
  const events: string[] = []
  const lazy = (name: string, fails = false) => ({
    name,
    source: 'test',
    disk: async (): Promise<DiskReader> => {
      events.push(`open ${name}`)
      const disk = memoryDisk(mixedDisk(MiB, 5))
      return {
        ...disk,
        read: async (offset, target) =>
          fails ? await Promise.reject(new Error('lost')) : await disk.read(offset, target),
        [Symbol.asyncDispose]: async () => void events.push(`close ${name}`),
      }
    },
  })
  const leftOut = { name: 'none', source: 'test', disk: async () => undefined }
  const snapshot = await backup(repository, [lazy('a'), leftOut, lazy('b')], { name: 'machine', workers: 0 })
  t.strictSame(
    snapshot.disks.map(disk => disk.name),
    ['a', 'b'],
  )
  t.strictSame(events.splice(0), ['open a', 'close a', 'open b', 'close b'])
  await t.rejects(backup(repository, [lazy('a', true), lazy('b')], { name: 'other', workers: 0 }), { message: 'lost' })
  t.strictSame(events, ['open a', 'close a'])
})

t.test('a disk is compared with the one of the parent it is said to come from', async t => {
  const repository = await createRepository()
  const content = mixedDisk(3 * MiB, 6)
  await backUp(repository, content)
  const clean = trackedDisk(content, [])
  const renamed = { name: 'renamed', source: 'test', disk: clean, base: 'disk' }
  const snapshot = await backup(repository, [renamed], { name: 'machine', workers: 0 })
  t.equal(clean.readBytes(), 0)
  t.ok(isEqual(await readStored(repository, snapshot.id, 'renamed'), content))
  const stranger = trackedDisk(content, [])
  await backup(repository, [{ name: 'renamed', source: 'test', disk: stranger, base: null }], {
    name: 'machine',
    workers: 0,
  })
  t.ok(stranger.readBytes() > 0, 'a disk without a base is read, whatever it says of changes')
})

t.test('beforeCommit has the last word on machine, warnings and labels, and may refuse', async t => {
  const repository = await createRepository()
  const disks = [{ name: 'disk', source: 'test', disk: memoryDisk(mixedDisk(MiB, 7)) }]
  const snapshot = await backup(repository, disks, {
    name: 'machine',
    workers: 0,
    warnings: ['early'],
    labels: { early: 'yes' },
    beforeCommit: async ([record]) => ({
      machine: { bytes: record?.sizeBytes },
      warnings: ['late'],
      labels: { late: 'yes' },
    }),
  })
  t.match(snapshot, { machine: { bytes: MiB }, warnings: ['late'] })
  t.strictSame((await listSnapshots(repository.context))[0]?.labels, { late: 'yes' })
  const refuse = async (): Promise<never> => await Promise.reject(new Error('not now'))
  await t.rejects(backup(repository, disks, { name: 'machine', workers: 0, beforeCommit: refuse }), {
    message: 'not now',
  })
  t.equal((await listSnapshots(repository.context)).length, 1)
  const bare = await backup(repository, [], { name: 'bare', machine: { cpus: 1 } })
  t.strictSame([bare.disks.length, bare.machine], [0, { cpus: 1 }])
  await t.rejects(backup(repository, [], { name: 'nothing' }), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('disks that are open at once give the snapshot they give one after the other', async t => {
  const contents = [1, 2, 3, 4].map(seed => mixedDisk(3 * MiB + seed * 1000, 20 + seed))
  const backUpAll = async (disksAtOnce: number) => {
    const repository = await createRepository()
    let [open, mostOpen] = [0, 0]
    const disks = contents.map((bytes, i) => ({
      name: `disk${i}`,
      source: 'test',
      disk: async (): Promise<DiskReader> => {
        mostOpen = Math.max(mostOpen, ++open)
        return { ...memoryDisk(bytes), [Symbol.asyncDispose]: async () => void open-- }
      },
    }))
    const snapshot = await backup(repository, disks, { name: 'machine', workers: 2, disksAtOnce })
    for (const [i, bytes] of contents.entries())
      t.ok(isEqual(await readStored(repository, snapshot.id, `disk${i}`), bytes), `${disksAtOnce} at once, disk ${i}`)
    return { mostOpen, disks: snapshot.disks.map(({ name, stats }) => [name, stats.dataBytes, stats.readBytes]) }
  }
  const one = await backUpAll(1)
  const three = await backUpAll(3)
  t.strictSame([one.mostOpen, three.mostOpen], [1, 3])
  t.strictSame(three.disks, one.disks, 'in their order, with the same counts; chunks differ with the key')
})

t.test('a backup reads the manifests of other series once, and those of forgotten snapshots not at all', async t => {
  const { context, ...rest } = await createRepository({ chunker: 'grid:32k' })
  const reads = new Map<string, number>()
  const backend: Backend = {
    ...context.backend,
    get: async (key, options) => {
      reads.set(key, (reads.get(key) ?? 0) + 1)
      return await context.backend.get(key, options)
    },
  }
  const repository: Repository = { ...rest, context: { ...context, backend } }
  const content = mixedDisk(MiB, 1)
  const make = async (name: string): Promise<string> => (await backUp(repository, content, { name })).id
  const [own, other, gone] = [await make('own'), await make('other'), await make('other')]
  await forgetSnapshot(context, gone)
  reads.clear()
  const { parent, prev } = await backUp(repository, content, { name: 'own' })
  t.strictSame([parent, prev?.sid], [own, own])
  t.strictSame(
    [other, gone].map(id => reads.get(`commit/${id}`)),
    [1, undefined],
  )
})
