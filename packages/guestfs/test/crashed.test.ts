import { readFileSync, writeFileSync } from 'node:fs'
import { isGranaryError, memoryDisk } from '@granary/core'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import { openVolumes } from '../src/index.ts'
import { crashedFileSystem } from './helpers/crashed.ts'
import { fileDisk } from './helpers/file-disk.ts'
import { freshSkip, kinds } from './helpers/fresh.ts'
import type { Kind } from './helpers/fresh.ts'
import { differences } from './helpers/manifest.ts'
import type { ManifestVolume } from './helpers/manifest.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const COUNT = isLong ? 200 : 6
const DAMAGED = isLong ? 2000 : 40
const STEPS = [10, 40, 120] as const

t.setTimeout(isLong ? 3_600_000 : 600_000)

const plain = kinds.find(({ name }) => name === 'btrfs') as Kind
/** Nothing is committed but what the test commits, and what the kernel must. */
const btrfs: Kind = { ...plain, mount: [...(plain.mount ?? []), '-o', 'commit=300'] }
const skip = freshSkip(btrfs)

/** Where the tree of logs is, or zero: a field of the superblock. */
const logAddress = (image: Buffer): bigint => image.readBigUInt64LE(65_536 + 96)

const compare = async (path: string, volume: ManifestVolume): Promise<{ found: string[]; warnings: string[] }> => {
  await using disk = await fileDisk(path)
  await using set = await openVolumes([disk])
  await using tree = await set.volumes[0]!.open()
  const found = await differences(tree, volume, btrfs.rules)
  return { found: found.slice(0, 10), warnings: tree.warnings.map(({ message }) => message) }
}

t.test('btrfs: a log is replayed as the kernel does it', { skip }, async t => {
  let logs = 0
  for (let seed = 0; seed < COUNT; seed++) {
    await using crashed = await crashedFileSystem(btrfs, { seed, steps: STEPS[seed % STEPS.length] as number })
    if (logAddress(readFileSync(crashed.path)) !== 0n) logs++
    t.strictSame(await compare(crashed.path, crashed.volume), { found: [], warnings: [] }, `seed ${seed}`)
  }
  t.comment(`${COUNT} file systems, seeds 0 to ${COUNT - 1}; ${logs} have a log`)
  t.ok(logs > COUNT / 2, `most have a log: ${logs}`)
})

t.test('btrfs: without a log that can be read, the last commit is shown, and told of', { skip }, async t => {
  await using crashed = await crashedFileSystem(btrfs, { seed: 0, steps: 40, withoutLog: 'rescue=nologreplay' })
  const image = readFileSync(crashed.path)
  const address = logAddress(image)
  let nodes = 0
  for (let at = 0; at < image.length; at += 4096) {
    // A node says where it is, and has a generation: superblocks have none there. Both copies lose their level.
    if (image.readBigUInt64LE(at + 48) !== address || image.readBigUInt64LE(at + 80) === 0n) continue
    image[at + 100] = 7
    nodes++
  }
  t.ok(address !== 0n && nodes > 0, `${nodes} copies of the log's root are damaged`)
  writeFileSync(crashed.path, image)
  const { found, warnings } = await compare(crashed.path, crashed.volume)
  t.strictSame(found, [])
  t.match(warnings, [/checksum is wrong/, /expected level 0, found 7/, /it is not replayed/])
})

t.test('btrfs: a damaged log ends in a listing, with a warning at most', { skip }, async t => {
  await using crashed = await crashedFileSystem(btrfs, { seed: 1, steps: 120 })
  const image = readFileSync(crashed.path)
  const below = seededRandom(1)
  const LOG_OWNER = 2n ** 64n - 6n
  const nodes: number[] = []
  for (let at = 0; at < image.length; at += 4096) if (image.readBigUInt64LE(at + 88) === LOG_OWNER) nodes.push(at)
  t.ok(nodes.length > 0, `${nodes.length} nodes of logs`)
  const seen = { entries: 0, errors: 0 }
  for (let round = 0; round < DAMAGED; round++) {
    const places = Array.from({ length: 1 + below(6) }, () => (nodes[below(nodes.length)] as number) + below(2000))
    const before = places.map(place => image[place] as number)
    for (const place of places) image[place] = below(256)
    await using set = await openVolumes([memoryDisk(image)])
    await using tree = await set.volumes[0]!.open()
    for await (const item of tree.walk()) {
      if (item.kind === 'entry') seen.entries++
      else if (isGranaryError(item.error)) seen.errors++
      else t.fail(`round ${round}, at ${places.join(', ')}`, { error: String(item.error) })
    }
    for (const [index, place] of [...places.entries()].reverse()) image[place] = before[index] as number
  }
  t.comment(`${DAMAGED} damaged logs: ${seen.entries} entries, ${seen.errors} errors`)
  t.ok(seen.entries > 100 * DAMAGED, `${seen.entries} entries are still there`)
})
