/** A damaged or lost index is made anew from the packs, and nothing is lost over it. */
import t from 'tap'
import type { Test } from 'tap'
import type { Bytes } from '@granary/core'
import { seededRandom } from '@granary/testing'
import { check, collect, forgetSnapshot, memoryBackend, rebuildIndex } from '../src/index.ts'
import type { Backend, Repository } from '../src/index.ts'
import { mergeIndex } from '../src/index/merge-index.ts'
import { fence } from '../src/sessions/decisions.ts'
import { announceSession } from '../src/sessions/session-registry.ts'
import { backUp, changeDisk, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

t.setTimeout(600_000)

const SIZE_BYTES = 3_000_000

interface Scene {
  readonly repository: Repository
  readonly backend: Backend
  readonly kept: { readonly id: string; readonly bytes: Bytes }[]
}

/** Three snapshots with a segment of their own each, or one merged segment. */
const createScene = async (isMerged: boolean): Promise<Scene> => {
  const backend = memoryBackend()
  const repository = await createRepository({ chunker: 'grid:32k' }, backend)
  const bytes = mixedDisk(SIZE_BYTES, 1)
  const kept: Scene['kept'] = []
  for (let seed = 0; seed < 3; seed++) {
    changeDisk(bytes, seed)
    kept.push({ id: (await backUp(repository, bytes)).id, bytes: bytes.slice() })
  }
  if (isMerged) await mergeIndex(repository, { force: true })
  return { repository, backend, kept }
}

const keysOf = async (backend: Backend, prefix: string): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of backend.list(prefix)) keys.push(key)
  return keys
}

const replace = async (backend: Backend, key: string, bytes: Bytes): Promise<void> => {
  await backend.delete(key)
  await backend.put(key, bytes)
}

const flipped = (bytes: Bytes, at: number): Bytes => {
  const copy = bytes.slice()
  copy[at] = (copy[at] as number) ^ 0x10
  return copy
}

/** All is as if nothing had happened: sound, every snapshot reads right, new backups store nothing twice, collection runs. */
const expectWhole = async (t: Test, { repository, kept }: Scene): Promise<void> => {
  const report = await check(repository, { readData: 1 })
  t.strictSame([report.damages, report.touched, report.unindexedPacks], [[], [], 0])
  for (const { id, bytes } of kept) t.ok(isEqual(await readStored(repository, id), bytes), id)
  const last = kept.at(-1) as Scene['kept'][number]
  const again = await backUp(repository, last.bytes, { parent: 'none' })
  t.equal(again.disks[0]?.stats.newBytes, 0, 'all chunks are found')
  await forgetSnapshot(repository.context, (kept[0] as Scene['kept'][number]).id)
  await collect(repository)
  for (const { id, bytes } of kept.slice(1))
    t.ok(isEqual(await readStored(repository, id), bytes), 'after a collection')
}

for (const isMerged of [false, true]) {
  const name = isMerged ? 'merged' : 'of sessions'
  t.test(`segments ${name}: flipped anywhere, cut, or gone`, async t => {
    const random = seededRandom(11)
    for (let round = 0; round < 6; round++) {
      const scene = await createScene(isMerged)
      const { repository, backend } = scene
      const segments = await keysOf(backend, 'index/')
      const key = segments[random(segments.length)] as string
      const bytes = await backend.get(key)
      if (round === 0) await backend.delete(key)
      else if (round === 1) await replace(backend, key, bytes.slice(0, random(bytes.length)))
      else await replace(backend, key, flipped(bytes, random(bytes.length)))
      if (round > 0) await t.rejects(collect(repository), 'collection does not guess')
      const report = await rebuildIndex(repository)
      t.strictSame(report.damagedSegments, round === 0 ? [] : [key])
      t.ok(report.indexedPacks > 0)
      t.strictSame(report.unreadablePacks, [])
      t.notOk((await keysOf(backend, 'index/')).includes(key))
      await expectWhole(t, scene)
    }
  })
}

t.test('a sound index is left as it is', async t => {
  const scene = await createScene(true)
  const before = await keysOf(scene.backend, 'index/')
  t.strictSame(await rebuildIndex(scene.repository), { damagedSegments: [], indexedPacks: 0, unreadablePacks: [] })
  t.strictSame(await keysOf(scene.backend, 'index/'), before)
  await expectWhole(t, scene)
})

t.test('beside a collection, a merge that died, a session that lives, and a pack that is damaged, too', async t => {
  const scene = await createScene(false)
  const { repository, backend, kept } = scene
  const { context } = repository
  const [first] = await keysOf(backend, 'index/')
  await replace(backend, first as string, new Uint8Array(50))
  const sid = '0'.repeat(31) + '1'
  const heartbeat = await announceSession(context, sid)
  const packs = (await keysOf(backend, 'packs/')).filter(key => key.includes((first as string).slice(6, 38)))
  const bad = packs[0] as string
  const packBytes = await backend.get(bad)
  await replace(backend, bad, packBytes.slice(0, packBytes.length - 20))
  const report = await rebuildIndex(repository)
  t.strictSame(report, { damagedSegments: [first], indexedPacks: packs.length - 1, unreadablePacks: [bad] })
  await replace(backend, bad, packBytes)
  t.strictSame(await rebuildIndex(repository), { damagedSegments: [], indexedPacks: 1, unreadablePacks: [] })
  await fence(context, sid)
  await heartbeat[Symbol.asyncDispose]()
  await expectWhole(t, { repository, backend, kept })
})

t.test('ends when it is told to, and nothing is worse for it', async t => {
  const { repository } = await createScene(false)
  await t.rejects(rebuildIndex(repository, { signal: AbortSignal.abort() }))
  t.equal((await check(repository)).damages.length, 0)
})
