import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { imageRows, imagesSkip, readPackedJson, unpack } from './helpers/images.ts'
import type { Mutation, MutationJob, MutationResult } from './helpers/mutation-runner.ts'

const runner = fileURLToPath(new URL('./helpers/mutation-runner.js', import.meta.url))

/** Of each image, unless GRANARY_TEST_LONG is set: then all. */
const SAMPLE = 4

/** The limits of issue: seconds of CPU for one damaged image, and memory of a process that reads many. */
const MAX_CPU_MS = 5000
const MAX_RSS_MIB = 256

/** A process that says nothing for so long hangs. */
const HANG_MS = 110_000

t.test('damaged images end in errors, warnings or a sound listing', { skip: imagesSkip }, async t => {
  const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
  const only = process.env['GRANARY_IMAGES']
  const mutations = readPackedJson('mutations.json.zst') as Mutation[]
  let count = 0
  for (const row of imageRows()) {
    if (only !== undefined && !row.name.match(only)) continue
    t.test(row.name, { timeout: 600_000 }, async t => {
      await using image = await unpack(row.disks.map(({ file }) => file))
      for (const [damaged, { file }] of row.disks.entries()) {
        const own = mutations.filter(({ base }) => base === file)
        const chosen = isLong ? own : sample(own)
        count += chosen.length
        const job: MutationJob = {
          disks: row.disks.map(disk => join(image.folder, disk.file.replace(/\.zst$/, ''))),
          damaged,
          mutations: chosen,
        }
        const path = join(image.folder, 'job.json')
        writeFileSync(path, JSON.stringify(job))
        const { stdout } = await promisify(execFile)(process.execPath, [runner, path], {
          maxBuffer: 1 << 28,
          timeout: isLong ? 600_000 : HANG_MS,
        })
        const results = stdout
          .trim()
          .split('\n')
          .filter(line => line !== '')
          .map(line => JSON.parse(line) as MutationResult)
        t.equal(results.length, chosen.length, `${file}: all ${chosen.length} came to an end`)
        for (const [index, result] of results.entries()) check(t, result, chosen[index] as Mutation)
      }
    })
  }
  t.on('end', () => t.comment(`${count} of ${mutations.length} damaged images were read`))
})

/** The same ones each time, others for each image. */
const sample = (own: readonly Mutation[]): Mutation[] => {
  const random = seededRandom(own.length)
  return Array.from({ length: Math.min(SAMPLE, own.length) }, () => own[random(own.length)] as Mutation)
}

/** Read without a word although it is damaged: where that is right, the reason. */
const SILENT: readonly (readonly [RegExp, string])[] = []

const check = (t: Test, result: MutationResult, { name, expect }: Mutation): void => {
  t.strictSame(result.defects, [], `${name}: nothing but errors of ours`)
  t.ok(result.cpuMs < MAX_CPU_MS, `${name}: ${result.cpuMs} ms of CPU`)
  t.ok(result.maxRssMib < MAX_RSS_MIB, `${name}: ${result.maxRssMib} MiB of memory`)
  if (expect.startsWith('ok')) return
  const isSilent = SILENT.some(([pattern]) => pattern.test(name))
  t.ok(result.findings.length > 0 || isSilent, `${name}: the damage is told of (${result.files} files)`)
}
