/** Sources that answer late: how many reads they are asked for at once, and that none outlives its backup. */
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { seededRandom } from '@granary/testing'
import { backup } from '../src/index.ts'
import { createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const MiB = 1024 * 1024
const CONTENT = mixedDisk(70 * MiB, 21)
/** Reads of a window that are under way at once: two buffers of at most sixteen. */
const MOST_AHEAD = 32

/** A disk whose answers take some turns of the event loop, and which remembers how it was used. */
const lateDisk = (seed: number, onRead: (count: number) => void = () => undefined) => {
  const inner = memoryDisk(CONTENT)
  const random = seededRandom(seed)
  const seen = { reads: 0, bytes: 0, open: 0, most: 0, afterClose: 0, isClosed: false }
  const disk: DiskReader = {
    sizeBytes: inner.sizeBytes,
    blockBytes: inner.blockBytes,
    extents: options => inner.extents(options),
    async read(offset: number, target: Bytes, { signal }: AbortOptions = {}) {
      if (seen.isClosed) seen.afterClose++
      seen.most = Math.max(seen.most, ++seen.open)
      try {
        for (let turns = random(20); turns >= 0; turns--) await new Promise(resolve => setImmediate(resolve))
        onRead(seen.reads++)
        signal?.throwIfAborted()
        await inner.read(offset, target)
        seen.bytes += target.length
        if (seen.isClosed) seen.afterClose++
      } finally {
        seen.open--
      }
    },
    async [Symbol.asyncDispose]() {
      seen.isClosed = true
    },
  }
  return { disk, seen }
}

for (const workers of [0, 1, 2]) {
  t.test(`workers: ${workers}: a late source is asked ahead, within bounds, and comes back bit for bit`, async t => {
    const repository = await createRepository()
    const { disk, seen } = lateDisk(workers)
    const inputs = [{ name: 'disk', source: 'test', disk: async () => disk }]
    const { id, disks } = await backup(repository, inputs, { name: 'm', workers })
    t.ok(isEqual(await readStored(repository, id), CONTENT))
    const lanes = Math.max(1, workers)
    t.ok(seen.most > lanes, `${seen.most} reads at once`)
    t.ok(seen.most <= (lanes + 1) * MOST_AHEAD, `${seen.most} reads at once`)
    t.equal(seen.bytes, disks[0]?.stats.readBytes, 'nothing is read twice')
    t.match(seen, { open: 0, afterClose: 0, isClosed: true })
  })
}

t.test('a failure or an abort at any read leaves no read behind', async t => {
  for (const at of [0, 20, 41]) {
    for (const isAbort of [false, true]) {
      const repository = await createRepository()
      const stop = new AbortController()
      const { disk, seen } = lateDisk(at, count => {
        if (count !== at) return
        if (!isAbort) throw new Error('unreadable')
        stop.abort(new Error('enough'))
      })
      const inputs = [{ name: 'disk', source: 'test', disk: async () => disk }]
      const storing = backup(repository, inputs, { name: 'm', workers: at % 2, signal: stop.signal })
      await t.rejects(storing, { message: isAbort ? 'enough' : 'unreadable' }, `at read ${at}`)
      t.match(seen, { open: 0, afterClose: 0, isClosed: true }, `after read ${at}`)
    }
  }
})
