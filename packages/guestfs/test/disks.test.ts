import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { diskReaderContract, seededBytes } from '@granary/testing'
import t from 'tap'
import { CachedDisk } from '../src/disk/cached-disk.ts'
import { sliceDisk } from '../src/disk/mapped-disk.ts'
import { Patches } from '../src/disk/patched-disk.ts'

const content = seededBytes(700_001, 5)

diskReaderContract('cached disk', async () => ({ disk: new CachedDisk(memoryDisk(content)), content }))

diskReaderContract('slice of a disk', async () => ({
  disk: sliceDisk(memoryDisk(content), 1234, 200_000, 'slice'),
  content: content.subarray(1234, 201_234),
}))

diskReaderContract('patched disk', async () => {
  const changed = content.slice()
  const patches = new Patches(memoryDisk(content))
  for (const [offset, length] of [
    [0, 10],
    [4090, 9000],
    [699_990, 11],
  ] as const) {
    const bytes = seededBytes(length, offset)
    changed.set(bytes, offset)
    await patches.write(offset, bytes, {})
  }
  return { disk: patches.disk(), content: changed }
})

t.test('a slice that goes beyond its disk fails there and nowhere else', async t => {
  const disk = sliceDisk(memoryDisk(content), 700_000, 100, 'slice')
  await t.resolves(disk.read(0, new Uint8Array(1)))
  await t.rejects(disk.read(0, new Uint8Array(2)), { code: 'GRANARY_CORRUPT' })
})

t.test('a place that cannot be read spoils no more than itself', async t => {
  const broken: DiskReader = {
    ...memoryDisk(content),
    async read(offset, target, options) {
      if (offset <= 5000 && offset + target.length > 5000) throw new Error('bad sector')
      await memoryDisk(content).read(offset, target, options)
    },
  }
  const disk = new CachedDisk(broken)
  t.equal(Buffer.compare(await disk.bytes(0, 4096, 'test'), content.subarray(0, 4096)), 0)
  t.equal(Buffer.compare(await disk.bytes(5001, 100, 'test'), content.subarray(5001, 5101)), 0)
  await t.rejects(disk.bytes(4990, 20, 'test'), { message: 'bad sector' })
})

t.test('a cache asks once for what it has, and ahead when a scan goes on', async t => {
  let reads = 0
  const counting: DiskReader = {
    ...memoryDisk(content),
    async read(offset, target, options) {
      reads++
      await memoryDisk(content).read(offset, target, options)
    },
  }
  const disk = new CachedDisk(counting)
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at + 256 <= content.length; at += 256) {
      if (Buffer.compare(await disk.bytes(at, 256, 'test'), content.subarray(at, at + 256)) !== 0) t.fail(`at ${at}`)
    }
  }
  t.equal(reads, 4, '11 pages in requests of 1, 2, 4 and 4')
})

t.test('places outside the volume are damage, as they come from metadata', async t => {
  const disk = new CachedDisk(memoryDisk(content))
  await t.rejects(disk.bytes(content.length - 1, 2, 'pointer'), { code: 'GRANARY_CORRUPT' })
  await t.rejects(disk.bytes(-1, 1, 'pointer'), { code: 'GRANARY_CORRUPT' })
  await t.rejects(disk.bytes(Number.NaN, 1, 'pointer'), { code: 'GRANARY_CORRUPT' })
})
