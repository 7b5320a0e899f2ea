/** Copy on write, under readers and writers that come at once. */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { diskWriterContract, seededBytes, seededRandom } from '@granary/testing'
import { checkQcow2, memoryFile, openOverlay } from '../src/index.ts'
import type { WritableFile } from '../src/index.ts'

const BACKING = { name: 'base.raw', format: 'raw' } as const

/** What is written arrives later, as on a disk. */
const slowFile = (): WritableFile & { bytes(): Uint8Array } => {
  const file = memoryFile()
  return {
    get sizeBytes() {
      return file.sizeBytes
    },
    read: (offset, target) => file.read(offset, target),
    async write(offset, bytes) {
      for (let turns = 0; turns < 3; turns++) await setImmediate()
      await file.write(offset, bytes)
    },
    truncate: sizeBytes => file.truncate(sizeBytes),
    flush: () => file.flush(),
    bytes: () => file.bytes(),
  }
}

t.test('a read beside a write of the same cluster sees neither half of it nor damage', async t => {
  const SECTOR = 512
  const size = 4 * 65_536
  const base = seededBytes(size, 1)
  const before = base.slice()
  const expected = base.slice()
  const file = slowFile()
  const overlay = await openOverlay(file, { base: memoryDisk(base), backing: BACKING })
  const random = seededRandom(2)
  for (let round = 0; round < 40; round++) {
    // Every sector at most once in a round: what each read must see does not depend on the order.
    const free = Array.from({ length: size / SECTOR }, (_, sector) => sector)
    const take = (): number => (free.splice(random(free.length), 1)[0] as number) * SECTOR
    const work = Array.from({ length: 24 }, (_, i) => i).map(async i => {
      const offset = take()
      if (i % 3 === 0) {
        const bytes = seededBytes(SECTOR, 1000 * round + i)
        expected.set(bytes, offset)
        await overlay.write(offset, bytes)
      } else if (i % 7 === 1) {
        expected.fill(0, offset, offset + SECTOR)
        await overlay.zero(offset, SECTOR)
      } else {
        const found = new Uint8Array(SECTOR)
        await overlay.read(offset, found)
        if (Buffer.compare(found, expected.subarray(offset, offset + SECTOR)) !== 0) t.fail(`${round}: ${offset}`)
      }
    })
    await Promise.all(work)
    if (round % 10 === 9) await overlay.flush()
  }
  const all = new Uint8Array(size)
  await overlay.read(0, all)
  t.ok(Buffer.from(all).equals(expected))
  await overlay[Symbol.asyncDispose]()
  t.ok(Buffer.from(base).equals(before), 'the base')
  t.match(await checkQcow2(memoryFile(file.bytes())), { corruptions: 0, leaks: 0, isDirty: false })

  const again = await openOverlay(memoryFile(file.bytes()), { base: memoryDisk(base), backing: BACKING })
  await again.read(0, all)
  t.ok(Buffer.from(all).equals(expected), 'opened again')
  await again[Symbol.asyncDispose]()
})

diskWriterContract('overlay', async size => {
  const file = memoryFile()
  const base = memoryDisk(new Uint8Array(size))
  return {
    disk: await openOverlay(file, { base, backing: BACKING }),
    async readBack() {
      await using again = await openOverlay(memoryFile(file.bytes()), { base, backing: BACKING })
      const content = new Uint8Array(size)
      await again.read(0, content)
      return content
    },
  }
})

t.test('an overlay of another disk is refused', async t => {
  const file = memoryFile()
  await (await openOverlay(file, { base: memoryDisk(seededBytes(4096, 1)), backing: BACKING }))[Symbol.asyncDispose]()
  for (const [bytes, name] of [
    [4096, 'other.raw'],
    [8192, 'base.raw'],
  ] as const)
    await t.rejects(
      openOverlay(memoryFile(file.bytes()), {
        base: memoryDisk(seededBytes(bytes, 1)),
        backing: { name, format: 'raw' },
      }),
      { code: 'GRANARY_INVALID_ARGUMENT' },
    )
})
