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
import { copyDisk, createRawDisk, memoryDisk, openRawReader, openRawWriter } from '../src/index.ts'
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

t.test('a device has its size, and cannot be created or resized', { skip }, async t => {
  const path = createLoopDevice(t, 3 * MiB)
  for (const { native } of nativeWays) {
    await using disk = await openRawWriter(path, { native })
    t.equal(disk.kind, 'device')
    t.equal(disk.sizeBytes, 3 * MiB)
    t.equal(disk.readsZero, false)
    await t.rejects(disk.resize(MiB), { code: 'GRANARY_UNSUPPORTED' })
  }
  await t.rejects(createRawDisk(path, MiB), { code: 'GRANARY_EXISTS' })
  await t.rejects(createRawDisk(path, MiB, { overwrite: true }), { code: 'GRANARY_INVALID_ARGUMENT', hint: /existing/ })
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
