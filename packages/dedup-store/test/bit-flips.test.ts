/** Damage of every kind of object is found, and named: single flipped bits everywhere, objects cut short, objects gone. */
import t from 'tap'
import type { Keyring } from '@granary/transform'
import type { Bytes } from '@granary/core'
import { seededRandom } from '@granary/testing/simulation'
import {
  addClient,
  addSlot,
  check,
  collect,
  forgetSnapshot,
  listSnapshots,
  openRepository,
  revoke,
} from '../src/index.ts'
import type { Backend, Repository, Snapshot } from '../src/index.ts'
import { mergeIndex } from '../src/index/merge-index.ts'
import { fence } from '../src/sessions/decisions.ts'
import { markDamagedPack } from '../src/sessions/damaged-packs.ts'
import { pinSnapshot } from '../src/sessions/pins.ts'
import { announceSession } from '../src/sessions/session-registry.ts'
import { SECRET, backUp, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

t.setTimeout(3_600_000)

const KiB = 1024
const FLIPS = process.env['GRANARY_TEST_LONG'] === undefined ? 400 : 10_000

/** What each kind of object is called here, by its key. */
const KINDS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['config', /^config$/],
  ['key slot', /^keys\//],
  ['heartbeat', /\.hb$/],
  ['session', /^sessions\//],
  ['commit', /^commit\//],
  ['forget', /^forget\//],
  ['claim', /^gc\/\d+\/claim$/],
  ['tomb', /^gc\/\d+\/tomb$/],
  ['del', /^gc\/\d+\/del$/],
  ['heartbeat of a collection', /^gc\/\d+\/hb$/],
  ['pin', /^pins\//],
  ['revocation', /\.revoked$/],
  ['signer', /^signers\/[0-9a-f]+$/],
  ['passed packs', /^passed\//],
  ['damaged pack', /^damaged\//],
  ['index', /^index\//],
  ['pack', /^packs\//],
]

const kindOf = (key: string): string => KINDS.find(([, pattern]) => pattern.test(key))?.[0] ?? 'unknown'

interface Scene {
  readonly repository: Repository
  readonly backend: Backend
  readonly objects: ReadonlyMap<string, Bytes>
  readonly close: () => Promise<void>
}

const gatherObjects = async (backend: Backend): Promise<Map<string, Bytes>> => {
  const objects = new Map<string, Bytes>()
  for await (const { key } of backend.list('')) objects.set(key, await backend.get(key))
  return objects
}

/** A small repository with an object of every kind. */
const createScene = async (): Promise<Scene> => {
  const repository = await createRepository({ chunker: 'grid:32k' })
  const { context, keyring } = repository
  const { backend } = context
  const kdf = { name: 'argon2id', memoryKiB: 64, passes: 1, lanes: 1 } as const
  await addSlot(
    backend,
    keyring as Keyring,
    { kind: 'passphrase', passphrase: 'correct horse' },
    { label: 'second', kdf },
  )
  const first = await backUp(repository, mixedDisk(300 * KiB, 1), { name: 'first' })
  await forgetSnapshot(context, first.id)
  await collect(repository)
  await backUp(repository, mixedDisk(200 * KiB, 2), { name: 'second' })
  await mergeIndex(repository, { force: true })
  await backUp(repository, mixedDisk(100 * KiB, 3), { name: 'third' })
  const { file } = await addClient(repository, 'client')
  await backUp(await openRepository(backend, { kind: 'client', file }), mixedDisk(100 * KiB, 4), { name: 'fourth' })
  await check(repository, { readData: 1 })
  for await (const { key } of backend.list('packs/')) {
    await markDamagedPack(context, key)
    break
  }
  await addClient(repository, 'another')
  await revoke(repository, 'another')
  await fence(context, 'f'.repeat(32))
  const heartbeat = await announceSession(context, 'a'.repeat(32))
  const pin = await pinSnapshot(context, ((await listSnapshots(context))[0] as Snapshot).id)
  const close = async (): Promise<void> => {
    await heartbeat[Symbol.asyncDispose]()
    await pin[Symbol.asyncDispose]()
  }
  return { repository, backend, objects: await gatherObjects(backend), close }
}

/** A repository whose index segment has more entries than small pages are for: many chunks of one block. */
const createLargeScene = async (): Promise<Scene> => {
  const repository = await createRepository({ chunker: 'grid:32k' })
  const disk = new Uint8Array(700 * 36 * KiB)
  for (let i = 0; i < 700; i++) Buffer.from(disk.buffer, i * 36 * KiB, 4096).fill(`block ${i} `)
  await backUp(repository, disk)
  const { backend } = repository.context
  return { repository, backend, objects: await gatherObjects(backend), close: async () => undefined }
}

/** Works while an object is something else. */
const withObject = async <Result>(
  { backend, objects }: Scene,
  key: string,
  bytes: Bytes | undefined,
  work: () => Promise<Result>,
): Promise<Result> => {
  await (bytes === undefined ? backend.delete(key) : backend.put(key, bytes))
  try {
    return await work()
  } finally {
    await backend.put(key, objects.get(key) as Bytes)
  }
}

const flipped = (bytes: Bytes, bit: number): Bytes => {
  const copy = bytes.slice()
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}

const isNamed = async ({ repository }: Scene, key: string): Promise<boolean> =>
  (await check(repository, { readData: 1 })).damages.some(({ object }) => object === key)

/** Offsets of one object to flip a bit in: everywhere, but its beginning and its end, where headers and trailers are, more often. */
const chooseBit = (random: (below: number) => number, sizeBytes: number): number => {
  const edge = Math.min(sizeBytes, 160)
  const where = random(3)
  const at = where === 0 ? random(edge) : where === 1 ? sizeBytes - 1 - random(edge) : random(sizeBytes)
  return at * 8 + random(8)
}

t.test('every flipped bit is found, and named by its object', async t => {
  const random = seededRandom(11)
  const scene = await createScene()
  const large = await createLargeScene()
  t.teardown(scene.close)
  t.strictSame((await check(scene.repository, { readData: 1 })).damages, [], 'nothing is found before')
  t.strictSame((await check(large.repository, { readData: 1 })).damages, [], 'nothing is found before')
  const kinds = new Map<string, string[]>()
  for (const key of scene.objects.keys()) kinds.set(kindOf(key), [...(kinds.get(kindOf(key)) ?? []), key])
  t.strictSame([...kinds.keys()].sort(), KINDS.map(([kind]) => kind).sort(), 'every kind is there')
  const counts = new Map<string, number>()
  const missed: string[] = []
  const flip = async (in_: Scene, key: string, name: string): Promise<void> => {
    const bytes = in_.objects.get(key) as Bytes
    const bit = chooseBit(random, bytes.length)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    if (!(await withObject(in_, key, flipped(bytes, bit), async () => await isNamed(in_, key))))
      missed.push(`${key} bit ${bit}`)
  }
  const largeKeys = [...large.objects.keys()].filter(key => /^(index|packs)/.test(key))
  for (let i = 0; i < FLIPS; i++) {
    if (i % 20 === 0) {
      await flip(large, largeKeys[random(largeKeys.length)] as string, 'of a large segment')
      continue
    }
    const [kind, keys] = [...kinds][i % kinds.size] as [string, string[]]
    await flip(scene, keys[random(keys.length)] as string, kind)
  }
  t.comment(`${FLIPS} flipped bits: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
  t.strictSame(missed, [])
})

t.test('damaged configs and key slots: the repository says so when it is opened', async t => {
  const scene = await createScene()
  t.teardown(scene.close)
  const random = seededRandom(12)
  const slots = [...scene.objects.keys()].filter(key => key.startsWith('keys/'))
  const own = await slotOf(scene, slots)
  for (let i = 0; i < 60; i++) {
    for (const key of ['config', own]) {
      const bytes = scene.objects.get(key) as Bytes
      const damaged = i === 0 ? bytes.subarray(0, bytes.length - 1) : flipped(bytes, random(bytes.length * 8))
      const outcome = await withObject(
        scene,
        key,
        damaged,
        async () =>
          await openRepository(scene.backend, SECRET).then(
            () => 'opened',
            (error: { detail?: { object?: string } }) => error.detail?.object,
          ),
      )
      if (outcome !== key) t.fail(`${key}, flip ${i}: ${outcome}`)
    }
  }
  t.pass()
})

/** The slot of the key file: without it the repository doesn't open. */
const slotOf = async (scene: Scene, slots: readonly string[]): Promise<string> => {
  for (const key of slots) {
    await scene.backend.delete(key)
    const isOpen = await openRepository(scene.backend, SECRET).then(
      () => true,
      () => false,
    )
    await scene.backend.put(key, scene.objects.get(key) as Bytes)
    if (!isOpen) return key
  }
  throw new Error('no slot opens')
}

t.test('a damaged forget still means forgotten; a damaged tomb, del or pin stops collection and is named', async t => {
  const scene = await createScene()
  t.teardown(scene.close)
  const { context } = scene.repository
  const keyOf = (kind: string): string => [...scene.objects.keys()].filter(key => kindOf(key) === kind).at(-1) as string
  const damage = (key: string): Bytes => flipped(scene.objects.get(key) as Bytes, 900)
  const before = (await listSnapshots(context)).length
  const after = await withObject(
    scene,
    keyOf('forget'),
    damage(keyOf('forget')),
    async () => await listSnapshots(context),
  )
  t.equal(after.length, before)
  for (const kind of ['tomb', 'del', 'pin']) {
    const key = keyOf(kind)
    const failure = await withObject(
      scene,
      key,
      damage(key),
      async () =>
        await collect(scene.repository).then(
          () => undefined,
          (error: unknown) => error,
        ),
    )
    t.match(failure, { code: 'GRANARY_CORRUPT', detail: { object: key } }, kind)
  }
})

t.test('a damaged manifest stops collection until its snapshot is forgotten', async t => {
  const scene = await createScene()
  t.teardown(scene.close)
  const { context } = scene.repository
  const { id } = (await listSnapshots(context)).at(-1) as Snapshot
  const key = `commit/${id}`
  await withObject(scene, key, flipped(scene.objects.get(key) as Bytes, 900), async () => {
    t.notOk((await listSnapshots(context, { onDamaged: () => undefined })).some(snapshot => snapshot.id === id))
    await t.rejects(collect(scene.repository), { code: 'GRANARY_AUTHENTICATION', detail: { object: key } })
    await forgetSnapshot(context, id)
    const waited = new AbortController()
    // The scene has a session that lives: collection has marked when it begins to wait for it.
    const outcome = collect(scene.repository, { signal: waited.signal, onWait: () => waited.abort() })
    await t.rejects(outcome, { name: 'AbortError' })
  })
})

t.test('a backup of what is in a damaged pack stores it again, which heals older snapshots', async t => {
  const repository = await createRepository({ chunker: 'grid:32k' })
  const { backend } = repository.context
  const content = mixedDisk(400 * KiB, 6)
  const old = await backUp(repository, content)
  const packs = [...(await gatherObjects(backend)).entries()].filter(([key]) => key.startsWith('packs/'))
  for (const [key, bytes] of packs) await backend.put(key, flipped(bytes, (bytes.length - 30) * 8))
  await t.rejects(readStored(repository, old.id), { code: 'GRANARY_AUTHENTICATION' })
  const again = await backUp(repository, content, { parent: 'none' })
  t.equal(again.disks[0]?.stats.newChunks, old.disks[0]?.stats.newChunks)
  for (const { id } of [old, again]) t.ok(isEqual(await readStored(repository, id), content))
})

t.test('what is gone or cut short is named, with the snapshots and ranges it touches', async t => {
  const repository = await createRepository({ chunker: 'grid:32k' })
  const { context } = repository
  const { backend } = context
  const content = mixedDisk(600 * KiB, 5)
  const whole = await backUp(repository, mixedDisk(300 * KiB, 8), { name: 'other' })
  const touched = await backUp(repository, content, { name: 'touched' })
  const objects = await gatherObjects(backend)
  const scene: Scene = { repository, backend, objects, close: async () => undefined }
  const report = async (key: string, bytes: Bytes | undefined): Promise<Awaited<ReturnType<typeof check>>> =>
    await withObject(scene, key, bytes, async () => await check(repository, { readData: 1 }))
  const packs = [...objects.keys()].filter(key => key.startsWith(`packs/${touched.id}-`))
  t.equal(packs.length, 2)
  for (const key of packs) {
    const bytes = objects.get(key) as Bytes
    for (const [name, left] of [
      ['gone', undefined],
      ['cut short', bytes.subarray(0, bytes.length - 5)],
      ['empty', new Uint8Array(0)],
    ] as const) {
      const { damages, touched: ranges } = await report(key, left)
      t.ok(
        damages.some(({ object }) => object === key),
        `${key} ${name}: ${damages.map(({ message }) => message).join('; ')}`,
      )
      t.ok(
        damages.every(({ object }) => object === key),
        'and nothing else is',
      )
      t.strictSame([...new Set(ranges.map(({ snapshot }) => snapshot))], [touched.id], 'only its snapshot is touched')
      for (let at = 0; at < content.length; at += 4096) {
        const isData = content.subarray(at, at + 4096).some(byte => byte !== 0)
        if (isData && !ranges.some(({ offset, length }) => offset <= at && at < offset + length))
          t.fail(`${at} is touched and not listed`)
      }
    }
  }
  // One damaged blob touches only its chunk.
  const [dataPack] = packs.toSorted((a, b) => (objects.get(b) as Bytes).length - (objects.get(a) as Bytes).length)
  const bytes = objects.get(dataPack as string) as Bytes
  const { touched: ranges } = await report(dataPack as string, flipped(bytes, (bytes.length >> 1) * 8))
  t.equal(ranges.length, 1)
  t.ok((ranges[0]?.length ?? Infinity) <= 128 * KiB)
  const commit = `commit/${touched.id}`
  const cut = await report(commit, (objects.get(commit) as Bytes).subarray(0, 200))
  t.strictSame(
    cut.damages.map(({ object }) => object),
    [commit],
  )
  t.equal(cut.snapshots, 1, `${whole.id} is found`)
  for (const key of [...objects.keys()].filter(key => key.startsWith('index/')))
    for (const bytes of [(objects.get(key) as Bytes).subarray(0, 300), new Uint8Array(0)])
      t.ok(
        (await report(key, bytes)).damages.some(({ object }) => object === key),
        key,
      )
})
