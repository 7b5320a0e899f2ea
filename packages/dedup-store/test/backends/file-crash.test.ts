/** The file backend over a file system that loses power after every single change, in many ways. */
import { performance } from 'node:perf_hooks'
import t from 'tap'
import type { Bytes } from '@granary/core'
import { fileBackend } from '@granary/dedup-store'
import type { Backend, FileSystemPort } from '@granary/dedup-store'
import { backendContract, crashFileSystem, seededBytes, seededRandom } from '@granary/testing'
import type { CrashFileSystem } from '@granary/testing'

const ROOT = '/repository'
const SEEDS = process.env['GRANARY_TEST_LONG'] ? 60 : 6
const WORKLOADS = process.env['GRANARY_TEST_LONG'] ? 20 : 3

type Wrap = (fs: FileSystemPort) => FileSystemPort

/** What holds for a storage opened after a power cut, once that many operations were made. */
interface Promised {
  readonly since: number
  readonly what: string
  readonly holds: (storage: Map<string, string>) => boolean
}

interface Run {
  readonly fs: CrashFileSystem
  readonly promises: Promised[]
  /** Everything that was ever put under a key. */
  readonly versions: Map<string, Set<string>>
}

const textOf = (bytes: Bytes): string => Buffer.from(bytes).toString('base64')

/** Each call waits for its turn among the other process's, in an order that the seed decides. */
const jittered = (fs: FileSystemPort, random: (below: number) => number): FileSystemPort => {
  const jitter = async (): Promise<void> => {
    for (let ticks = random(12); ticks > 0; ticks--) await Promise.resolve()
  }
  const late =
    <Arguments extends unknown[], Result>(call: (...parts: Arguments) => Promise<Result>) =>
    async (...parts: Arguments): Promise<Result> => {
      await jitter()
      return await call(...parts)
    }
  return {
    ...fs,
    create: late(async path => await fs.create(path)),
    rename: late(async (path, target) => await fs.rename(path, target)),
    link: late(async (path, target) => await fs.link(path, target)),
    unlink: late(async path => await fs.unlink(path)),
    createFolder: late(async path => await fs.createFolder(path)),
    syncFolder: late(async path => await fs.syncFolder(path)),
    readFolder: late(async path => await fs.readFolder(path)),
  }
}

/** Two processes store, race, look at each other's objects and delete; everything they were promised is noted. */
const work = async (seed: number, wrap: Wrap): Promise<Run> => {
  const empty = crashFileSystem()
  await empty.createFolder(ROOT)
  const fs = empty.crashAt(1, 1) // The folder itself is there, whatever happens.
  const random = seededRandom(seed)
  const run: Run = { fs, promises: [], versions: new Map() }
  const promise = (what: string, holds: Promised['holds']): void =>
    void run.promises.push({ since: fs.operations.length, what, holds })
  const contentFor = (key: string, seed: number): Bytes => {
    const content = seededBytes(1 + random(3000), seed)
    run.versions.set(key, (run.versions.get(key) ?? new Set()).add(textOf(content)))
    return content
  }

  const writer = async (name: string, number: number): Promise<void> => {
    const backend = fileBackend(ROOT, { fs: jittered(wrap(fs.process()), random) })
    const store = async (
      key: string,
      options: { ifAbsent?: boolean; durable?: boolean },
    ): Promise<string | undefined> => {
      const content = contentFor(key, number * 1000 + random(1000))
      const result = await backend.put(key, [content.subarray(0, 600), content.subarray(600)], {
        owner: name,
        ...options,
      })
      return result === 'stored' ? textOf(content) : undefined
    }
    for (let i = 0; i < 4; i++) {
      const packs = [`packs/${name}-${i}`, `packs/${i}${name}-x`]
      const stored = await Promise.all(packs.map(async key => await store(key, { durable: false })))
      await backend.sync()
      packs.forEach((key, at) => promise(`${key} after sync`, storage => storage.get(key) === stored[at]))

      const decision = `gc/${i}/claim`
      const mine = await store(decision, { ifAbsent: true })
      if (mine === undefined) promise(`${decision} exists for ${name}`, storage => storage.has(decision))
      else promise(`${decision} by ${name}`, storage => storage.get(decision) === mine)

      const index = `index/${name}/${i}`
      const content = await store(index, {})
      promise(index, storage => storage.get(index) === content || i % 2 === 0)
      await store(`sessions/${name}.hb`, {})
      promise(`${name}.hb`, storage => storage.has(`sessions/${name}.hb`))

      await look(backend, promise)
      if (i % 2 === 1) continue
      await backend.delete(index)
      await backend.sync()
      promise(`${index} deleted`, storage => !storage.has(index))
    }
  }
  await Promise.all([writer('a', 1), writer('b', 2)])
  return run
}

/** What was shown holds after a barrier, whoever stored it: packs are never replaced or deleted here. */
const look = async (backend: Backend, promise: (what: string, holds: Promised['holds']) => void): Promise<void> => {
  const shown: string[] = []
  for await (const { key } of backend.list('packs/')) shown.push(key)
  await backend.sync()
  promise(`shown: ${shown.join(' ')}`, storage => shown.every(key => storage.has(key)))
}

/** Everything wrong with what a power cut left. */
const inspect = async (run: Run, at: number, seed: number): Promise<string[]> => {
  const fs = run.fs.crashAt(at, seed)
  const backend = fileBackend(ROOT, { fs })
  const storage = new Map<string, string>()
  const wrong: string[] = []
  for await (const { key } of backend.list('')) {
    const content = textOf(await backend.get(key))
    storage.set(key, content)
    if (!run.versions.get(key)?.has(content)) wrong.push(`${key} is torn`)
  }
  for (const { since, what, holds } of run.promises)
    if (since <= at && !holds(storage)) wrong.push(`broken promise: ${what}`)
  await backend.sweep(async () => false)
  for (const folder of ['', '/packs', '/commit', '/gc/1', '/index/a'])
    for (const { name } of await fs.readFolder(ROOT + folder).catch(() => []))
      if (name.startsWith('.tmp-')) wrong.push(`left over: ${name}`)
  return wrong
}

/** The problems that cuts after every operation bring to light, until one looks like `symptom`. */
const explore = async (workload: number, wrap: Wrap, symptom?: RegExp): Promise<{ wrong: string[]; cuts: number }> => {
  const run = await work(workload, wrap)
  const wrong: string[] = []
  let cuts = 0
  for (let at = 0; at <= run.fs.operations.length; at++)
    for (let seed = 0; seed < SEEDS; seed++) {
      cuts++
      const problems = await inspect(run, at, seed)
      wrong.push(...problems.map(problem => `workload ${workload}, cut after ${at}, seed ${seed}: ${problem}`))
      if (symptom !== undefined && problems.some(problem => symptom.test(problem))) return { wrong, cuts }
    }
  return { wrong, cuts }
}

for (let workload = 1; workload <= WORKLOADS; workload++)
  t.test(
    `workload ${workload}: whatever a power cut leaves, every object is whole and every promise is kept`,
    async t => {
      const start = performance.now()
      const { wrong, cuts } = await explore(workload, fs => fs)
      t.comment(`${cuts} power cuts, ${Math.round(performance.now() - start)} ms`)
      t.same(wrong.slice(0, 5), [])
    },
  )

/** File backends with one mistake each. */
const MISTAKES: Readonly<Record<string, { wrap: Wrap; symptom: RegExp }>> = {
  'no fsync of files': {
    wrap: fs => ({ ...fs, create: async path => ({ ...(await fs.create(path)), sync: async () => undefined }) }),
    symptom: /is torn/,
  },
  'no fsync of folders': {
    wrap: fs => ({ ...fs, syncFolder: async () => undefined }),
    symptom: /broken promise: packs/,
  },
  'fsync of the packs’ folders only': {
    wrap: fs => ({ ...fs, syncFolder: async path => (path.includes('gc/') ? undefined : await fs.syncFolder(path)) }),
    symptom: /broken promise: gc.* by/,
  },
  'no fsync above new folders': {
    wrap: fs => ({ ...fs, syncFolder: async path => (path === ROOT ? undefined : await fs.syncFolder(path)) }),
    symptom: /broken promise/,
  },
  'decisions renamed into place': {
    wrap: fs => ({ ...fs, link: async (path, target) => await fs.rename(path, target) }),
    symptom: /broken promise: gc.* by/,
  },
}

for (const [name, { wrap, symptom }] of Object.entries(MISTAKES))
  t.test(`a backend with a mistake is caught: ${name}`, async t => {
    const { wrong, cuts } = await explore(1, wrap, symptom)
    t.comment(`after ${cuts} power cuts`)
    t.match(
      wrong.find(problem => symptom.test(problem)),
      symptom,
    )
  })

backendContract(
  'file, simulated',
  async () => {
    const fs = crashFileSystem()
    const backend = fileBackend(ROOT, { fs })
    await backend.probe()
    return { backend, again: () => fileBackend(ROOT, { fs }) }
  },
  { objects: 1000 },
)
