/**
 * Changed headers and tables: no hang, no crash, no read outside the file, bounded memory. Whatever goes wrong is a GranaryError.
 * A sample by default; GRANARY_TEST_LONG runs a million.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { mapOrdered, memoryDisk, siblingModule } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { createQcow2, memoryFile, openQcow2Writer } from '../src/index.ts'
import type { CreateQcow2Options } from '../src/index.ts'
import { unpackFixtures } from './case-folder.ts'
import type { MutationJob, MutationResult } from './mutations.worker.ts'

const TOTAL = process.env['GRANARY_TEST_LONG'] === undefined ? 2500 : 1_000_000

/** A fresh thread for each: what one leaves in memory counts for no other. */
const SEEDS_PER_JOB = Math.min(TOTAL / 2, 25_000)

t.setTimeout(4 * 3600_000)

const runJob = async (job: MutationJob): Promise<MutationResult> => {
  const thread = new Worker(siblingModule(import.meta.url, 'mutations.worker'), { workerData: job })
  const [result] = (await once(thread, 'message')) as [MutationResult]
  await once(thread, 'exit')
  return result
}

const made = async (options: CreateQcow2Options, level?: number): Promise<Bytes> => {
  const file = memoryFile()
  await createQcow2(file, options)
  const backing = options.backing === undefined ? {} : { backingDisk: memoryDisk(new Uint8Array(50_000)) }
  const disk = await openQcow2Writer(file, { ...backing, ...(level === undefined ? {} : { compressionLevel: level }) })
  await disk.write(1000, new Uint8Array(20_000).fill(7))
  await disk.write(60_000, seededBytes(3000, 1))
  await disk.addBitmap({ name: 'b', granularityBytes: 4096, dirty: [{ offset: 5000, length: 5000 }] })
  await disk[Symbol.asyncDispose]()
  return file.bytes()
}

const images = async (): Promise<Bytes[]> => {
  const folder = unpackFixtures()
  const fixtures = ['snapshots-resized', 'bitmaps-512', 'extl2-16k'].map(
    name => new Uint8Array(readFileSync(folder.path(name, 'i.qcow2'))),
  )
  folder.remove()
  const backing = { name: 'b.raw', format: 'raw' } as const
  return [
    ...fixtures,
    await made({ sizeBytes: 100_000, clusterBytes: 512 }),
    await made({ sizeBytes: 100_000, clusterBytes: 512 }, 1),
    await made({ sizeBytes: 2 ** 33, clusterBytes: 4096, backing }),
    await made({ sizeBytes: 100_000, clusterBytes: 4096, compression: 'zstd' }, 1),
    await made({ sizeBytes: 200_000, clusterBytes: 16_384, extendedL2: true, backing }),
  ]
}

function* jobs(originals: readonly Bytes[]): Generator<MutationJob> {
  for (let from = 0; from < TOTAL; from += SEEDS_PER_JOB)
    yield { seeds: [from, Math.min(TOTAL, from + SEEDS_PER_JOB)], images: originals }
}

t.test('changed headers and tables', async t => {
  const before = process.memoryUsage().rss
  let slowestMs = 0
  let mostGrownBytes = 0
  for await (const result of mapOrdered(jobs(await images()), runJob, { concurrency: availableParallelism() })) {
    if (result.wrong !== undefined) t.fail(result.wrong)
    slowestMs = Math.max(slowestMs, result.slowestMs)
    mostGrownBytes = Math.max(mostGrownBytes, process.memoryUsage().rss - before)
  }
  const grown = `memory grew by ${(mostGrownBytes / 2 ** 20).toFixed(0)} MiB`
  t.comment(`${TOTAL} mutations, slowest ${slowestMs.toFixed(0)} ms, ${grown}`)
  t.ok(mostGrownBytes < 400 * 2 ** 20 * availableParallelism(), 'memory, with what is not collected yet')
})
