/**
 * A crash at any moment: the file is what was durable plus any of the writes since, whole or torn at a sector.
 * The image must open, show all that was flushed, and become clean again when it is opened to be written.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import { createQcow2, memoryFile, openQcow2, openQcow2Writer } from '../src/index.ts'
import type { CreateQcow2Options, WritableFile } from '../src/index.ts'
import { noQemu, qemuCheck } from './peer.ts'

t.setTimeout(3600_000)

type Step =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  | { readonly kind: 'flush' }
  /** The disk was asked to change this range: from here on nothing is promised of it. */
  | { readonly kind: 'touch'; readonly offset: number; readonly length: number }
  /** The disk has flushed: all of this must be there from now on. */
  | { readonly kind: 'promise'; readonly content: Uint8Array }

/** A file that remembers what was done to it. */
const recordingFile = (steps: Step[]): WritableFile => {
  const file = memoryFile()
  return {
    get sizeBytes() {
      return file.sizeBytes
    },
    read: (offset, target) => file.read(offset, target),
    async write(offset, bytes) {
      steps.push({ kind: 'write', offset, bytes: bytes.slice() })
      await file.write(offset, bytes)
    },
    async truncate(sizeBytes) {
      steps.push({ kind: 'truncate', sizeBytes })
      await file.truncate(sizeBytes)
    },
    async flush() {
      steps.push({ kind: 'flush' })
    },
  }
}

const SECTOR_BYTES = 512

/** The file as a crash after `count` steps may leave it. `mode`: all writes got there, only the durable ones, or a random part of the rest. */
const afterCrash = async (steps: readonly Step[], count: number, mode: 'all' | 'durable' | 'torn', seed: number) => {
  const random = seededRandom(seed)
  const file = memoryFile()
  const lastFlush = steps.slice(0, count).findLastIndex(step => step.kind === 'flush')
  for (const [index, step] of steps.slice(0, count).entries()) {
    const isDurable = index < lastFlush || mode === 'all'
    if (!isDurable && mode === 'durable') break
    if (step.kind === 'truncate') await file.truncate(step.sizeBytes)
    if (step.kind !== 'write') continue
    if (isDurable) await file.write(step.offset, step.bytes)
    else {
      for (let at = 0; at < step.bytes.length; at += SECTOR_BYTES)
        if (random(2) === 0) await file.write(step.offset + at, step.bytes.subarray(at, at + SECTOR_BYTES))
    }
  }
  return file
}

const SIZE_BYTES = 512 * 1024
const backing = seededBytes(300_000, 4)

interface Shape extends Partial<CreateQcow2Options> {
  readonly level?: number
  readonly hasBacking?: boolean
}
const SHAPES: Readonly<Record<string, Shape>> = {
  plain: { clusterBytes: 4096 },
  'clusters of 512': { clusterBytes: 512 },
  'over a backing file': { clusterBytes: 4096, hasBacking: true },
  'extended L2': { clusterBytes: 16_384, extendedL2: true, hasBacking: true },
  zlib: { clusterBytes: 4096, level: 1 },
}

const writerOptions = ({ level, hasBacking }: Shape) => ({
  cacheBytes: 4096,
  ...(level === undefined ? {} : { compressionLevel: level }),
  ...(hasBacking === true ? { backingDisk: memoryDisk(backing) } : {}),
})

/** Two sessions of random work. Regions that are touched after a flush are left out of what that flush promises. */
const record = async (shape: Shape, seed: number): Promise<Step[]> => {
  const steps: Step[] = []
  const file = recordingFile(steps)
  const { level: _level, hasBacking: _hasBacking, ...create } = shape
  await createQcow2(file, { sizeBytes: SIZE_BYTES, ...create })
  const content = new Uint8Array(SIZE_BYTES)
  if (shape.hasBacking === true) content.set(backing)
  const random = seededRandom(seed)
  for (let session = 0; session < 2; session++) {
    const disk = await openQcow2Writer(file, writerOptions(shape))
    for (let step = 0; step < 12; step++) {
      const offset = random(SIZE_BYTES)
      const length = Math.min(random(30_000), SIZE_BYTES - offset)
      const kind = random(4)
      if (kind < 3) steps.push({ kind: 'touch', offset, length })
      if (kind < 2) {
        const bytes = kind === 0 ? seededBytes(length, step) : new Uint8Array(length).fill(step + 1)
        content.set(bytes, offset)
        await disk.write(offset, bytes)
      } else if (kind === 2) {
        content.fill(0, offset, offset + length)
        await disk.zero(offset, length, { punch: random(2) === 0 })
      } else {
        await disk.flush()
        steps.push({ kind: 'promise', content: content.slice() })
      }
    }
    await disk[Symbol.asyncDispose]()
    steps.push({ kind: 'promise', content: content.slice() })
  }
  return steps
}

/** Bytes that nobody has asked to change since are as the last flush promised. */
const isKept = (steps: readonly Step[], found: Uint8Array): boolean => {
  const last = steps.findLastIndex(step => step.kind === 'promise')
  const promised = steps[last]
  if (promised?.kind !== 'promise') return true
  const wanted = promised.content.slice()
  for (const step of steps.slice(last))
    if (step.kind === 'touch') wanted.set(found.subarray(step.offset, step.offset + step.length), step.offset)
  return Buffer.compare(found, wanted) === 0
}

for (const [name, shape] of Object.entries(SHAPES)) {
  t.test(`${name}: every moment of a crash`, async t => {
    const scratch = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
    t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
    const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
    let crashes = 0
    for (let seed = 1; seed <= (isLong ? 10 : 1); seed++) {
      const steps = await record(shape, seed)
      // Before the first header is durable there is no image.
      const created = steps.findIndex(step => step.kind === 'write' && step.offset === 0) + 2
      for (let count = created; count <= steps.length; count++) {
        for (const mode of ['all', 'durable', 'torn'] as const) {
          crashes++
          const file = await afterCrash(steps, count, mode, seed * 1000 + count)
          const message = `seed ${seed}, after ${count} steps, ${mode}`
          const found = new Uint8Array(SIZE_BYTES)
          const disk = await openQcow2(
            memoryFile(file.bytes()),
            shape.hasBacking === true ? { backingDisk: memoryDisk(backing) } : {},
          )
          await disk.read(0, found)
          if (!isKept(steps.slice(0, count), found)) t.fail(`${message}: flushed data is lost`)
          const repaired = await openQcow2Writer(file, writerOptions(shape))
          await repaired.write(0, seededBytes(5000, 1))
          await repaired[Symbol.asyncDispose]()
          if (noQemu !== false || crashes % 23 !== 0) continue
          const path = join(scratch, 'image.qcow2')
          writeFileSync(path, file.bytes())
          t.strictSame(qemuCheck(path), { errors: 0, leaks: 0 }, `${message}: clean after the next writer`)
        }
      }
    }
    t.comment(`${crashes} crashes`)
    t.ok(crashes > 100)
  })
}
