import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createLoopDevice,
  diskReaderContract,
  diskWriterContract,
  seededBytes,
  whyNoLoopDevices,
} from '@granary/testing'
import t from 'tap'
import {
  copyDisk,
  copyStream,
  createRawDisk,
  diskStream,
  memoryDisk,
  openRawReader,
  openRawWriter,
} from '../src/index.ts'
import { nativeWays, readWhole, sameBytes } from './scratch.ts'

const MiB = 1024 ** 2
const skip = whyNoLoopDevices()

for (const { name, native } of nativeWays) {
  if (skip !== false) {
    t.test(`block devices pass the contracts, ${name}`, { skip }, () => undefined)
    continue
  }
  diskReaderContract(`block device, ${name}`, async () => {
    const path = createLoopDevice(t, MiB + 512) // Devices need not be whole pages long.
    const content = seededBytes(MiB + 512, 1).fill(0, 200_000, 500_000)
    await using writer = await openRawWriter(path, { native })
    await writer.write(0, content)
    return { disk: await openRawReader(path, { native }), content }
  })

  diskWriterContract(`block device, ${name}`, async sizeBytes => {
    const path = createLoopDevice(t, sizeBytes)
    return { disk: await openRawWriter(path, { native }), readBack: () => readWhole(path) }
  })

  t.test(`a device full of random bytes becomes the source, differences only, ${name}`, async t => {
    const path = createLoopDevice(t, 8 * MiB)
    await using device = await openRawWriter(path, { native })
    await device.write(0, seededBytes(8 * MiB, 6))
    const content = seededBytes(8 * MiB, 7)
    content.fill(0, MiB, 3 * MiB)
    content.set(seededBytes(8 * MiB, 6).subarray(5 * MiB, 6 * MiB), 5 * MiB) // One part is there already.
    const counts = await copyDisk(memoryDisk(content), device, { differencesOnly: true })
    t.ok(sameBytes(await readWhole(path), content))
    t.match(counts, { unchangedBytes: MiB, writtenBytes: 5 * MiB, zeroedBytes: 2 * MiB })
    const again = await copyDisk(memoryDisk(content), device, { differencesOnly: true })
    t.match(again, { unchangedBytes: 8 * MiB, writtenBytes: 0, zeroedBytes: 0 })
  })
}

t.test('a device has its size, and cannot be created', { skip }, async t => {
  const path = createLoopDevice(t, 3 * MiB)
  for (const { native } of nativeWays) {
    await using disk = await openRawWriter(path, { native })
    t.equal(disk.kind, 'device')
    t.equal(disk.sizeBytes, 3 * MiB)
    t.equal(disk.readsZero, false)
    t.notOk('resize' in disk)
  }
  await t.rejects(createRawDisk(path, MiB), { code: 'GRANARY_EXISTS' })
  await t.rejects(createRawDisk(path, MiB, { overwrite: true }), { code: 'GRANARY_INVALID_ARGUMENT', hint: /existing/ })
})

t.test('a stream goes onto a device, which keeps what is behind its end', { skip }, async t => {
  const path = createLoopDevice(t, 2 * MiB)
  await using disk = await openRawWriter(path)
  const before = seededBytes(2 * MiB, 1)
  const content = seededBytes(MiB + 1000, 2).fill(0, 0, 300_000)
  await disk.write(0, before)
  await copyStream(diskStream([content], 'test'), disk)
  before.set(content)
  t.ok(sameBytes(await readWhole(path), before))
  await t.rejects(copyStream(diskStream([seededBytes(2 * MiB + 1, 3)], 'test'), disk), { code: 'GRANARY_SIZE' })
})

t.test('a mounted device is not written', { skip }, async t => {
  const path = createLoopDevice(t, 4 * MiB)
  execFileSync('mkfs.ext4', ['-q', path])
  const folder = mkdtempSync(join(tmpdir(), 'granary-mount-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  execFileSync('mount', [path, folder])
  try {
    await t.rejects(openRawWriter(path), { code: 'GRANARY_LOCKED', hint: /[Uu]nmount/ })
    await using reader = await openRawReader(path)
    t.equal(reader.sizeBytes, 4 * MiB)
  } finally {
    execFileSync('umount', [folder])
  }
})
