import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { diskReaderContract, seededBytes, seededRandom } from '@granary/testing'
import { cachedDisk } from '../src/index.ts'

const KiB = 1024
const MiB = 1024 * KiB

const counted = (bytes: Uint8Array): { disk: DiskReader; reads: number[] } => {
  const reads: number[] = []
  const disk = memoryDisk(bytes)
  return {
    reads,
    disk: {
      ...disk,
      async read(offset, target, options) {
        reads.push(target.length)
        await disk.read(offset, target, options)
      },
    },
  }
}

diskReaderContract('cached disk', async () => {
  const content = seededBytes(3 * MiB + 12_345, 1)
  return { disk: cachedDisk(memoryDisk(content), { cacheBytes: 2 * MiB }), content }
})

t.test('what is read again stays, whatever linear reader passes', async t => {
  const bytes = seededBytes(64 * MiB, 2)
  const { disk, reads } = counted(bytes)
  const cached = cachedDisk(disk, { cacheBytes: 8 * MiB })
  const random = seededRandom(3)
  const hot = Array.from({ length: 16 }, () => 256 * KiB * random(60) + 32 * MiB)
  const boot = async (): Promise<void> => {
    for (const offset of hot) await cached.read(offset + 4096, new Uint8Array(4096))
  }
  await boot()
  await boot()
  for (let at = 0; at < 32 * MiB; at += 64 * KiB) await cached.read(at, new Uint8Array(64 * KiB))
  const before = reads.length
  await boot()
  t.equal(reads.length, before, 'no hot block had to be read again')
  await cached[Symbol.asyncDispose]()
})

t.test('a linear reader of small pieces is read ahead for, and long reads go past the cache', async t => {
  const bytes = seededBytes(16 * MiB, 2)
  const { disk, reads } = counted(bytes)
  const cached = cachedDisk(disk)
  const target = new Uint8Array(16 * KiB)
  let isRight = true
  for (let at = 0; at < 8 * MiB; at += target.length) {
    await cached.read(at, target)
    isRight &&= Buffer.compare(target, bytes.subarray(at, at + target.length)) === 0
  }
  t.ok(isRight)
  t.ok(reads.every(length => length === 256 * KiB))
  t.ok(reads.length > 32 && reads.length <= 32 + 17, `${reads.length} reads: 32, and what is ahead`)
  reads.length = 0
  const long = new Uint8Array(4 * MiB)
  await cached.read(12 * MiB, long)
  t.strictSame(reads.toSorted((a, b) => b - a)[0], 4 * MiB)
  t.equal(Buffer.compare(long, bytes.subarray(12 * MiB)), 0)
  await cached[Symbol.asyncDispose]()
})

t.test('a failed read is told to its readers and not kept', async t => {
  let isBroken = true
  const disk = memoryDisk(seededBytes(MiB, 1))
  const cached = cachedDisk({
    ...disk,
    async read(offset, target) {
      if (isBroken) throw new Error('broken')
      await disk.read(offset, target)
    },
  })
  const two = [cached.read(0, new Uint8Array(10)), cached.read(100, new Uint8Array(10))]
  for (const each of two) await t.rejects(each, { message: 'broken' })
  isBroken = false
  await cached.read(0, new Uint8Array(10))
  await cached[Symbol.asyncDispose]()
})
