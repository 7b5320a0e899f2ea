/** Damaged repositories: every damage is found and named, nothing else is lost, and never do wrong bytes come back. */
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isGranaryError, memoryDisk } from '@granary/core'
import { backup, collect, openDisk } from '@granary/dedup-store'
import { parseJsonLines, runGranary, seededBytes, seededRandom } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { KEY, MIB, createRepository, filesIn, isLong, openFolder, scratchFolder } from './product.ts'

t.setTimeout(600_000)

/** Two machines with nothing in common, so that what hurts one need not hurt the other. */
const CONTENT = { web: seededBytes(3 * MIB, 1), db: seededBytes(3 * MIB + 512, 2) } as const
type Machine = keyof typeof CONTENT

interface Made {
  readonly folder: string
  readonly repo: string
  readonly ids: Record<Machine, string>
}

const makeRepository = async (folder: string): Promise<Made> => {
  const repo = join(folder, 'good')
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  await using repository = await createRepository(repo)
  const ids: Record<string, string> = {}
  for (const [name, bytes] of Object.entries(CONTENT)) {
    ids[name] = (
      await backup(repository, [{ name: 'disk', source: name, disk: memoryDisk(bytes) }], { name, workers: 0 })
    ).id
  }
  return { folder, repo, ids: ids as Record<Machine, string> }
}

/** Reads a whole disk back: `same`, `different`, or the code of the error. */
const readBack = async (repo: string, id: string, expected: Uint8Array): Promise<string> => {
  try {
    await using repository = await openFolder(repo)
    await using disk = await openDisk(repository, id)
    const bytes = Buffer.alloc(disk.sizeBytes)
    await disk.read(0, bytes)
    return bytes.equals(expected) ? 'same' : 'different'
  } catch (error) {
    return isGranaryError(error) ? error.code : `a bug: ${String(error)}`
  }
}

const flip = (path: string, random: (below: number) => number): string => {
  const bytes = readFileSync(path)
  const bit = random(bytes.length * 8)
  bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
  writeFileSync(path, bytes)
  return `bit ${bit} flipped`
}

const truncate = (path: string, random: (below: number) => number, size: number): string => {
  const length = random(size)
  truncateSync(path, length)
  return `cut to ${length} of ${size}`
}

const remove = (path: string): string => {
  rmSync(path)
  return 'missing'
}

const FAULTS = { flip, truncate, remove }

/** What may be lost when an object of this kind is damaged. */
const lossOf = (object: string, { ids }: Made): readonly Machine[] => {
  if (object === 'config' || object.startsWith('keys/')) return ['web', 'db']
  if (object.startsWith('index/')) return [] // Packs tell all that an index does.
  return (['web', 'db'] as const).filter(name => object.includes(ids[name]))
}

/** Collection must not take what a damage hides: it stops, or keeps it. Once the object is back, everything is. */
const collectsNothingThatIsNeeded = async (
  t: Test,
  made: Made,
  { repo, object, what }: { repo: string; object: string; what: string },
): Promise<void> => {
  const copy = `${repo}-collected`
  rmSync(copy, { recursive: true, force: true })
  cpSync(repo, copy, { recursive: true })
  {
    await using repository = await openFolder(copy)
    await collect(repository).catch((error: unknown) =>
      t.ok(isGranaryError(error), `${what}: collection says why it stops`),
    )
  }
  cpSync(join(made.repo, object), join(copy, object))
  for (const name of ['web', 'db'] as const)
    t.equal(await readBack(copy, made.ids[name], CONTENT[name]), 'same', `${what}: collection took nothing of ${name}`)
}

t.test('flipped, cut and missing objects of every kind', async t => {
  const made = await makeRepository(scratchFolder(t))
  const objects = [...filesIn(made.repo)].filter(([path]) => !path.startsWith('.'))
  const kinds = new Set(objects.map(([path]) => path.split('/')[0]))
  t.same(kinds, new Set(['commit', 'config', 'index', 'keys', 'packs']))
  const random = seededRandom(3)
  const repo = join(made.folder, 'bad')
  const rounds = isLong() ? 40 : 1
  for (let round = 0; round < rounds; round++) {
    for (const [object, size] of objects) {
      for (const [fault, apply] of Object.entries(FAULTS)) {
        if (fault === 'remove' && round > 0) continue
        rmSync(repo, { recursive: true, force: true })
        cpSync(made.repo, repo, { recursive: true })
        const what = `${object}: ${apply(join(repo, object), random, size)}`
        const mayLose = lossOf(object, made)
        for (const name of ['web', 'db'] as const) {
          const found = await readBack(repo, made.ids[name], CONTENT[name])
          if (mayLose.includes(name)) t.match(found, /^(same|GRANARY_[A-Z_]+)$/, `${what}: ${name} is ${found}`)
          else t.equal(found, 'same', `${what}: ${name} is not touched`)
        }
        if (object.startsWith('index/') || object.startsWith('packs/'))
          await collectsNothingThatIsNeeded(t, made, { repo, object, what })
        const check = await runGranary(['check', repo, '--read-data', '--json', '--key-file', join(made.folder, 'key')])
        const error = parseJsonLines(check.stderr).at(-1)
        // What is gone without a trace can't be named: a commit (only a remembered head tells), a slot, a config, an index
        // segment (packs tell all that it did). Of a pack that is gone, what it held is named.
        if (fault === 'remove' && !/^(config|packs)/.test(object)) continue
        t.match(error, { code: /^GRANARY_/, message: String, hint: String }, `${what}: check says so`)
        t.ok([10, 13, 15, 30, 31].includes(check.code), `${what}: exit code ${check.code}`)
        if (fault !== 'remove')
          t.ok(
            `${check.text}${check.stderr}`.includes(object.replace(/^packs\/..\//, 'packs/')),
            `${what}: it is named`,
          )
        else if (object !== 'config')
          t.ok(
            parseJsonLines(check.text).some(line => line['type'] === 'touched'),
            `${what}: what it touches is named`,
          )
      }
    }
  }
})
