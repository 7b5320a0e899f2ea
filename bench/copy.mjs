// How does copyDisk compare with cp and qemu-img convert? A file full of data, and one of 64 GiB that is nearly all hole.
//   node bench/copy.mjs [--json] [--rounds=N] [--folder=DIR]
import { createCipheriv } from 'node:crypto'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { copyDisk, createRawDisk, loadNative, openRawReader } from '../packages/core/dist/src/index.js'
import { benchmark, hasProgram, measureFunction, measureProgram } from './harness.mjs'

const MiB = 2 ** 20
const GiB = 2 ** 30

export const copyGranary = async ({ source, target, withNative, ...options }) => {
  const native = withNative ? await loadNative() : null
  const reader = await openRawReader(source, { native })
  const writer = await createRawDisk(target, reader.sizeBytes, { native })
  const counts = await copyDisk(reader, writer, options)
  await Promise.all([reader[Symbol.asyncDispose](), writer[Symbol.asyncDispose]()])
  return counts
}

/** Loading koffi is paid once per process, not per copy. */
export const copyGranaryPrepare = () => loadNative()

/** A sparse file with incompressible data at the given places, `each` bytes at a time. */
const makeSource = (path, { sizeBytes, offsets, each }) => {
  const file = openSync(path, 'wx')
  ftruncateSync(file, sizeBytes)
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  const zeros = Buffer.alloc(MiB)
  for (const offset of offsets) {
    for (let at = 0; at < each; at += MiB) {
      const length = Math.min(MiB, each - at)
      writeSync(file, cipher.update(zeros.subarray(0, length)), 0, length, offset + at)
    }
  }
  closeSync(file)
}

const option = (name, otherwise) =>
  process.argv.find(word => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise

const main = async () => {
  const folder = mkdtempSync(join(option('folder', tmpdir()), 'granary-bench-'))
  try {
    const target = join(folder, 'target')
    const before = () => rmSync(target, { force: true })
    const sources = {
      'copy 1 GiB of data': { sizeBytes: GiB, offsets: [0], each: GiB },
      'copy 64 GiB, 1024 x 256 KiB of data': {
        sizeBytes: 64 * GiB,
        offsets: Array.from({ length: 1024 }, (_, i) => i * 64 * MiB),
        each: 256 * 1024,
      },
    }
    for (const [name, shape] of Object.entries(sources)) {
      const source = join(folder, 'source')
      makeSource(source, shape)
      const bench = benchmark({ name, unitBytes: shape.offsets.length * shape.each })
      const measured = async measurement => {
        const found = await measurement
        return { ...found, result: { ...found.result, targetMiB: Math.round((statSync(target).blocks * 512) / MiB) } }
      }
      const granary = parameter => () =>
        measured(measureFunction(import.meta.url, 'copyGranary', { source, target, ...parameter }, { before }))
      const program = (name, parameters) => () => measured(measureProgram(name, parameters, { before }))
      bench.add('cp --sparse=auto --reflink=never', program('cp', ['--sparse=auto', '--reflink=never', source, target]))
      bench.add(
        'cp, then sync',
        program('sh', ['-c', 'cp --reflink=never "$1" "$2" && sync "$2"', 'sh', source, target]),
      )
      if (await hasProgram('qemu-img')) {
        bench.add('qemu-img convert -O raw', program('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', source, target]))
      } else console.error('qemu-img is missing: its row is left out')
      bench.add('granary', granary({ withNative: true }))
      // Without native calls a sparse source is read whole, which takes 64 GiB of reading: only asked for by name.
      if (shape.sizeBytes <= GiB || process.argv.includes('--all')) bench.add('granary, no native calls', granary({}))
      await bench.run({ rounds: Number(option('rounds', '3')), reference: 'cp, then sync', columns: ['targetMiB'] })
      rmSync(source)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
