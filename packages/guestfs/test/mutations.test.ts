import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { DiskReader } from '@granary/core'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { openVolumes } from '../src/index.ts'
import { damagedDisk } from './helpers/file-disk.ts'
import { imageRows, imagesSkip, readManifest, readPackedJson, unpack } from './helpers/images.ts'
import type { ImageRow } from './helpers/images.ts'
import { differences } from './helpers/manifest.ts'
import { codePageOf, findVolume, rulesOf } from './helpers/match.ts'
import { damageOf } from './helpers/mutation.ts'
import type { Mutation, MutationJob, MutationResult } from './helpers/mutation.ts'

const runner = fileURLToPath(new URL('./helpers/mutation-runner.js', import.meta.url))

/** Of every third image so many, unless GRANARY_TEST_LONG is set: then all of all. Unpacking is most of the work. */
const SAMPLE = 3
const EVERY = 3

/** The limits of issue: seconds of CPU for one damaged image, and memory of a process that reads many. */
const MAX_CPU_MS = 5000
const MAX_RSS_MIB = 256

/** A process that says nothing for so long hangs. */
const HANG_MS = 110_000

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
t.setTimeout(isLong ? 3_600_000 : 900_000)

t.test('damaged images end in errors, warnings or a sound listing', { skip: imagesSkip }, async t => {
  const only = process.env['GRANARY_IMAGES']
  const mutations = readPackedJson('mutations.json.zst') as Mutation[]
  let count = 0
  for (const [index, row] of imageRows().entries()) {
    if (!isLong && index % EVERY !== 0) continue
    if (only !== undefined && !row.name.match(only)) continue
    t.test(row.name, async t => {
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
        for (const [index, result] of results.entries()) {
          const mutation = chosen[index] as Mutation
          if (check(t, result, mutation)) continue
          const disks = image.disks.map((disk, at) => (at === damaged ? damagedDisk(disk, damageOf(mutation)) : disk))
          await checkSilent(t, row, disks, mutation)
        }
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

const check = (t: Test, result: MutationResult, { name, expect }: Mutation): boolean => {
  t.strictSame(result.defects, [], `${name}: nothing but errors of ours`)
  t.ok(result.cpuMs < MAX_CPU_MS, `${name}: ${result.cpuMs} ms of CPU`)
  t.ok(result.maxRssMib < MAX_RSS_MIB, `${name}: ${result.maxRssMib} MiB of memory`)
  return expect.startsWith('ok') || result.findings.length > 0
}

/** Without a word, all must be as in the sound image: the damage is where nothing is read, or the journal mends it. */
const checkSilent = async (t: Test, row: ImageRow, disks: readonly DiskReader[], { name }: Mutation): Promise<void> => {
  await using set = await openVolumes(disks)
  for (const wanted of readManifest(row).volumes) {
    const volume = findVolume(set.volumes, wanted)
    if (volume === undefined) t.fail(`${name}: ${wanted.id} is gone`)
    else if (wanted.entries !== undefined) {
      await using tree = await volume.open(codePageOf(wanted))
      const found = await differences(tree, wanted, rulesOf(volume, wanted))
      t.strictSame(found.slice(0, 5), [], `${name}: nothing is said, and nothing differs`)
    } else t.ok(volume.whyNot, `${name}: ${wanted.id} is still ${wanted.expect}`)
  }
}
