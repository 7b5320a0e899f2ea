import { execFileSync } from 'node:child_process'
import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { faultyReader, gatedReader, mountTmpfs, seededBytes, seededRandom, whyNoMounts } from '@granary/testing'
import fc from 'fast-check'
import t from 'tap'
import { copyDisk, createRawDisk, memoryDisk, openRawReader, openRawWriter } from '../src/index.ts'
import type { Bytes, CopyCounts, DiskReader, DiskWriter, ProgressEvent } from '../src/index.ts'
import { freshPath, nativeWays, openFiles, readWhole, sameBytes, sparseFile } from './scratch.ts'

const MiB = 1024 ** 2

/** Noise with rows of zero blocks of many lengths, at odd places too. */
const patchyBytes = (length: number, seed: number): Bytes => {
  const bytes = seededBytes(length, seed)
  const random = seededRandom(seed)
  for (let at = 0; at < length;) {
    const zeroBytes = random(2) === 0 ? 4096 * random(40) : random(100_000)
    bytes.fill(0, at, at + zeroBytes)
    at += zeroBytes + 1 + random(150_000)
  }
  return bytes
}

const addUp = (counts: CopyCounts): [number, number] => [
  counts.dataBytes + counts.zeroBytes + counts.holeBytes,
  counts.writtenBytes + counts.zeroedBytes + counts.unchangedBytes,
]

/** Remembers what is written and zeroed. */
const watched = (disk: DiskWriter): { disk: DiskWriter; written: { offset: number; length: number }[] } => {
  const written: { offset: number; length: number }[] = []
  return {
    written,
    disk: {
      sizeBytes: disk.sizeBytes,
      readsZero: disk.readsZero,
      async write(offset, bytes, options) {
        written.push({ offset, length: bytes.length })
        await disk.write(offset, bytes, options)
      },
      zero: (offset, length, options) => disk.zero(offset, length, options),
      flush: options => disk.flush(options),
      [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
    },
  }
}

interface Drawn {
  readonly seed: number
  readonly sizeBytes: number
  readonly bufferBytes: number
  readonly concurrency: number
  readonly way: string
}

for (const { name, native } of nativeWays) {
  t.test(`${name}: any disk becomes the source, fresh, written over, or by differences`, async t => {
    const drawn = fc.record({
      seed: fc.integer({ min: 1, max: 1000 }),
      sizeBytes: fc.integer({ min: 0, max: 900_000 }),
      bufferBytes: fc.constantFrom(4096, 65_536, MiB),
      concurrency: fc.integer({ min: 1, max: 5 }),
      way: fc.constantFrom('fresh', 'existing', 'differences'),
    })
    const check = async ({ seed, sizeBytes, way, ...options }: Drawn): Promise<void> => {
      const content = patchyBytes(sizeBytes, seed)
      const path = freshPath()
      if (way !== 'fresh')
        await sparseFile(patchyBytes(sizeBytes + 5000, seed + 1), [{ offset: 0, length: sizeBytes }], path)
      await using writer =
        way === 'fresh' ? await createRawDisk(path, sizeBytes, { native }) : await openRawWriter(path, { native })
      const counts = await copyDisk(memoryDisk(content), writer, { ...options, differencesOnly: way === 'differences' })
      const found = await readWhole(path)
      if (!sameBytes(found.subarray(0, sizeBytes), content)) throw new Error('content differs')
      if (addUp(counts).some(sum => sum !== sizeBytes)) throw new Error(`counts ${JSON.stringify(counts)}`)
    }
    await t.resolves(fc.assert(fc.asyncProperty(drawn, check), { seed: 5, numRuns: 60 }))
  })

  t.test(`${name}: zeros are found and not written, and the copy is sparse`, async t => {
    const content = seededBytes(8 * MiB, 2)
    content.fill(0, MiB, 3 * MiB)
    content.fill(0, 5 * MiB + 8192, 5 * MiB + 8192 + 65_536)
    const source = await sparseFile(content, [{ offset: 0, length: 8 * MiB }]) // Zeros are written there.
    const target = freshPath()
    await using reader = await openRawReader(source, { native })
    await using writer = await createRawDisk(target, 8 * MiB, { native })
    const { disk, written } = watched(writer)
    const counts = await copyDisk(reader, disk)
    const dataBytes = 6 * MiB - 65_536
    t.match(counts, { dataBytes, zeroBytes: 2 * MiB + 65_536, holeBytes: 0, writtenBytes: dataBytes, zeroedBytes: 0 })
    t.equal(
      written.reduce((sum, { length }) => sum + length, 0),
      dataBytes,
    )
    t.ok(sameBytes(await readWhole(target), content))
    t.ok((await stat(target)).blocks * 512 <= dataBytes + 65_536)
  })

  t.test(`${name}: differences only writes what differs`, async t => {
    const before = seededBytes(4 * MiB, 3)
    const content = before.slice()
    content[5000] = (content[5000] ?? 0) ^ 1
    content.fill(1, 2 * MiB, 2 * MiB + 10_000)
    content.fill(0, 3 * MiB, 3 * MiB + 8192)
    const path = await sparseFile(before, [{ offset: 0, length: 4 * MiB }])
    await using writer = await openRawWriter(path, { native })
    const counts = await copyDisk(memoryDisk(content), writer, { differencesOnly: true })
    t.match(counts, { writtenBytes: 4096 + 3 * 4096, zeroedBytes: 8192, unchangedBytes: 4 * MiB - 24_576 })
    t.ok(sameBytes(await readWhole(path), content))
  })
}

const hasNative = nativeWays[0]?.native !== null

t.test('holes stay holes', { skip: hasNative ? false : 'this system has no native calls' }, async t => {
  const content = seededBytes(64 * MiB, 4)
  const data = [{ offset: 10 * MiB, length: MiB }]
  const source = await sparseFile(content, data)
  await truncate(source, 2 ** 40)
  const target = freshPath()
  await using reader = await openRawReader(source)
  {
    await using writer = await createRawDisk(target, 2 ** 40)
    const counts = await copyDisk(reader, writer)
    t.match(counts, { dataBytes: MiB, zeroBytes: 0, holeBytes: 2 ** 40 - MiB, writtenBytes: MiB })
  }
  t.ok((await stat(target)).blocks * 512 <= 2 * MiB)
  await using writer = await openRawWriter(target)
  await writer.write(2 ** 39, content.subarray(0, MiB))
  await writer.flush()
  const again = await copyDisk(reader, writer, { differencesOnly: true })
  t.match(again, { writtenBytes: 0, zeroedBytes: MiB, unchangedBytes: 2 ** 40 - MiB })
  t.ok((await stat(target)).blocks * 512 <= 2 * MiB, 'what was cleared is a hole again')
})

t.test('refuses a target that is too small, or cannot be compared, before it writes', async t => {
  const source = memoryDisk(seededBytes(2000, 1))
  const content = new Uint8Array(1999)
  const small = memoryDisk(content)
  await t.rejects(copyDisk(source, small), {
    code: 'GRANARY_SIZE',
    detail: { neededBytes: 2000, availableBytes: 1999 },
    hint: /larger/,
  })
  t.ok(content.every(byte => byte === 0))
  const { disk } = watched(memoryDisk(new Uint8Array(2000)))
  await t.rejects(copyDisk(source, disk, { differencesOnly: true }), { code: 'GRANARY_INVALID_ARGUMENT' })
  for (const bufferBytes of [0, -4096, 1000, 2 ** 30]) {
    await t.rejects(copyDisk(source, disk, { bufferBytes }), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
  await t.rejects(copyDisk(source, disk, { concurrency: 0 }), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('a larger target keeps what is behind the end', async t => {
  const content = new Uint8Array(10_000).fill(7)
  await copyDisk(memoryDisk(new Uint8Array(5000).fill(1)), memoryDisk(content))
  t.ok(content.subarray(0, 5000).every(byte => byte === 1) && content.subarray(5000).every(byte => byte === 7))
})

t.test('a source that fails or ends midway is an error that says where', async t => {
  const content = seededBytes(4 * MiB, 5)
  const target = (): DiskWriter => memoryDisk(new Uint8Array(4 * MiB))
  await t.rejects(copyDisk(faultyReader(memoryDisk(content), { errorAt: 3 * MiB }), target()), {
    code: 'GRANARY_IO',
    detail: { offset: 3 * MiB },
  })
  const path = await sparseFile(content, [{ offset: 0, length: 4 * MiB }])
  for (const { native } of nativeWays) {
    await using reader = await openRawReader(path, { native })
    let isCut = false
    const shrinking: DiskReader = gatedReader(reader, async offset => {
      if (offset < 2 * MiB || isCut) return
      isCut = true
      await truncate(path, 2 * MiB + 100)
    })
    await t.rejects(copyDisk(shrinking, target(), { concurrency: 1 }), {
      code: 'GRANARY_SIZE',
      detail: { path, offset: 2 * MiB + 100 },
    })
    await truncate(path, 4 * MiB)
  }
})

t.test('a full target is an error, and the disks can be closed', { skip: whyNoMounts() }, async t => {
  const path = join(mountTmpfs(t, MiB), 'disk')
  await using writer = await createRawDisk(path, 4 * MiB)
  await t.rejects(copyDisk(memoryDisk(seededBytes(4 * MiB, 6)), writer), { code: 'GRANARY_NO_SPACE', detail: { path } })
})

t.test('an abort midway ends it, nothing is in flight, and no file stays open', async t => {
  const controller = new AbortController()
  const path = await sparseFile(seededBytes(8 * MiB, 7), [{ offset: 0, length: 8 * MiB }])
  const target = freshPath()
  let reads = 0
  let settled = 0
  const copy = async (): Promise<void> => {
    await using reader = await openRawReader(path)
    await using writer = await createRawDisk(target, 8 * MiB)
    const counted: DiskReader = {
      ...reader,
      async read(offset, bytes, options) {
        if (++reads === 5) controller.abort(new Error('stop'))
        try {
          await reader.read(offset, bytes, options)
        } finally {
          settled++
        }
      },
    }
    try {
      await copyDisk(counted, writer, { signal: controller.signal })
    } finally {
      t.equal(settled, reads, 'all reads have settled')
      t.ok(openFiles().length >= 2)
    }
  }
  await t.rejects(copy(), { message: 'stop' })
  t.ok(reads < 10)
  t.strictSame(openFiles(), [])
  await t.rejects(
    copyDisk(memoryDisk(new Uint8Array(1)), memoryDisk(new Uint8Array(1)), { signal: controller.signal }),
    {
      message: 'stop',
    },
  )
})

t.test('memory is bounded by the pieces in flight', async t => {
  const content = seededBytes(4 * MiB, 8)
  let inFlight = 0
  let most = 0
  const disk = memoryDisk(content)
  const counted: DiskReader = {
    ...disk,
    async read(offset, bytes, options) {
      most = Math.max(most, ++inFlight)
      t.ok(bytes.length <= 65_536)
      await setImmediate()
      await disk.read(offset, bytes, options)
      inFlight--
    },
  }
  await copyDisk(counted, memoryDisk(new Uint8Array(4 * MiB)), { concurrency: 3, bufferBytes: 65_536 })
  t.ok(most > 1 && most <= 3, `${most} in flight`)
})

t.test('tells its progress up to the end', async t => {
  const events: ProgressEvent[] = []
  const content = seededBytes(3 * MiB, 9).fill(0, MiB, 2 * MiB)
  await copyDisk(memoryDisk(content), memoryDisk(new Uint8Array(3 * MiB)), { onProgress: event => events.push(event) })
  t.match(events.at(-1), {
    phase: 'copy',
    doneBytes: 3 * MiB,
    totalBytes: 3 * MiB,
    readBytes: 2 * MiB,
    storedBytes: 2 * MiB,
  })
  t.ok(events.every(({ doneBytes }, i) => doneBytes >= (events[i - 1]?.doneBytes ?? 0)))
})

t.test('an unreadable block of a real device is an error', { skip: whyNoMapper() }, async t => {
  const name = `granary-test-error-${process.pid}`
  const device = `/dev/mapper/${name}`
  execFileSync('dmsetup', ['create', name, '--table', '0 2048 error'])
  try {
    await using reader = await openRawReader(device)
    t.equal(reader.sizeBytes, MiB)
    await t.rejects(copyDisk(reader, memoryDisk(new Uint8Array(MiB))), {
      code: 'GRANARY_IO',
      detail: { path: device, offset: 0, errno: 'EIO' },
    })
  } finally {
    execFileSync('dmsetup', ['remove', '--retry', name]) // Whoever looks at new devices may have it open for a moment.
  }
})

function whyNoMapper(): string | false {
  try {
    execFileSync('dmsetup', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'needs the device mapper'
  }
}
