/** `kill -9` at any moment of a backup: nothing committed is hurt, nothing that was stored is stored again. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { check, listSnapshots } from '@granary/dedup-store'
import { parseJsonLines, runGranary, seededBytes, seededRandom, startGranary } from '@granary/testing'
import t from 'tap'
import {
  KEY,
  MIB,
  createRepository,
  filesIn,
  isLong,
  restoreTo,
  scratchFolder,
  sha256OfFile,
  temporariesIn,
} from './product.ts'

const DISK_BYTES = 256 * MIB
const MOMENTS = isLong() ? 50 : 4

// On a busy machine an hour was enough for nineteen moments.
t.setTimeout(isLong() ? 6 * 3_600_000 : 3_600_000)

/** 256 MiB that no other disk has, and no two chunks of it are equal. */
const writeUniqueDisk = (path: string): void => {
  const file = openSync(path, 'w')
  for (let at = 0; at < DISK_BYTES; at += 8 * MIB) writeSync(file, randomBytes(8 * MIB), 0, 8 * MIB, at)
  closeSync(file)
}

/** Whole packs of a folder: what a killed writer leaves of a pack has a temporary name. */
const packsIn = (repo: string): Map<string, number> =>
  new Map([...filesIn(repo)].filter(([path]) => path.startsWith('packs/') && !path.includes('.tmp-')))

const sum = (sizes: Iterable<number>): number => [...sizes].reduce((total, size) => total + size, 0)

t.test(`${MOMENTS} moments of a backup of 256 MiB`, async t => {
  const folder = scratchFolder(t)
  const repo = join(folder, 'repo')
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  const env = { GRANARY_REPO: repo, GRANARY_KEY_FILE: join(folder, 'key') }
  await using repository = await createRepository(repo)
  const disk = join(folder, 'vm.raw')
  const kept = new Map<string, string>() // Hash of content by snapshot.

  const small = Buffer.from(seededBytes(5 * MIB, 1))
  const earlier = await runGranary(['backup', '-', '--name', 'earlier', '--json'], { env, input: small })
  const earlierId = parseJsonLines(earlier.text)[0]?.['id'] as string

  const seed = isLong() ? 5 : 6
  const random = seededRandom(seed)
  let reusedPacks = 0
  for (let moment = 0; moment < MOMENTS; moment++) {
    writeUniqueDisk(disk)
    const before = packsIn(repo)
    const running = startGranary(['backup', disk, '--name', 'vm', '--parent', 'none', '--workers', '2'], { env })
    // Moments are places in the work, not on the clock: after so many packs, and then some more work.
    const packs = random(8)
    while (running.child.exitCode === null && packsIn(repo).size - before.size < packs) await setTimeout(5)
    await setTimeout(random(150))
    running.child.kill('SIGKILL')
    const { code } = await running.done
    t.ok(code === 137 || code === 0, `it was killed, or just done: ${code}`)

    const durable = [...packsIn(repo)].filter(([path]) => !before.has(path))
    const snapshotsThen = await listSnapshots(repository.context)
    const isThere = (id: string): boolean => snapshotsThen.some(snapshot => snapshot.id === id)
    t.ok([earlierId, ...kept.keys()].every(isThere), 'all earlier snapshots are there')

    const next = await runGranary(['backup', disk, '--name', 'vm', '--parent', 'none', '--json'], { env })
    t.equal(next.code, 0, next.stderr)
    const snapshot = parseJsonLines(next.text)[0] as Record<string, unknown>
    const newBytes = (snapshot as unknown as { disks: { newBytes: number }[] }).disks[0]?.newBytes ?? Number.NaN
    // Random bytes don't compress: a pack holds less content than its size, and a map pack holds none.
    const durableBytes = sum(durable.map(([, size]) => size).filter(size => size > MIB))
    t.ok(
      newBytes <= DISK_BYTES - durableBytes * 0.99,
      `moment ${moment}: ${durable.length} packs of ${durableBytes} bytes were durable, ${newBytes} bytes were new to the next`,
    )
    reusedPacks += durable.length
    t.same(temporariesIn(repo), [], 'the next one has cleaned up')

    const id = snapshot['id'] as string
    const digest = await sha256OfFile(disk)
    const out = join(folder, 'out.raw')
    rmSync(out, { force: true })
    await restoreTo(repository, { id, path: out })
    t.equal(await sha256OfFile(out), digest, 'what was made after it is whole')
    kept.set(id, digest)
  }
  t.comment(`${MOMENTS} moments, seed ${seed}; ${reusedPacks} packs of killed backups were used again`)
  t.ok(reusedPacks > 0, 'at least one moment was late enough to leave packs')

  for (const [id, digest] of kept) {
    const out = join(folder, 'out.raw')
    rmSync(out, { force: true })
    await restoreTo(repository, { id, path: out })
    t.equal(await sha256OfFile(out), digest, `snapshot ${id} is whole at the end`)
  }
  const out = join(folder, 'earlier.raw')
  await restoreTo(repository, { id: earlierId, path: out })
  t.ok(readFileSync(out).equals(small))
  t.same((await check(repository, { readData: isLong() ? 0.1 : 1 })).damages, [])
})
