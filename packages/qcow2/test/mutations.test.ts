/**
 * Changed headers and tables: no hang, no crash, no read outside the file, bounded memory. Whatever goes wrong is a GranaryError.
 * A sample by default; GRANARY_TEST_LONG runs a million.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { isGranaryError, memoryDisk } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import { checkQcow2, createQcow2, memoryFile, openQcow2, openQcow2Writer, readQcow2Info } from '../src/index.ts'
import type { CreateQcow2Options, RandomFile } from '../src/index.ts'
import { unpackFixtures } from './case-folder.ts'

const TOTAL = process.env['GRANARY_TEST_LONG'] === undefined ? 2500 : 1_000_000

t.setTimeout(4 * 3600_000)

class OutsideTheFile extends Error {}

const guardedFile = (bytes: Bytes): RandomFile => ({
  sizeBytes: bytes.length,
  async read(offset, target) {
    if (!(offset >= 0 && Number.isSafeInteger(offset) && offset + target.length <= bytes.length))
      throw new OutsideTheFile(`read ${offset}+${target.length} of ${bytes.length}`)
    target.set(bytes.subarray(offset, offset + target.length))
  },
})

const made = async (options: CreateQcow2Options, level?: number): Promise<Bytes> => {
  const file = memoryFile()
  await createQcow2(file, options)
  const backing = options.backing === undefined ? {} : { backingDisk: memoryDisk(new Uint8Array(50_000)) }
  const disk = await openQcow2Writer(file, { ...backing, ...(level === undefined ? {} : { compressionLevel: level }) })
  await disk.write(1000, new Uint8Array(20_000).fill(7))
  await disk.write(60_000, seededBytes(3000, 1))
  await disk.addBitmap({ name: 'b', granularityBytes: 4096, dirty: [{ offset: 5000, length: 5000 }] })
  await disk[Symbol.asyncDispose]()
  return file.bytes()
}

const images = async (): Promise<Bytes[]> => {
  const folder = unpackFixtures()
  const fixtures = ['snapshots-resized', 'bitmaps-512', 'extl2-16k'].map(
    name => new Uint8Array(readFileSync(folder.path(name, 'i.qcow2'))),
  )
  folder.remove()
  const backing = { name: 'b.raw', format: 'raw' } as const
  return [
    ...fixtures,
    await made({ sizeBytes: 100_000, clusterBytes: 512 }),
    await made({ sizeBytes: 100_000, clusterBytes: 512 }, 1),
    await made({ sizeBytes: 2 ** 33, clusterBytes: 4096, backing }),
    await made({ sizeBytes: 100_000, clusterBytes: 4096, compression: 'zstd' }, 1),
    await made({ sizeBytes: 200_000, clusterBytes: 16_384, extendedL2: true, backing }),
  ]
}

/** Bytes worth changing: all that is not zero outside long noise, and the header. */
const targets = (image: Bytes): number[] => {
  const found: number[] = []
  for (let at = 0; at < image.length; at++) if (at < 200 || (image[at] !== 0 && image[at] !== 7)) found.push(at)
  return found
}

const VALUES = [0, 1, 0x7f, 0x80, 0xff]

const mutate = (image: Bytes, places: readonly number[], random: (below: number) => number): Bytes => {
  const bytes = image.slice(0, random(20) === 0 ? random(image.length) : image.length)
  const changes = 1 + random(4)
  for (let change = 0; change < changes; change++) {
    const at = random(3) === 0 ? random(120) : (places[random(places.length)] as number)
    if (at >= bytes.length) continue
    const kind = random(3)
    if (kind === 0) bytes[at] = (bytes[at] as number) ^ (1 << random(8))
    else if (kind === 1) bytes[at] = VALUES[random(VALUES.length)] as number
    else bytes.fill(VALUES[random(VALUES.length)] as number, at, at + random(9))
  }
  return bytes
}

const attempt = async (action: () => Promise<unknown>): Promise<void> => {
  try {
    await action()
  } catch (error) {
    if (!isGranaryError(error)) throw error
  }
}

const look = async (disk: DiskReader, random: (below: number) => number): Promise<void> => {
  let listed = 0
  for await (const extent of disk.extents()) {
    if (++listed > 200) break
    const target = new Uint8Array(Math.min(extent.length, 3000))
    await attempt(() => disk.read(extent.offset + random(extent.length - target.length + 1), target))
  }
}

const exercise = async (bytes: Bytes, random: (below: number) => number): Promise<void> => {
  const file = guardedFile(bytes)
  await attempt(() => readQcow2Info(file))
  for (const lenient of [false, true]) {
    await attempt(async () => {
      const resolve = async () => ({ disk: memoryDisk(new Uint8Array(50_000).fill(3)) })
      const disk = await openQcow2(file, { lenient, resolve, cacheBytes: 65_536 })
      await attempt(() => look(disk, random))
      await attempt(async () => {
        for (const { id } of (await disk.snapshots()).slice(0, 3)) await look(await disk.openSnapshot(id), random)
      })
      await attempt(async () => {
        for (const { name } of (await disk.bitmaps()).slice(0, 3)) {
          let listed = 0
          for await (const _ of disk.dirtyRanges(name)) if (++listed > 200) break
        }
      })
    })
  }
  await attempt(() => checkQcow2(file))
}

t.test('changed headers and tables', async t => {
  const originals = (await images()).map(image => ({ image, places: targets(image) }))
  const before = process.memoryUsage().rss
  let slowest = 0
  for (let seed = 0; seed < TOTAL; seed++) {
    const random = seededRandom(seed * 7919 + 1)
    const { image, places } = originals[seed % originals.length] as (typeof originals)[number]
    const bytes = mutate(image, places, random)
    const start = performance.now()
    try {
      await exercise(bytes, random)
    } catch (error) {
      t.fail(`seed ${seed}: ${String((error as Error).stack)}`)
      return
    }
    slowest = Math.max(slowest, performance.now() - start)
  }
  const grownBytes = process.memoryUsage().rss - before
  t.comment(
    `${TOTAL} mutations, slowest ${slowest.toFixed(0)} ms, memory grew by ${(grownBytes / 2 ** 20).toFixed(0)} MiB`,
  )
  t.ok(grownBytes < 400 * 2 ** 20, 'memory, with what is not collected yet')
})
