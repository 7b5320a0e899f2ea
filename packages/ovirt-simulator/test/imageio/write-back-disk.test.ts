/** The page cache of a host: what was not flushed is lost in a crash. CONTRACT §6.3 */
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { writeBackDisk } from '../../src/imageio/write-back-disk.ts'

const KiB64 = 65_536

t.test('a crash takes back what was written since the last flush', async t => {
  const bytes = new Uint8Array(8 * KiB64)
  const disk = writeBackDisk(memoryDisk(bytes))
  await disk.write(10, seededBytes(100_000, 1))
  await disk.flush()
  const durable = bytes.slice()
  await disk.write(50, seededBytes(200_000, 2))
  t.equal(disk.unflushedBytes, 4 * KiB64)
  const seen = new Uint8Array(200_000)
  await disk.read(50, seen)
  t.equal(Buffer.compare(seen, seededBytes(200_000, 2)), 0, 'readers see it at once')
  disk.crash()
  t.equal(Buffer.compare(bytes, durable), 0)
  await t.rejects(disk.write(0, Uint8Array.of(1)), /crashed/)
  await disk[Symbol.asyncDispose]()
  t.equal(Buffer.compare(bytes, durable), 0)
})

t.test('what waits is bounded, and written when the disk is closed', async t => {
  const bytes = new Uint8Array(8 * KiB64)
  const disk = writeBackDisk(memoryDisk(bytes), { capacityBytes: 2 * KiB64 })
  await disk.write(0, seededBytes(6 * KiB64, 1))
  t.ok(disk.unflushedBytes <= 2 * KiB64)
  await disk.zero(5, 10)
  await disk.write(7 * KiB64, seededBytes(100, 3))
  await disk[Symbol.asyncDispose]()
  const wanted = new Uint8Array(8 * KiB64)
  wanted.set(seededBytes(6 * KiB64, 1))
  wanted.fill(0, 5, 15)
  wanted.set(seededBytes(100, 3), 7 * KiB64)
  t.equal(Buffer.compare(bytes, wanted), 0)
})

diskReaderContract('a write-back disk', async () => {
  const content = new Uint8Array(5 * KiB64 + 100)
  const disk = writeBackDisk(memoryDisk(content.slice()))
  content.set(seededBytes(2 * KiB64, 1), 3000)
  await disk.write(3000, seededBytes(2 * KiB64, 1))
  return { disk, content }
})

diskWriterContract('a write-back disk', async sizeBytes => {
  const bytes = new Uint8Array(sizeBytes)
  return { disk: writeBackDisk(memoryDisk(bytes), { capacityBytes: 4 * KiB64 }), readBack: async () => bytes }
})
