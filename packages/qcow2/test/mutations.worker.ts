/** Changes headers and tables of images, and does with them whatever one does with an image. A thread: the hooks of a test would halve its speed. */
import { parentPort, workerData } from 'node:worker_threads'
import { isGranaryError, memoryDisk } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'
import { seededRandom } from '@granary/testing/simulation'
import { checkQcow2, openQcow2, readQcow2Info } from '../src/index.ts'
import type { RandomFile } from '../src/index.ts'

export interface MutationJob {
  /** Seeds, the second one excluded. */
  readonly seeds: readonly [from: number, to: number]
  readonly images: readonly Bytes[]
}

/** What one job saw. */
export interface MutationResult {
  readonly slowestMs: number
  /** What went wrong otherwise than with a GranaryError. */
  readonly wrong: string | undefined
}

class OutsideTheFile extends Error {}

const guardedFile = (bytes: Bytes): RandomFile => ({
  sizeBytes: bytes.length,
  async read(offset, target) {
    if (!(offset >= 0 && Number.isSafeInteger(offset) && offset + target.length <= bytes.length))
      throw new OutsideTheFile(`read ${offset}+${target.length} of ${bytes.length}`)
    target.set(bytes.subarray(offset, offset + target.length))
  },
})

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

const run = async ({ seeds: [from, to], images }: MutationJob): Promise<MutationResult> => {
  const originals = images.map(image => ({ image, places: targets(image) }))
  let slowestMs = 0
  for (let seed = from; seed < to; seed++) {
    const random = seededRandom(seed * 7919 + 1)
    const { image, places } = originals[seed % originals.length] as (typeof originals)[number]
    const bytes = mutate(image, places, random)
    const start = performance.now()
    try {
      await exercise(bytes, random)
    } catch (error) {
      return { slowestMs, wrong: `seed ${seed}: ${String((error as Error).stack)}` }
    }
    slowestMs = Math.max(slowestMs, performance.now() - start)
  }
  return { slowestMs, wrong: undefined }
}

parentPort?.postMessage(await run(workerData as MutationJob))
