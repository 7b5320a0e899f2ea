import t from 'tap'
import { GranaryError, memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { TransferDisk } from '../../src/backup/transfer-disk.ts'
import { instantClock } from '../engine/scripted-engine.ts'

const BYTES = seededBytes(100_000, 1)

/** Passages whose nth one serves `reads[n]` reads and then fails. */
const passages = (reads: readonly number[], { isAlive = true, sizeBytes = BYTES.length } = {}) => {
  const log: string[] = []
  let opened = 0
  const clock = instantClock()
  const open = async () => {
    const number = opened++
    log.push(`open ${number}`)
    let left = reads[number] ?? 0
    const disk = memoryDisk(BYTES)
    const image: DiskReader = {
      ...disk,
      async read(offset, target, options) {
        if (left-- <= 0) throw new GranaryError('GRANARY_PERMISSION', `ticket ${number} has expired`)
        await disk.read(offset, target, options)
      },
    }
    return { image, close: async () => void log.push(`close ${number}`) }
  }
  const checkAlive = async (): Promise<void> => {
    if (!isAlive) throw new GranaryError('GRANARY_REMOTE', 'the backup has failed')
  }
  return { log, clock, options: { sizeBytes, clock, open, checkAlive } }
}

t.test('goes on through a new transfer while the backup lives, once for all readers', async t => {
  const { log, options } = passages([3, 2, 100])
  const disk = await TransferDisk.open(options)
  const target = new Uint8Array(BYTES.length)
  await Promise.all(
    Array.from(
      { length: 10 },
      async (_, i) => await disk.read(i * 10_000, target.subarray(i * 10_000, (i + 1) * 10_000)),
    ),
  )
  t.equal(Buffer.compare(target, BYTES), 0)
  await disk[Symbol.asyncDispose]()
  t.strictSame(log, ['open 0', 'close 0', 'open 1', 'close 1', 'open 2', 'close 2'])
})

t.test('gives up when the backup is no longer ready, or nothing comes through any more', async t => {
  const dead = passages([0, 9], { isAlive: false })
  const first = await TransferDisk.open(dead.options)
  await t.rejects(first.read(0, new Uint8Array(10)), { message: 'the backup has failed' })
  await first[Symbol.asyncDispose]()
  const stuck = passages([])
  const second = await TransferDisk.open(stuck.options)
  await t.rejects(second.read(0, new Uint8Array(10)), { message: /expired/ })
  t.ok(stuck.log.length < 20 && stuck.clock.slept.length > 2)
  await second[Symbol.asyncDispose]()
})

t.test('an image of another size is refused, and its transfer closed', async t => {
  const { log, options } = passages([9], { sizeBytes: 5 })
  await t.rejects(TransferDisk.open(options), { code: 'GRANARY_SIZE' })
  t.strictSame(log, ['open 0', 'close 0'])
})

t.test('an abort is not a reason for another transfer', async t => {
  const { log, options } = passages([0])
  const disk = await TransferDisk.open(options)
  await t.rejects(disk.read(0, new Uint8Array(1), { signal: AbortSignal.abort(new Error('enough')) }), {
    message: 'enough',
  })
  await disk[Symbol.asyncDispose]()
  t.strictSame(log, ['open 0', 'close 0'])
})
