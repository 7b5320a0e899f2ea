/**
 * An upload and a download through all that breaks: connections cut at any byte, answers lost, servers that fail, hosts that
 * crash with what was not flushed. What comes out is what was written, whatever the order of events.
 */
import t from 'tap'
import type { Bytes } from '@granary/core'
import { isGranaryError } from '@granary/core'
import { differencesFrom } from '@granary/ovirt-simulator'
import type { FaultEffect, SimulatedDisk } from '@granary/ovirt-simulator'
import { seededBytes, seededRandom } from '@granary/testing'
import { openImageDisk } from '../../src/imageio/image-disk.ts'
import { openImageUpload } from '../../src/imageio/image-upload.ts'
import type { ImageUpload } from '../../src/imageio/image-upload.ts'
import { readAll, startHost } from './simulated-host.ts'
import type { SimulatedHost } from './simulated-host.ts'

const MiB = 1024 * 1024
const SIZE = 6 * MiB + 512
const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const SEEDS = isLong ? 200 : 6
t.setTimeout(isLong ? 3_600_000 : 600_000)
const host = await startHost()

const EFFECTS: readonly FaultEffect[] = [
  { kind: 'drop', afterBytes: 0 },
  { kind: 'drop', afterBytes: 70_001 },
  { kind: 'truncate', afterBytes: 300_000 },
  { kind: 'truncate', afterBytes: 1 },
  { kind: 'lose-answer' },
  { kind: 'delay', ms: 90_000 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503 },
  { kind: 'expire' },
]

/** A change to the disk, which can be made again. */
type Change = { readonly offset: number; readonly length: number; readonly bytes: Bytes | undefined }

const armFaults = (random: (below: number) => number): { disarm(): void } => {
  const armed = Array.from({ length: 6 }, () => {
    const effect = EFFECTS[random(EFFECTS.length)] as FaultEffect
    return host.daemon.armFault({ effect, after: random(12) })
  })
  return { disarm: () => armed.forEach(fault => fault.disarm()) }
}

const apply = async (upload: ImageUpload, { offset, length, bytes }: Change): Promise<void> => {
  if (bytes === undefined) await upload.zero(offset, length, { punch: true })
  else await upload.write(offset, bytes)
}

/** The caller that the writer wants: keeps what was not flushed, and opens again what failed. */
class PersistentUpload {
  readonly #host: SimulatedHost
  readonly #disk: SimulatedDisk
  readonly #random: (below: number) => number
  #open: { id: string; upload: ImageUpload; cache: { crash(): void } } | undefined
  #unflushed: Change[] = []
  reopened = 0

  constructor(disk: SimulatedDisk, random: (below: number) => number) {
    this.#host = host
    this.#disk = disk
    this.#random = random
  }

  async change(change: Change): Promise<void> {
    this.#unflushed.push(change)
    await this.#persist(upload => apply(upload, change))
  }

  async flush(): Promise<void> {
    await this.#persist(upload => upload.flush())
    this.#unflushed = []
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#open?.upload[Symbol.asyncDispose]()
    await this.#host.daemon.removeTicket(this.#open?.id ?? '')
  }

  async #persist(work: (upload: ImageUpload) => Promise<void>): Promise<void> {
    for (;;) {
      try {
        if (this.#open === undefined) {
          await this.#openAgain()
          for (const change of this.#unflushed) await apply(this.#upload, change)
        }
        await work(this.#upload)
        return
      } catch (error) {
        if (!isGranaryError(error)) throw error
        await this.#leave()
      }
    }
  }

  get #upload(): ImageUpload {
    return this.#open?.upload as ImageUpload
  }

  async #openAgain(): Promise<void> {
    const { id, cache } = this.#host.addUpload(this.#disk)
    this.#open = { id, cache, upload: await openImageUpload(this.#host.optionsFor(id)) }
  }

  /** Half of the failures are crashes. */
  async #leave(): Promise<void> {
    this.reopened++
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return
    await open.upload[Symbol.asyncDispose]()
    if (this.#random(2) === 0) open.cache.crash()
    await this.#host.daemon.removeTicket(open.id)
  }
}

t.test(`uploads and downloads, ${SEEDS} seeds${isLong ? '' : ' (more with GRANARY_TEST_LONG)'}`, async t => {
  t.setTimeout(0)
  let reopened = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed)
    const disk = await host.newDisk(SIZE)
    const wanted = new Uint8Array(SIZE)
    const upload = new PersistentUpload(disk, random)
    const faults = armFaults(random)
    for (let i = 0; i < 14; i++) {
      const offset = random(SIZE)
      const length = random(Math.min(MiB, SIZE - offset)) + 1
      const bytes = random(4) === 0 ? undefined : seededBytes(length, seed * 100 + i)
      await upload.change({ offset, length, bytes })
      if (bytes === undefined) wanted.fill(0, offset, offset + length)
      else wanted.set(bytes, offset)
      if (random(5) === 0) await upload.flush()
    }
    await upload.close()
    faults.disarm()
    reopened += upload.reopened
    const isSame = Buffer.compare(await readAll(disk.open()), wanted) === 0
    if (!isSame) t.fail(`seed ${seed}: the disk is not what was written`)
    if ((await differencesFrom(await disk.record(), disk.open())).length > 0) t.fail(`seed ${seed}: the oracle`)

    const download = armFaults(random)
    const read = await readThrough(disk)
    download.disarm()
    if (Buffer.compare(read, wanted) !== 0) t.fail(`seed ${seed}: what is read is not what was written`)
    await disk.remove()
  }
  t.ok(reopened > 0, `${reopened} times opened again`)
})

/** Opens the image again as often as its ticket is refused. */
const readThrough = async (disk: SimulatedDisk): Promise<Bytes> => {
  for (;;) {
    try {
      await using image = await openImageDisk(host.optionsFor(host.addTicket(disk.open())))
      return await readAll(image)
    } catch (error) {
      if (!isGranaryError(error)) throw error
    }
  }
}
