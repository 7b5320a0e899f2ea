/** What every `DiskReader` must do. A new reader's test is one call of this. @module */
import t from 'tap'
import type { Bytes, DiskReader, Extent } from '@granary/core'
import { seededRandom } from './random-bytes.ts'

export interface DiskReaderContractOptions {
  /** Random reads to compare. @default 200 */
  readonly reads?: number
  /** Longest of them, bytes. @default 256 KiB */
  readonly maxReadBytes?: number
}

/**
 * @param open gives a fresh reader and the content it must show
 */
export const diskReaderContract = (
  name: string,
  open: () => Promise<{ disk: DiskReader; content: Bytes }>,
  { reads = 200, maxReadBytes = 256 * 1024 }: DiskReaderContractOptions = {},
): void => {
  t.test(`${name}: shows its content whole and at random`, async t => {
    const { disk, content } = await open()
    t.equal(disk.sizeBytes, content.length, 'size')
    t.ok(disk.blockBytes >= 1 && Number.isInteger(Math.log2(disk.blockBytes)), 'block size is a power of two')
    const random = seededRandom(7)
    for (let i = 0; i < reads; i++) {
      const offset = random(content.length + 1)
      const length = random(Math.min(maxReadBytes, content.length - offset) + 1)
      const target = new Uint8Array(new SharedArrayBuffer(length))
      target.fill(0xa5)
      await disk.read(offset, target)
      if (Buffer.compare(target, content.subarray(offset, offset + length)) !== 0)
        t.fail(`read ${offset}+${length} differs`)
    }
    await disk[Symbol.asyncDispose]()
    t.pass(`${reads} reads`)
  })

  t.test(`${name}: many reads at once`, async t => {
    const { disk, content } = await open()
    const random = seededRandom(11)
    const ranges = Array.from({ length: 32 }, () => {
      const offset = random(content.length + 1)
      return { offset, length: random(Math.min(65_536, content.length - offset) + 1) }
    })
    const got = await Promise.all(
      ranges.map(async ({ offset, length }) => {
        const target = new Uint8Array(length)
        await disk.read(offset, target)
        return Buffer.compare(target, content.subarray(offset, offset + length))
      }),
    )
    t.ok(got.every(order => order === 0))
    await disk[Symbol.asyncDispose]()
  })

  t.test(`${name}: extents ascend, touch, cover, and tell the truth`, async t => {
    const { disk, content } = await open()
    await checkExtents(t, disk, content, 0, content.length)
    const random = seededRandom(5)
    for (let i = 0; i < 20; i++) {
      const offset = random(content.length + 1)
      await checkExtents(t, disk, content, offset, random(content.length - offset + 1))
    }
    await disk[Symbol.asyncDispose]()
  })

  t.test(`${name}: refuses ranges outside the disk`, async t => {
    const { disk, content } = await open()
    const code = { code: 'GRANARY_INVALID_ARGUMENT' }
    await t.rejects(disk.read(content.length, new Uint8Array(1)), code)
    await t.rejects(disk.read(-1, new Uint8Array(1)), code)
    await t.rejects(disk.read(0.5, new Uint8Array(1)), code)
    await t.rejects(collect(disk.extents({ offset: content.length + 1 })), code)
    await disk[Symbol.asyncDispose]()
  })

  t.test(`${name}: an aborted signal ends a read and a listing`, async t => {
    const { disk, content } = await open()
    const signal = AbortSignal.abort(new Error('stop'))
    await t.rejects(disk.read(0, new Uint8Array(Math.min(1, content.length)), { signal }), { message: 'stop' })
    if (content.length > 0) await t.rejects(collect(disk.extents({ signal })), { message: 'stop' })
    await disk[Symbol.asyncDispose]()
  })

  t.test(`${name}: closing twice is harmless`, async t => {
    const { disk } = await open()
    await disk[Symbol.asyncDispose]()
    await t.resolves(async () => await disk[Symbol.asyncDispose]())
  })
}

const collect = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

const checkExtents = async (
  t: { fail: (message: string) => void; equal: (found: unknown, wanted: unknown, message: string) => void },
  disk: DiskReader,
  content: Bytes,
  offset: number,
  length: number,
): Promise<void> => {
  let at = offset
  for (const extent of await collect<Extent>(disk.extents({ offset, length }))) {
    if (extent.offset !== at || extent.length <= 0)
      t.fail(`extent ${extent.offset}+${extent.length}, expected one at ${at}`)
    const isZero = content.subarray(extent.offset, extent.offset + extent.length).every(byte => byte === 0)
    if (extent.kind !== 'data' && !isZero) t.fail(`${extent.kind} at ${extent.offset} has data`)
    at += extent.length
  }
  t.equal(at, offset + length, `covers ${offset}+${length}`)
}
