/** Damage of every kind of object is found, and named: single flipped bits everywhere, objects cut short, objects gone. */
import t from 'tap'
import { isGranaryError, memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededRandom } from '@granary/testing/simulation'
import { collectBy } from '../src/gc/collect.ts'
import { FULL_PROTOCOL } from '../src/gc/protocol.ts'
import { addSlot, backup, check, collect, forgetSnapshot, listSnapshots, memoryBackend, openDisk, openRepository } from '../src/index.ts'
import type { Backend, Repository, Snapshot } from '../src/index.ts'
import { mergeIndex } from '../src/index/merge-index.ts'
import { fence } from '../src/sessions/decisions.ts'
import { pinSnapshot } from '../src/sessions/pins.ts'
import { announceSession } from '../src/sessions/session-registry.ts'
import { SECRET, backUp, createRepository, mixedDisk } from './store-helpers.ts'

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
  ['index', /^index\//],
  ['pack', /^packs\//],
]

const kindOf = (key: string): string => KINDS.find(([, pattern]) => pattern.test(key))?.[0] ?? 'unknown'

interface Scene {
  readonly repository: Repository
  readonly backend: Backend
  readonly objects: ReadonlyMap<string, Bytes>
  readonly snapshots: readonly Snapshot[]
}

/** A small repository with an object of every kind, and index segments of small and of large pages, merged and not. */
const createScene = async (): Promise<Scene> => {
  const repository = await createRepository({ chunker: 'grid:32k' })
  const { context, keyring } = repository
  const { backend } = context
  const cost = { memoryKiB: 8 * 1024, passes: 1 }
  await addSlot(backend, keyring, { kind: 'passphrase', passphrase: 'correct horse' }, { label: 'second', kdf: { name: 'argon2id', ...cost } } as never)
  const first = await backUp(repository, mixedDisk(300 * KiB, 1), { name: 'first' })
  await forgetSnapshot(context, first.id)
  await collect(repository)
  await backUp(repository, mixedDisk(200 * KiB, 2), { name: 'second' })
  await mergeIndex(repository, { force: true })
  // More blobs than a segment of small pages holds: fixed chunks that are all different.
  const many = new Uint8Array(650 * 64 * KiB)
  for (let i = 0; i < 650; i++) many.fill(i % 251, i * 64 * KiB, (i + 1) * 64 * KiB).set([i >> 8, i & 255, 1], i * 64 * KiB)
  await backup(repository, [{ name: 'disk', source: 'test', disk: memoryDisk(many) }], {
    name: 'many',
    workers: 0,
    chunker: { strategy: 'fixed', sizeBytes: 64 * KiB } as never,
  })
  const fenced = 'f'.repeat(32)
  await fence(context, fenced)
  await announceSession(context, 'a'.repeat(32))
  const [snapshot] = await listSnapshots(context)
  await pinSnapshot(context, (snapshot as Snapshot).id)
  const objects = new Map<string, Bytes>()
  for await (const { key } of backend.list('')) objects.set(key, await backend.get(key))
  return { repository, backend, objects, snapshots: await listSnapshots(context) }
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
