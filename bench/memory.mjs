// How much memory does the command line take, at most? A disk of 64 GiB that is nearly all hole, and one full of data;
// backed up with one and two workers, unchanged, restored to a file, checked. The bound is 200 MiB + 64 MiB a worker.
//   node bench/memory.mjs [--json] [--gib=4] [--folder=DIR]
import { createCipheriv } from 'node:crypto'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { benchmark, measureProgram } from './harness.mjs'

const MiB = 2 ** 20
const GiB = 2 ** 30
const GRANARY = fileURLToPath(new URL('../apps/cli/bin/granary.js', import.meta.url))

const option = (name, otherwise) =>
  process.argv.find(word => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise

/** Unique bytes that compress to an eighth, so that the repository stays small: 512 random bytes eight times over. */
const compressible = cipher => {
  const random = cipher.update(Buffer.alloc(MiB / 8))
  const bytes = Buffer.alloc(MiB)
  for (let at = 0; at < MiB; at += 512)
    bytes.set(random.subarray(Math.floor(at / 4096) * 512, Math.floor(at / 4096) * 512 + 512), at)
  return bytes
}

/** A sparse file with a MiB of unique data at each of the places. */
const makeDisk = (path, sizeBytes, offsets) => {
  const file = openSync(path, 'wx')
  ftruncateSync(file, sizeBytes)
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  for (const offset of offsets) writeSync(file, compressible(cipher), 0, MiB, offset)
  closeSync(file)
}

const placesOf = (sizeBytes, every) => Array.from({ length: sizeBytes / every }, (_, i) => i * every)

const boundBytes = workers => (200 + 64 * workers) * MiB

const main = async () => {
  const dataBytes = Number(option('gib', '4')) * GiB
  const folder = mkdtempSync(join(option('folder', tmpdir()), 'granary-memory-'))
  let isOver = false
  try {
    for (const [name, sizeBytes, every] of [
      ['64 GiB, a MiB of data in each 512', 64 * GiB, 512 * MiB],
      [`${dataBytes / GiB} GiB of data`, dataBytes, MiB],
    ]) {
      const disk = join(folder, 'disk.raw')
      makeDisk(disk, sizeBytes, placesOf(sizeBytes, every))
      const run = (...words) => measureProgram(process.execPath, [GRANARY, ...words])
      const at = workers => ['--repo', join(folder, `repo-${workers}`), '--key-file', join(folder, 'key')]
      const bench = benchmark({ name, unitBytes: placesOf(sizeBytes, every).length * MiB })
      for (const workers of [1, 2]) {
        await run('init', ...at(workers))
        const words = [disk, ...at(workers), '--workers', String(workers)]
        bench.add(`first backup, ${workers} workers`, () => run('backup', ...words))
        bench.add(`second backup, ${workers} workers`, () => run('backup', ...words))
        if (workers > 1) continue
        bench.add('restore to a file', () => run('restore', 'latest', join(folder, 'out.raw'), ...at(workers)))
        bench.add('check --read-data', () => run('check', '--read-data', ...at(workers)))
        bench.add('remove', async () => {
          rmSync(join(folder, 'out.raw'), { force: true })
          rmSync(join(folder, 'repo-1'), { recursive: true })
          return { wallSeconds: 0, cpuSeconds: 0.001, peakRssBytes: 0 }
        })
      }
      for (const { label, peakRssBytes } of await bench.run({ rounds: 1 })) {
        const workers = Number(/(\d) workers/.exec(label)?.[1] ?? 1) // Elsewhere the main thread does a worker's work.
        if (peakRssBytes <= boundBytes(workers)) continue
        isOver = true
        console.error(
          `${name}, ${label}: ${Math.round(peakRssBytes / MiB)} MiB, bound ${boundBytes(workers) / MiB} MiB`,
        )
      }
      rmSync(disk)
      for (const workers of [1, 2]) rmSync(join(folder, `repo-${workers}`), { recursive: true, force: true })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exitCode = isOver ? 1 : 0
}

await main()
