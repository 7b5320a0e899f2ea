/** Random writes, zeroes and flushes leave what a plain buffer would hold, in an image that QEMU calls clean. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { memoryDisk } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes, seededRandom } from '@granary/testing'
import { createQcow2, memoryFile, openQcow2, openQcow2Writer } from '../src/index.ts'
import type { CreateQcow2Options, OpenQcow2WriterOptions, Qcow2Writer } from '../src/index.ts'
import { noQemu, qemuCheck, qemuImg } from './peer.ts'

t.setTimeout(process.env['GRANARY_TEST_LONG'] === undefined ? 600_000 : 7_200_000)
const scratch = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

interface Shape extends Partial<CreateQcow2Options>, Pick<OpenQcow2WriterOptions, 'compressionLevel'> {
  readonly hasBacking?: boolean
}

const SHAPES: Readonly<Record<string, Shape>> = {
  'clusters of 512': { clusterBytes: 512 },
  'clusters of 64 KiB': {},
  'clusters of 2 MiB': { clusterBytes: 2 * 1024 * 1024 },
  'refcounts of 1 bit': { clusterBytes: 4096, refcountBits: 1 },
  'refcounts of 64 bits': { clusterBytes: 1024, refcountBits: 64 },
  'over a backing file': { clusterBytes: 16_384, hasBacking: true },
  'extended L2': { extendedL2: true },
  'extended L2, small, over a backing file': { extendedL2: true, clusterBytes: 16_384, hasBacking: true },
  zlib: { compressionLevel: 1 },
  'zlib in clusters of 512, refcounts of 2 bits': { compressionLevel: 1, clusterBytes: 512, refcountBits: 2 },
  'zlib over a backing file': { compressionLevel: 1, clusterBytes: 4096, hasBacking: true },
  zstd: { compressionLevel: 3, compression: 'zstd', clusterBytes: 32_768 },
  'zstd, extended L2': { compressionLevel: 3, compression: 'zstd', extendedL2: true },
}

const SIZE_BYTES = 3 * 1024 * 1024 + 512 * 7
const BACKING_BYTES = 2 * 1024 * 1024 + 512 * 3

/** Half noise, half text, so that some clusters compress and some do not. */
const content = (length: number, seed: number): Uint8Array => {
  if (seed % 2 === 0) return seededBytes(length, seed)
  return new Uint8Array(Buffer.alloc(length, `granary ${seed} `))
}

const backing = content(BACKING_BYTES, 99)
writeFileSync(join(scratch, 'backing.raw'), backing)

const open = async (shape: Shape, sizeBytes = SIZE_BYTES) => {
  const { hasBacking = false, compressionLevel, ...options } = shape
  const file = memoryFile()
  await createQcow2(file, {
    sizeBytes,
    ...options,
    ...(hasBacking ? { backing: { name: 'backing.raw', format: 'raw' } } : {}),
  })
  const wanted = new Uint8Array(sizeBytes)
  if (hasBacking) wanted.set(backing.subarray(0, sizeBytes))
  const reopen = async (): Promise<Qcow2Writer> =>
    await openQcow2Writer(file, {
      cacheBytes: 4096, // The smallest: tables must go to the file and come back.
      ...(hasBacking ? { backingDisk: memoryDisk(backing) } : {}),
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
    })
  return { file, wanted, reopen, hasBacking }
}

const mutate = async (disk: Qcow2Writer, wanted: Uint8Array, seed: number): Promise<void> => {
  const random = seededRandom(seed)
  const maxBytes = [2000, 20_000, 400_000][seed % 3] as number
  for (let step = 0; step < 40; step++) {
    const unit = [1, 512, 4096, 65_536][random(4)] as number
    const offset = random(wanted.length)
    const start = offset - (offset % unit)
    const length = Math.min(wanted.length - start, Math.ceil(random(maxBytes) / unit) * unit)
    const kind = random(10)
    if (kind < 6) {
      const bytes = content(length, seed * 1000 + step)
      await disk.write(start, bytes)
      wanted.set(bytes, start)
    } else if (kind < 9) {
      await disk.zero(start, length, { punch: kind === 8 })
      wanted.fill(0, start, start + length)
    } else await disk.flush()
    const probe = new Uint8Array(Math.min(5000, wanted.length - start))
    await disk.read(start, probe)
    if (Buffer.compare(probe, wanted.subarray(start, start + probe.length)) !== 0)
      throw new Error(`seed ${seed} step ${step}: read ${start}+${probe.length} differs`)
  }
}

const judge = async (t: Test, name: string, bytes: Uint8Array, wanted: Uint8Array): Promise<void> => {
  const image = join(scratch, 'image.qcow2')
  const raw = join(scratch, 'wanted.raw')
  writeFileSync(image, bytes)
  writeFileSync(raw, wanted)
  t.strictSame(qemuCheck(image), { errors: 0, leaks: 0 }, `${name}: check`)
  t.match(qemuImg('compare', '-f', 'qcow2', '-F', 'raw', image, raw), /identical/, `${name}: compare`)
}

for (const [name, shape] of Object.entries(SHAPES)) {
  t.test(`${name}: random sequences`, async t => {
    const rounds = process.env['GRANARY_TEST_LONG'] === undefined ? 2 : 60
    t.comment(`${rounds} sequences of 40 steps`)
    for (let seed = 1; seed <= rounds; seed++) {
      const { file, wanted, reopen, hasBacking } = await open(shape)
      for (const half of [0, 1]) {
        const disk = await reopen()
        await mutate(disk, wanted, seed * 2 + half)
        await disk[Symbol.asyncDispose]()
      }
      const disk = await openQcow2(memoryFile(file.bytes()), hasBacking ? { backingDisk: memoryDisk(backing) } : {})
      const found = new Uint8Array(disk.sizeBytes)
      await disk.read(0, found)
      t.equal(Buffer.compare(found, wanted), 0, `seed ${seed}: content`)
      t.equal(disk.info().isDirty, false)
      await disk[Symbol.asyncDispose]()
      if (noQemu === false && seed === rounds) await judge(t, name, file.bytes(), wanted)
    }
  })
}

const contract = async (sizeBytes: number, shape: Shape) => {
  const { file, reopen } = await open(shape, sizeBytes)
  const readBack = async (): Promise<Uint8Array> => {
    const disk = await openQcow2(memoryFile(file.bytes()))
    const bytes = new Uint8Array(disk.sizeBytes)
    await disk.read(0, bytes)
    await disk[Symbol.asyncDispose]()
    return bytes
  }
  return { disk: await reopen(), readBack }
}
diskWriterContract('qcow2', async size => await contract(size, {}))
diskWriterContract('qcow2, zlib', async size => await contract(size, { compressionLevel: 1 }))
diskWriterContract('qcow2, extended L2', async size => await contract(size, { extendedL2: true }))

for (const [name, shape] of Object.entries({
  plain: {},
  zlib: { compressionLevel: 1 },
  'over a backing file': { hasBacking: true },
})) {
  diskReaderContract(`qcow2 ${name}`, async () => {
    const { file, wanted, reopen, hasBacking } = await open(shape as Shape)
    const disk = await reopen()
    await mutate(disk, wanted, 5)
    await disk[Symbol.asyncDispose]()
    const backingDisk = hasBacking ? { backingDisk: memoryDisk(backing) } : {}
    return { disk: await openQcow2(memoryFile(file.bytes()), backingDisk), content: wanted }
  })
}
