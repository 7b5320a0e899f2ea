import { Readable } from 'node:stream'
import t from 'tap'
import { diskStream, memoryDisk } from '@granary/core'
import { diskReaderContract, seededRandom } from '@granary/testing'
import { backup, check, fileBackend, listSnapshots, memoryBackend, openDisk, resolveSnapshotId } from '../src/index.ts'
import { backUp, changeDisk, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const MiB = 1024 * 1024

diskReaderContract('stored disk', async () => {
  const content = mixedDisk(5 * MiB + 1234, 1)
  const repository = await createRepository()
  const { id } = await backUp(repository, content)
  return { disk: await openDisk(repository, id), content }
})

for (const chunker of ['grid:128k', 'grid:32k', 'fixed:64k', 'fixed:4m', 'fastcdc:64k']) {
  for (const [suite, compression] of [
    ['aes-256-gcm', 'zstd:3'],
    ['chacha20-poly1305', 'lz4'],
    ['aes-256-gcm', 'none'],
  ] as const) {
    t.test(`${chunker}, ${suite}, ${compression}: versions of a disk come back bit for bit`, async t => {
      const repository = await createRepository({ chunker, suite, compression })
      const disk = mixedDisk(3 * MiB + 777, 5)
      const first = await backUp(repository, disk)
      const before = disk.slice()
      changeDisk(disk, 9)
      const second = await backUp(repository, disk)
      t.ok(isEqual(await readStored(repository, first.id), before), 'first')
      t.ok(isEqual(await readStored(repository, second.id), disk), 'second')
      t.equal(second.parent, first.id)
      t.equal(second.prev?.hash, first.hash)
      t.strictSame((await check(repository, { readData: 1 })).damages, [])
    })
  }
}

t.test('a disk of several windows, backed up by workers, comes back bit for bit and is stored once', async t => {
  const repository = await createRepository()
  const disk = mixedDisk(100 * MiB + 4096 * 3 + 5, 3)
  const options = { workers: 2 }
  const first = await backUp(repository, disk, options)
  const second = await backUp(repository, disk, options)
  t.ok(isEqual(await readStored(repository, first.id), disk))
  t.equal(second.disks[0]?.stats.newBytes, 0)
  t.equal(second.disks[0]?.stats.storedBytes, 0)
  t.equal(second.disks[0]?.map.root, first.disks[0]?.map.root)
  const alone = await createRepository()
  t.ok(isEqual(await readStored(alone, (await backUp(alone, disk, { workers: 0 })).id), disk))
})

t.test('a stream and a disk deduplicate against each other', async t => {
  const repository = await createRepository()
  const content = mixedDisk(40 * MiB + 100, 8)
  await backUp(repository, content)
  const pieces = Readable.from([
    content.subarray(0, 1000),
    content.subarray(1000, 35 * MiB + 1),
    content.subarray(35 * MiB + 1),
  ])
  const stream = diskStream(pieces, 'test')
  const snapshot = await backup(repository, [{ name: 'disk', source: '-', disk: stream }], {
    name: 'other',
    workers: 0,
  })
  t.equal(snapshot.disks[0]?.stats.newChunks, 0)
  t.ok(isEqual(await readStored(repository, snapshot.id), content))
})

t.test('empty and tiny disks', async t => {
  const repository = await createRepository()
  for (const size of [0, 1, 4095, 4096, 4097, 32 * MiB, 32 * MiB + 1]) {
    for (const fill of [0, 3]) {
      const content = new Uint8Array(size).fill(fill)
      const { id } = await backUp(repository, content, { name: `${size}-${fill}` })
      t.ok(isEqual(await readStored(repository, id), content), `${size} bytes of ${fill}`)
    }
  }
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
})

t.test('several disks of a snapshot, chosen by name', async t => {
  const repository = await createRepository()
  const contents = [mixedDisk(MiB, 1), mixedDisk(MiB, 2)]
  const disks = contents.map((content, i) => ({ name: `disk${i}`, source: 'test', disk: memoryDisk(content) }))
  const { id } = await backup(repository, disks, { name: 'vm', workers: 0, labels: { tier: 'gold' } })
  t.ok(isEqual(await readStored(repository, id, 'disk1'), contents[1] as Uint8Array))
  await t.rejects(openDisk(repository, id), { code: 'GRANARY_NOT_FOUND', message: /2 disks/ })
  await t.rejects(openDisk(repository, id, { disk: 'disk9' }), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(backup(repository, [disks[0], disks[0]] as typeof disks, { name: 'vm', workers: 0 }), {
    code: 'GRANARY_INVALID_ARGUMENT',
  })
  const [listed] = await listSnapshots(repository.context)
  t.equal(listed?.id, id)
  t.equal(await resolveSnapshotId(repository.context, id.slice(0, 6)), id)
  t.equal(await resolveSnapshotId(repository.context, 'latest'), id)
  await t.rejects(resolveSnapshotId(repository.context, 'ffff'), { code: 'GRANARY_NOT_FOUND' })
})

t.test('10,000 random reads equal the source', async t => {
  const repository = await createRepository()
  const content = mixedDisk(70 * MiB + 99, 4)
  const { id } = await backUp(repository, content)
  await using disk = await openDisk(repository, id)
  const random = seededRandom(99)
  let bad = 0
  for (let i = 0; i < 10_000; i++) {
    const offset = random(content.length)
    const target = new Uint8Array(random(Math.min(50_000, content.length - offset)))
    await disk.read(offset, target)
    if (Buffer.compare(target, content.subarray(offset, offset + target.length)) !== 0) bad++
  }
  t.equal(bad, 0)
})

t.test('large reads into shared memory are decoded on other threads, and are the same', async t => {
  const content = mixedDisk(40 * MiB + 4097, 21)
  content.copyWithin(20 * MiB, 0, 3 * MiB) // Chunks that stand in two places of one read.
  for (const backend of [memoryBackend(), fileBackend(t.testdir({}))]) {
    const repository = await createRepository({}, backend)
    const { id } = await backUp(repository, content)
    await using disk = await openDisk(repository, id, { threads: 2 })
    const random = seededRandom(3)
    for (let i = 0; i < 30; i++) {
      const offset = random(content.length - 6 * MiB)
      const target = new Uint8Array(new SharedArrayBuffer(MiB + random(5 * MiB)))
      await disk.read(offset, target)
      if (Buffer.compare(target, content.subarray(offset, offset + target.length)) !== 0) t.fail(`read at ${offset}`)
    }
    const packs: string[] = []
    for await (const { key } of backend.list('packs/')) packs.push(key)
    const [first = ''] = packs
    const damaged = await backend.get(first)
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 1
    await backend.put(first, damaged)
    const whole = new Uint8Array(new SharedArrayBuffer(content.length))
    await t.rejects(disk.read(0, whole), { code: 'GRANARY_AUTHENTICATION', detail: { object: first } })
  }
})

t.test('a failing source commits nothing, and what was stored is used again', async t => {
  const repository = await createRepository({ timeToLiveMs: 1000 })
  const content = mixedDisk(70 * MiB, 6)
  const whole = memoryDisk(content)
  const failing = {
    ...whole,
    read: async (offset: number, target: Uint8Array) => {
      if (offset > 60 * MiB) throw new Error('unreadable')
      await whole.read(offset, target)
    },
  }
  await t.rejects(backup(repository, [{ name: 'disk', source: 'test', disk: failing }], { name: 'm', workers: 0 }), {
    message: 'unreadable',
  })
  t.strictSame(await listSnapshots(repository.context), [])
  const snapshot = await backUp(repository, content)
  t.ok(isEqual(await readStored(repository, snapshot.id), content))
})
