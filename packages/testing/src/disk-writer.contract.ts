/** What every `DiskWriter` must do. A new writer's test is one call of this. @module */
import t from 'tap'
import type { Bytes, DiskWriter } from '@granary/core'
import { seededBytes, seededRandom } from './random-bytes.ts'

export interface DiskWriterContractOptions {
  /** Random operations. @default 150 */
  readonly operations?: number
  /** Offsets and lengths are multiples of this, bytes. @default 1 */
  readonly alignBytes?: number
}

/**
 * @param create gives a fresh writer of `sizeBytes`, and a way to read the whole content back after it was closed
 */
export const diskWriterContract = (
  name: string,
  create: (sizeBytes: number) => Promise<{ disk: DiskWriter; readBack: () => Promise<Bytes> }>,
  { operations = 150, alignBytes = 1 }: DiskWriterContractOptions = {},
): void => {
  const sizeBytes = 4 * 1024 * 1024
  const aligned = (n: number): number => n - (n % alignBytes)

  t.test(`${name}: keeps what random writes and zeroes leave`, async t => {
    const { disk, readBack } = await create(sizeBytes)
    t.equal(disk.sizeBytes, sizeBytes)
    const random = seededRandom(3)
    const wanted = new Uint8Array(sizeBytes)
    if (!disk.readsZero) await disk.zero(0, sizeBytes)
    for (let i = 0; i < operations; i++) {
      const offset = aligned(random(sizeBytes))
      const length = aligned(random(Math.min(200_000, sizeBytes - offset) + 1))
      if (random(3) === 0) {
        await disk.zero(offset, length, { punch: random(2) === 0 })
        wanted.fill(0, offset, offset + length)
      } else {
        const bytes = seededBytes(length, i)
        await disk.write(offset, bytes)
        wanted.set(bytes, offset)
        bytes.fill(0xee) // The writer took the bytes: changing them now must not matter.
      }
      if (i % 40 === 0) await disk.flush()
    }
    await disk.flush()
    await disk[Symbol.asyncDispose]()
    t.equal(Buffer.compare(await readBack(), wanted), 0, 'content')
  })

  t.test(`${name}: refuses ranges outside the disk`, async t => {
    const { disk } = await create(sizeBytes)
    const code = { code: 'GRANARY_INVALID_ARGUMENT' }
    await t.rejects(disk.write(sizeBytes, new Uint8Array(alignBytes)), code)
    await t.rejects(disk.write(-alignBytes, new Uint8Array(alignBytes)), code)
    await t.rejects(disk.zero(0, sizeBytes + alignBytes), code)
    await disk[Symbol.asyncDispose]()
  })

  t.test(`${name}: an aborted signal ends a write`, async t => {
    const { disk } = await create(sizeBytes)
    const signal = AbortSignal.abort(new Error('stop'))
    await t.rejects(disk.write(0, new Uint8Array(alignBytes), { signal }), { message: 'stop' })
    await disk[Symbol.asyncDispose]()
    await t.resolves(async () => await disk[Symbol.asyncDispose](), 'closing twice is harmless')
  })
}
