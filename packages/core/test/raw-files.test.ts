import { execFileSync } from 'node:child_process'
import { readSync } from 'node:fs'
import { chmod, mkdir, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { diskReaderContract, diskWriterContract, mountTmpfs, seededBytes, whyNoMounts } from '@granary/testing'
import t from 'tap'
import { createRawDisk, openRawReader, openRawWriter } from '../src/index.ts'
import type { Extent, RawReader } from '../src/index.ts'
import { freshPath, nativeWays, openFiles, readWhole, sameBytes, sparseFile } from './scratch.ts'

const MiB = 1024 ** 2

const extentsOf = async (disk: RawReader): Promise<Extent[]> => {
  const extents: Extent[] = []
  for await (const extent of disk.extents()) extents.push(extent)
  return extents
}

for (const { name, native } of nativeWays) {
  diskReaderContract(`raw file, ${name}`, async () => {
    const content = seededBytes(700_123, 1)
    const path = freshPath()
    await writeFile(path, content)
    return { disk: await openRawReader(path, { native }), content }
  })

  diskReaderContract(`sparse raw file, ${name}`, async () => {
    const data = [
      { offset: 64 * 1024, length: 5000 },
      { offset: MiB, length: MiB },
      { offset: 3 * MiB - 1, length: 1 },
    ]
    const noise = seededBytes(3 * MiB + 4321, 2)
    const content = new Uint8Array(noise.length)
    for (const { offset, length } of data) content.set(noise.subarray(offset, offset + length), offset)
    return { disk: await openRawReader(await sparseFile(content, data), { native }), content }
  })

  diskReaderContract(`empty raw file, ${name}`, async () => {
    const path = freshPath()
    await writeFile(path, '')
    const disk = await openRawReader(path, { native })
    return { disk, content: new Uint8Array(0) }
  })

  diskWriterContract(`new raw file, ${name}`, async sizeBytes => {
    const path = freshPath()
    return { disk: await createRawDisk(path, sizeBytes, { native }), readBack: () => readWhole(path) }
  })

  diskWriterContract(`existing raw file, ${name}`, async sizeBytes => {
    const path = freshPath()
    await writeFile(path, seededBytes(sizeBytes, 9))
    return { disk: await openRawWriter(path, { native }), readBack: () => readWhole(path) }
  })

  t.test(`${name}: a file that shrinks is an error where it ends`, async t => {
    const path = await sparseFile(seededBytes(MiB, 3), [{ offset: 0, length: MiB }])
    await using disk = await openRawReader(path, { native })
    await truncate(path, 300_000)
    await t.resolves(disk.read(0, new Uint8Array(300_000)))
    await t.rejects(disk.read(200_000, new Uint8Array(200_000)), {
      code: 'GRANARY_SIZE',
      detail: { offset: 300_000, sizeBytes: MiB },
    })
  })

  t.test(`${name}: a file that grows is read up to its size at opening`, async t => {
    const path = await sparseFile(seededBytes(MiB, 3), [{ offset: 0, length: MiB }])
    await using disk = await openRawReader(path, { native })
    await truncate(path, 2 * MiB)
    t.equal(disk.sizeBytes, MiB)
    await t.rejects(disk.read(MiB, new Uint8Array(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
    t.equal(
      (await extentsOf(disk)).reduce((sum, { length }) => sum + length, 0),
      MiB,
    )
  })
}

const hasNative = nativeWays[0]?.native !== null
const needsNative = hasNative ? false : 'this system has no native calls'

t.test('tells holes from data', { skip: needsNative }, async t => {
  const path = await sparseFile(seededBytes(8 * MiB, 4), [
    { offset: MiB, length: MiB },
    { offset: 4 * MiB, length: 2 * MiB },
  ])
  await using disk = await openRawReader(path)
  t.strictSame(await extentsOf(disk), [
    { offset: 0, length: MiB, kind: 'hole' },
    { offset: MiB, length: MiB, kind: 'data', fileOffset: MiB },
    { offset: 2 * MiB, length: 2 * MiB, kind: 'hole' },
    { offset: 4 * MiB, length: 2 * MiB, kind: 'data', fileOffset: 4 * MiB },
    { offset: 6 * MiB, length: 2 * MiB, kind: 'hole' },
  ])
})

t.test('a listing of many pieces lets others work, and hears an abort', { skip: needsNative }, async t => {
  const pieces = Array.from({ length: 2000 }, (_, i) => ({ offset: i * 8192, length: 4096 }))
  const path = await sparseFile(new Uint8Array(2000 * 8192).fill(1), pieces)
  await using disk = await openRawReader(path)
  t.equal((await extentsOf(disk)).length, 4000)
  const controller = new AbortController()
  setImmediate(() => controller.abort(new Error('stop')))
  const listing = async (): Promise<void> => {
    for await (const _ of disk.extents({ signal: controller.signal }));
  }
  await t.rejects(listing(), { message: 'stop' })
})

t.test('a cut tail is no hole', { skip: needsNative }, async t => {
  const path = await sparseFile(seededBytes(MiB, 3), [{ offset: 0, length: MiB }])
  await using disk = await openRawReader(path)
  await truncate(path, 300_000)
  await t.rejects(extentsOf(disk), { code: 'GRANARY_SIZE', detail: { offset: 300_000 } })
  await truncate(path, 0)
  await t.rejects(extentsOf(disk), { code: 'GRANARY_SIZE', detail: { offset: 0 } })
})

t.test('zeroes that punch give space back, others keep it', { skip: needsNative }, async t => {
  const path = await sparseFile(seededBytes(4 * MiB, 5), [{ offset: 0, length: 4 * MiB }])
  await using disk = await openRawWriter(path)
  await disk.flush()
  const full = (await stat(path)).blocks
  await disk.zero(MiB, MiB)
  t.equal((await stat(path)).blocks, full)
  await disk.zero(0, 4 * MiB, { punch: true })
  t.equal((await stat(path)).blocks, 0)
})

t.test('another thread can read from the descriptor', async t => {
  const content = seededBytes(10_000, 6)
  const path = await sparseFile(content, [{ offset: 0, length: 10_000 }])
  await using disk = await openRawReader(path)
  const target = new Uint8Array(5000)
  readSync(disk.fileDescriptor, target, 0, 5000, 5000)
  t.ok(sameBytes(target, content.subarray(5000)))
})

t.test('refuses what is neither file nor block device, without opening it', { timeout: 10_000 }, async t => {
  const folder = dirname(freshPath())
  const pipe = freshPath()
  execFileSync('mkfifo', [pipe])
  const socket = freshPath()
  const server = createServer().listen(socket)
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  for (const [path, found] of [
    [folder, 'a folder'],
    [pipe, 'a pipe'],
    [socket, 'a socket'],
    ['/dev/null', 'a character device'],
  ] as const) {
    const refusal = { code: 'GRANARY_UNSUPPORTED', detail: { path, found } }
    await t.rejects(openRawReader(path), refusal)
    await t.rejects(openRawWriter(path), refusal)
    await t.rejects(createRawDisk(path, 1), { code: 'GRANARY_EXISTS' })
    await t.rejects(createRawDisk(path, 1, { overwrite: true }), refusal)
  }
})

t.test('creating keeps what exists unless told otherwise', async t => {
  const path = await sparseFile(seededBytes(1000, 1), [{ offset: 0, length: 1000 }])
  await t.rejects(createRawDisk(path, 5), { code: 'GRANARY_EXISTS', hint: /overwrit/, detail: { path } })
  t.equal((await stat(path)).size, 1000)
  const link = freshPath()
  await symlink('nowhere', link)
  await t.rejects(createRawDisk(link, 5), { code: 'GRANARY_EXISTS' }, 'a dangling link is not followed')
  await using disk = await createRawDisk(path, 2000, { overwrite: true })
  t.equal(disk.readsZero, true)
  await disk.flush()
  t.ok(sameBytes(await readWhole(path), new Uint8Array(2000)))
})

t.test('a disk that cannot be created leaves nothing', async t => {
  const path = freshPath()
  for (const sizeBytes of [-1, 0.5, 2 ** 53, Number.NaN]) {
    await t.rejects(createRawDisk(path, sizeBytes), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
  await t.rejects(createRawDisk(path, 2 ** 53 - 1), { code: 'GRANARY_LIMIT' }, 'larger than the file system takes')
  await t.rejects(stat(path), { code: 'ENOENT' })
  await t.rejects(createRawDisk(join(path, 'below'), 1), { code: 'GRANARY_NOT_FOUND', hint: /path/ })
  t.strictSame(openFiles(), [])
})

t.test('says what is missing or denied', async t => {
  const path = freshPath()
  await t.rejects(openRawReader(path), { code: 'GRANARY_NOT_FOUND', detail: { path }, hint: /path/ })
  await t.rejects(openRawWriter(path), { code: 'GRANARY_NOT_FOUND' })
  await writeFile(path, 'secret')
  await chmod(path, 0)
  const folder = freshPath()
  await mkdir(folder, { mode: 0o500 })
  await asNobody(async () => {
    await t.rejects(openRawReader(path), { code: 'GRANARY_PERMISSION', hint: /owner/ })
    await t.rejects(openRawWriter(path), { code: 'GRANARY_PERMISSION' })
    await t.rejects(createRawDisk(join(folder, 'new'), 1), { code: 'GRANARY_PERMISSION' })
  })
  t.strictSame(openFiles(), [])
})

/** Root is denied nothing, so it steps down for a while. */
const asNobody = async (action: () => Promise<void>): Promise<void> => {
  if (process.getuid?.() !== 0) {
    await action()
    return
  }
  await chmod(dirname(freshPath()), 0o755)
  process.seteuid?.(65_534)
  try {
    await action()
  } finally {
    process.seteuid?.(0)
  }
}

t.test('a closed or read-only disk says so', async t => {
  const path = await sparseFile(new Uint8Array(10), [])
  const disk = await openRawReader(path)
  await disk[Symbol.asyncDispose]()
  await t.rejects(disk.read(0, new Uint8Array(1)), { code: 'GRANARY_INVALID_ARGUMENT', detail: { path } })
})

t.test('a full file system is an error, and flushing what fitted works', { skip: whyNoMounts() }, async t => {
  const path = join(mountTmpfs(t, MiB), 'disk')
  await using disk = await createRawDisk(path, 4 * MiB)
  await disk.write(0, seededBytes(MiB / 2, 1))
  await t.rejects(disk.write(MiB, seededBytes(2 * MiB, 2)), {
    code: 'GRANARY_NO_SPACE',
    hint: /space/,
    detail: { path },
  })
  await t.resolves(disk.flush())
})

t.test('zeroing works where the file system knows no zeroed ranges', { skip: whyNoMounts() }, async t => {
  const path = join(mountTmpfs(t, 4 * MiB), 'disk')
  await using disk = await createRawDisk(path, MiB)
  await disk.write(0, seededBytes(MiB, 1))
  await disk.zero(1000, MiB / 2)
  const content = seededBytes(MiB, 1).fill(0, 1000, 1000 + MiB / 2)
  t.ok(sameBytes(await readWhole(path), content))
})

t.test('resizing keeps what stays and shows zeros behind', async t => {
  const path = freshPath()
  await using disk = await createRawDisk(path, 1000)
  await disk.write(0, new Uint8Array(1000).fill(3))
  await disk.resize(500)
  await disk.resize(2000)
  t.equal(disk.sizeBytes, 2000)
  const content = new Uint8Array(2000)
  t.ok(sameBytes(await readWhole(path), content.fill(3, 0, 500)))
  await t.resolves(disk.write(1999, new Uint8Array(1)))
  const target = new Uint8Array(2000)
  await t.resolves(disk.read(0, target))
})
