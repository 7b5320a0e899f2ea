/** `verify`: signed forgets are told from removals, forks are shown, and a tail that was cut off is missed by who remembers it. */
import { seededBytes } from '@granary/testing'
import { createSigner } from '@granary/transform'
import t from 'tap'
import {
  addClient,
  addHolderSigner,
  forgetSnapshot,
  listSnapshots,
  memoryBackend,
  openRepository,
  planRetention,
  resolveSnapshotId,
  revoke,
  verify,
} from '../src/index.ts'
import type { Backend, Repository, Snapshot } from '../src/index.ts'
import { sealSigned } from '../src/format/signed-object.ts'
import { SECRET, backUp, createRepository } from './store-helpers.ts'

interface Scene {
  readonly backend: Backend
  readonly repository: Repository
  readonly chain: readonly Snapshot[]
}

const createScene = async (snapshots = 4): Promise<Scene> => {
  const backend = memoryBackend()
  const repository = await createRepository({}, backend)
  const chain: Snapshot[] = []
  for (let i = 0; i < snapshots; i++) chain.push(await backUp(repository, seededBytes(50_000, i), { name: 'web' }))
  return { backend, repository, chain }
}

const kindsOf = async (repository: Repository, options = {}): Promise<unknown[]> =>
  (await verify(repository, options)).problems.map(({ kind, snapshot }) => [kind, snapshot])

t.test('a chain as it was made, with a signed forget in it', async t => {
  const { repository, chain } = await createScene()
  await backUp(repository, seededBytes(50_000, 9), { name: 'mail' })
  await forgetSnapshot(repository.context, chain[1]?.id as string)
  const { series, problems, verified } = await verify(repository)
  t.strictSame(problems, [])
  t.equal(verified, 5)
  const last = chain.at(-1) as Snapshot
  t.match(series, [
    { name: 'mail', snapshots: 1, forgotten: 0, forks: [] },
    { name: 'web', snapshots: 3, forgotten: 1, heads: [{ id: last.id, hash: last.hash }], forks: [] },
  ])
})

t.test('a removal is told from a forget, wherever it is; at the end only who remembers misses it', async t => {
  const { backend, repository, chain } = await createScene()
  const [, middle, , last] = chain as [Snapshot, Snapshot, Snapshot, Snapshot]
  const removed = await backend.get(`commit/${middle.id}`)
  await backend.delete(`commit/${middle.id}`)
  t.strictSame(await kindsOf(repository), [['removed', middle.id]])
  await backend.put(`commit/${middle.id}`, removed)
  t.strictSame(await kindsOf(repository), [])

  await forgetSnapshot(repository.context, middle.id)
  await backend.delete(`commit/${middle.id}`)
  t.strictSame(await kindsOf(repository), [], 'forgotten by its own hash, so its absence is explained')

  const expected = [{ id: last.id, hash: last.hash }]
  t.strictSame(await kindsOf(repository, { expected }), [])
  await backend.delete(`commit/${last.id}`)
  t.strictSame(await kindsOf(repository), [], 'nothing names it')
  t.strictSame(await kindsOf(repository, { expected }), [['head', last.id]])
  t.strictSame(await kindsOf(repository, { expected: [{ hash: last.hash }] }), [['head', null]])
})

t.test('marks that no key holder signed are removals; so are damaged ones', async t => {
  const { backend, repository, chain } = await createScene(3)
  const { file } = await addClient(repository, 'mallory')
  const client = await openRepository(backend, { kind: 'client', file })
  const [first, second, third] = chain.map(({ id }) => id) as [string, string, string]
  const mark = { sid: first, hash: chain[0]?.hash, timeMs: 0, host: 'x' }
  await backend.put(`forget/${first}`, await sealSigned(client.context.keys, 'forget', `forget/${first}`, mark))
  await backend.put(`forget/${second}`, new Uint8Array(7))
  const body = await sealSigned(repository.context.keys, 'forget', `forget/${third}`, {
    sid: third,
    hash: '00',
    timeMs: 0,
  })
  await backend.put(`forget/${third}`, body)
  const found = (await kindsOf(repository)).map(String)
  t.strictSame(new Set(found), new Set([`changed,${third}`, `forget,${first}`, `forget,${second}`]))
})

t.test('forks are shown and are no problem; another snapshot in the place of one is', async t => {
  const { backend, repository, chain } = await createScene(2)
  const [first, second] = chain as [Snapshot, Snapshot]
  // Two writers that don't know of each other: the second snapshot isn't there while another one is made.
  const hidden = await backend.get(`commit/${second.id}`)
  await backend.delete(`commit/${second.id}`)
  const other = await backUp(repository, seededBytes(50_000, 8), { name: 'web' })
  await backend.put(`commit/${second.id}`, hidden)
  const { series, problems } = await verify(repository)
  t.strictSame(problems, [])
  t.strictSame(series[0]?.forks, [{ prev: first.id, ids: [second.id, other.id].toSorted() }])
  t.equal(series[0]?.heads.length, 2)

  const { hash, id, signer, signedBy, ...manifest } = first
  t.ok(hash.length + id.length + signer.length === 160 && signedBy.isVerified)
  await backend.put(
    `commit/${id}`,
    await sealSigned(repository.context.keys, 'manifest', `commit/${id}`, { ...manifest, labels: { a: 'b' } }),
  )
  t.strictSame(
    await kindsOf(repository),
    [
      ['changed', id],
      ['changed', id],
    ],
    'both that follow it say so',
  )
  await backend.put(`commit/${id}`, new Uint8Array(100))
  const found = (await kindsOf(repository)).map(String).toSorted((a, b) => (a < b ? -1 : 1))
  t.strictSame(found, [`damaged,${id}`, `removed,${id}`, `removed,${id}`])
})

t.test('snapshots by nobody who counts: shown, never the latest, and pushing nobody out', async t => {
  const { backend, repository, chain } = await createScene(3)
  const { file } = await addClient(repository, 'mallory')
  const client = await openRepository(backend, { kind: 'client', file })
  for (let i = 0; i < 3; i++) await backUp(client, seededBytes(50_000, 20 + i), { name: 'web', parent: 'none' })
  const stranger: Repository = {
    ...client,
    context: { ...client.context, keys: { ...client.context.keys, signer: createSigner(seededBytes(32, 1)) } },
  }
  const fake = await backUp(stranger, seededBytes(50_000, 30), { name: 'web', parent: 'none' })
  t.strictSame(fake.signedBy, { kind: 'unknown', isVerified: false })
  const snapshots = await listSnapshots(repository.context)
  t.equal(snapshots.length, 7)
  t.not(await resolveSnapshotId(repository.context, 'latest'), fake.id)
  t.strictSame(await kindsOf(repository), [['signature', fake.id]])
  const { keep } = planRetention(snapshots, { keepLast: 2 })
  const kept = new Set(keep.map(({ snapshot }) => snapshot.id))
  for (const { id } of chain.slice(1)) t.ok(kept.has(id), 'the key holder’s last two stay, whatever a client stores')
  t.equal(keep.length, 5, 'two of each, and the one of nobody')
  await revoke(repository, 'mallory')
  t.strictSame(await kindsOf(repository), [['signature', fake.id]], 'what a client had made stays good')
})

t.test('a signer of one’s own: unknown until it is made known', async t => {
  const { backend, repository } = await createScene(1)
  const own = createSigner(seededBytes(32, 2))
  // As a hardware module would: with an answer that comes later.
  const signer = { publicKey: own.publicKey, sign: async (bytes: Uint8Array) => await Promise.resolve(own.sign(bytes)) }
  const open = async (): Promise<Repository> => await openRepository(backend, SECRET, { signer })
  const early = await backUp(await open(), seededBytes(50_000, 3), { name: 'web' })
  t.equal(early.signedBy.kind, 'unknown')
  t.strictSame(await kindsOf(repository), [['signature', early.id]])
  await addHolderSigner(repository, { name: 'module', publicKey: own.publicKey })
  const late = await backUp(await open(), seededBytes(50_000, 4), { name: 'web' })
  t.strictSame(late.signedBy, { kind: 'holder', name: 'module', isVerified: true })
  t.strictSame(await kindsOf(repository), [])
  await forgetSnapshot((await open()).context, early.id)
  t.strictSame(await kindsOf(repository), [], 'its forgets count, too')
})
