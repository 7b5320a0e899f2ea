import fc from 'fast-check'
import t from 'tap'
import { GranaryError, markDirty, memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { changesOnly } from '../../src/backup/changes-only.ts'

const SIZE = 64 * 1024
const GRAIN = 4096

const counting = (disk: DiskReader): DiskReader & { ranges: [number, number][] } => {
  const ranges: [number, number][] = []
  return {
    ...disk,
    ranges,
    async read(offset, target, options) {
      ranges.push([offset, target.length])
      await disk.read(offset, target, options)
    },
  }
}

t.test(
  'what changed comes from the source, the rest from before; every byte is right (any changes, any reads)',
  async t => {
    const range = fc.record({ offset: fc.nat(SIZE - 1), length: fc.integer({ min: 0, max: 20_000 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(SIZE / GRAIN - 1)),
        fc.array(range, { maxLength: 8 }),
        async (dirty, reads) => {
          const old = seededBytes(SIZE, 1)
          const now = old.slice()
          for (const cluster of dirty) now.set(seededBytes(GRAIN, 2 + cluster), cluster * GRAIN)
          const source = counting(memoryDisk(now))
          const tracked: DiskReader = {
            ...source,
            extents: options =>
              markDirty(
                source.extents(options),
                dirty.toSorted((a, b) => a - b).map(cluster => ({ offset: cluster * GRAIN, length: GRAIN })),
              ),
          }
          const disk = changesOnly(tracked, memoryDisk(old))
          for await (const _ of disk.extents()) continue
          for (const { offset, length } of reads) {
            const target = new Uint8Array(Math.min(length, SIZE - offset))
            await disk.read(offset, target)
            if (Buffer.compare(target, now.subarray(offset, offset + target.length)) !== 0) return false
          }
          return source.ranges.every(([offset, length]) =>
            Array.from(
              { length: Math.ceil((offset + length) / GRAIN) - Math.floor(offset / GRAIN) },
              (_, i) => i,
            ).every(i => dirty.includes(Math.floor(offset / GRAIN) + i)),
          )
        },
      ),
      { seed: 3, numRuns: 150 },
    )
    t.pass()
  },
)

t.test(
  'what was not asked for counts as changed; a damaged place of the repository is read from the source',
  async t => {
    const bytes = seededBytes(SIZE, 4)
    const source = counting(memoryDisk(bytes))
    const unasked = changesOnly(source, memoryDisk(new Uint8Array(SIZE)))
    const target = new Uint8Array(SIZE)
    await unasked.read(0, target)
    t.strictSame(Buffer.compare(target, bytes), 0)

    const clean: DiskReader = { ...source, extents: options => markDirty(source.extents(options), []) }
    const damaged: DiskReader = {
      ...memoryDisk(bytes),
      read: async () => await Promise.reject(new GranaryError('GRANARY_CORRUPT', 'a pack is damaged')),
    }
    const disk = changesOnly(clean, damaged)
    for await (const _ of disk.extents()) continue
    await disk.read(100, target.subarray(100))
    t.strictSame(Buffer.compare(target, bytes), 0)
  },
)
