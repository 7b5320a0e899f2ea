/** What somebody can't do who holds a client's file and may write to the storage. */
import type { Bytes } from '@granary/core'
import { createDataKey, createSigner } from '@granary/transform'
import t from 'tap'
import { check, collect, forgetSnapshot, listSnapshots, memoryBackend, openRepository } from '../src/index.ts'
import type { Repository } from '../src/index.ts'
import { gcKey } from '../src/gc/gc-state.ts'
import { packKey } from '../src/format/ids.ts'
import { sealObject } from '../src/format/sealed-object.ts'
import { sealSigned } from '../src/format/signed-object.ts'
import { PACK_AT } from '../src/packs/pack-format.ts'
import { PackBuilder } from '../src/packs/pack-builder.ts'
import type { PackSeal } from '../src/packs/pack-builder.ts'
import { openPack } from '../src/packs/pack-reader.ts'
import { createNonce } from '../src/sessions/decisions.ts'
import { WriterSession } from '../src/sessions/writer-session.ts'
import { backUp, createClientScene, isEqual, mixedDisk, newBytesOf, readStored } from './store-helpers.ts'
import type { ClientScene } from './store-helpers.ts'

const MiB = 1024 * 1024

interface Scene extends ClientScene {
  /** Ids of the chunks of `disk`. */
  readonly ids: readonly Bytes[]
  readonly disk: Bytes
  /** Of the disk, for whoever finds none of them. */
  readonly newBytes: number
}

/** A repository without a chunk of `disk`, whose ids the client knows. */
const createScene = async (): Promise<Scene> => {
  const scene = await createClientScene('mallory')
  const { backend, file } = scene
  const disk = mixedDisk(2 * MiB, 1)
  const elsewhere = memoryBackend()
  for await (const { key } of backend.list('')) await elsewhere.put(key, await backend.get(key))
  const other = await openRepository(elsewhere, { kind: 'client', file })
  const newBytes = newBytesOf(await backUp(other, disk))
  const ids: Bytes[] = []
  for await (const { key } of elsewhere.list('packs/')) {
    const pack = await openPack(elsewhere, other.context.keys, key)
    if (pack.type === 'dataPack') ids.push(...pack.entries.map(entry => entry.id))
  }
  return { ...scene, ids, disk, newBytes }
}

/** A pack that says it holds some chunks, and holds something else. */
const lyingPack = (seal: PackSeal, number: number, ids: readonly Bytes[]): { bytes: Bytes; uid: Bytes } => {
  const pack = new PackBuilder(seal, number)
  const parts = [pack.prelude]
  for (const id of ids) {
    const blob = { id, bytes: new Uint8Array(100), plainLength: 100, compression: 0 }
    const sealed = new Uint8Array(pack.sealedLength(blob))
    pack.add(blob, sealed)
    parts.push(sealed)
  }
  return { bytes: Buffer.concat([...parts, pack.finish()]), uid: pack.uid }
}

/** Stores a pack and a segment that names it, and commits. */
const publish = async (
  client: Repository,
  ids: readonly Bytes[],
  forge: (seal: PackSeal) => PackSeal,
): Promise<string> => {
  await using session = await WriterSession.begin(client.context)
  const seal = forge(session.sealOf('dataPack'))
  const { bytes, uid } = lyingPack(seal, 0, ids)
  const name = { sid: session.sid, number: 0 }
  await client.context.backend.put(packKey(name), bytes)
  await session.packStored(name, 'dataPack', uid, ids)
  await session.commit({ kind: 'maintenance', nonce: createNonce(), timeMs: 0, host: 'mallory' })
  return packKey(name)
}

t.test('a pack that lies: nobody relies on it, and no reader stumbles over it', async t => {
  const { holder, client, ids, disk, newBytes } = await createScene()
  const lie = await publish(client, ids, seal => seal)
  const first = await backUp(holder, disk)
  t.equal(newBytesOf(first), newBytes, 'stored in spite of it')
  t.ok(isEqual(await readStored(holder, first.id), disk), 'and read from where it is')
  const report = await check(holder, { readData: 1 })
  t.ok(report.damages.length > 0 && report.damages.every(({ object }) => object === lie), 'a check names it')
  t.equal(report.passedPacks, 0)
  t.ok(isEqual(await readStored(holder, first.id), disk))
  await collect(holder)
  t.ok(isEqual(await readStored(holder, first.id), disk))
})

t.test('a pack that lies makes no collection take away what it says it holds', async t => {
  const { holder, client, ids, disk } = await createScene()
  const larger = await backUp(holder, Buffer.concat([disk, mixedDisk(3 * MiB, 9)]), { parent: 'none' })
  const smaller = await backUp(holder, disk, { parent: 'none' })
  t.ok(newBytesOf(smaller) < 600_000, 'nearly all of it is in a pack that is half dead soon')
  const liar = await publish(client, ids, seal => seal)
  await forgetSnapshot(holder.context, larger.id)
  const { deletedPacks } = await collect(holder, { repackBelow: 1 })
  t.ok(deletedPacks > 0)
  t.ok(await holder.context.backend.stat(liar), 'it stays: it says that it holds what is needed')
  t.ok(isEqual(await readStored(holder, smaller.id), disk))
})

t.test('the envelope of a key holder, and the public key, make no pack a key holder’s', async t => {
  const { backend, holder, client, ids, disk, newBytes } = await createScene()
  await backUp(holder, mixedDisk(MiB, 2), { name: 'other' })
  let envelope: Bytes | undefined
  for await (const { key } of backend.list('packs/')) {
    const pack = await openPack(backend, client.context.keys, key)
    if (pack.type === 'dataPack') envelope = pack.prelude.subarray(PACK_AT.envelope)
  }
  const domainKey = createDataKey()
  await publish(client, ids, seal => ({ ...seal, envelope: envelope as Bytes, domainKey }))
  const snapshot = await backUp(holder, disk)
  t.equal(newBytesOf(snapshot), newBytes)
  t.ok(isEqual(await readStored(holder, snapshot.id), disk))
})

t.test('a copy of a key holder’s pack under another name is nobody’s', async t => {
  const { backend, holder, client } = await createScene()
  const disk = mixedDisk(MiB, 3)
  const stored = await backUp(holder, disk)
  const key = packKey({ sid: stored.id, number: 0 })
  const pack = await openPack(backend, client.context.keys, key)
  t.equal(pack.type, 'dataPack')
  t.ok(holder.context.keys.holders.has(pack.signer as string))
  // The blobs are something else now: their list and its signature don't cover their bytes.
  const copy = (await backend.get(key)).slice()
  const [entry] = pack.entries
  copy.fill(0, entry?.offset, (entry?.offset ?? 0) + 50)
  const session = await WriterSession.begin(client.context)
  const name = { sid: session.sid, number: 0 }
  await backend.put(packKey(name), copy)
  await session.packStored(
    name,
    'dataPack',
    pack.uid,
    pack.entries.map(({ id }) => id),
  )
  await session.commit({ kind: 'maintenance', nonce: createNonce(), timeMs: 0, host: 'mallory' })
  await session[Symbol.asyncDispose]()
  t.equal((await openPack(backend, holder.context.keys, packKey(name))).signer, undefined)
  await backend.delete(key) // As a collection would, had it been forgotten.
  const again = await backUp(holder, disk, { parent: 'none' })
  t.equal(newBytesOf(again), newBytesOf(stored), 'all of it is stored again')
  t.ok(isEqual(await readStored(holder, again.id), disk))
  t.ok(
    (await check(holder)).damages.some(
      ({ object, code }) => object === packKey(name) && code === 'GRANARY_AUTHENTICATION',
    ),
  )
})

t.test('map nodes that lie', async t => {
  const { holder, client, disk } = await createScene()
  const good = await backUp(holder, mixedDisk(MiB, 5), { name: 'good' })
  const nodeId = Buffer.from(good.disks[0]?.map.root as string, 'hex')
  await using session = await WriterSession.begin(client.context)
  const { bytes, uid } = lyingPack(session.sealOf('mapPack'), 0, [nodeId])
  await client.context.backend.put(packKey({ sid: session.sid, number: 0 }), bytes)
  await session.packStored({ sid: session.sid, number: 0 }, 'mapPack', uid, [nodeId])
  await session.commit({ kind: 'maintenance', nonce: createNonce(), timeMs: 0, host: 'mallory' })
  t.ok(isEqual(await readStored(holder, good.id), mixedDisk(MiB, 5)))
  const snapshot = await backUp(holder, disk)
  t.ok(isEqual(await readStored(holder, snapshot.id), disk))
})

t.test('what key holders decide can’t be forged with the keys a client has', async t => {
  const { backend, holder, client } = await createScene()
  const snapshot = await backUp(holder, mixedDisk(MiB, 4))
  const packs: string[] = []
  for await (const { key } of backend.list('packs/')) packs.push(key)
  const del = { isAbandoned: false, packs, excluded: [] }
  const { keys } = client.context
  const forgeries: readonly [string, Promise<Bytes>][] = [
    ['unsigned', Promise.resolve(sealObject(keys, 'del', gcKey(1, 'del'), Buffer.from(JSON.stringify(del))))],
    ['signed by the client', sealSigned(keys, 'del', gcKey(1, 'del'), del)],
    ['signed by somebody', sealSigned(keys, 'del', gcKey(1, 'del'), del, createSigner(new Uint8Array(32)))],
  ]
  for (const [name, forged] of forgeries) {
    await backend.put(gcKey(1, 'claim'), await sealSigned(keys, 'claim', gcKey(1, 'claim'), { timeMs: 0 }))
    await backend.put(gcKey(1, 'del'), await forged)
    await t.rejects(collect(holder), { code: 'GRANARY_CORRUPT', detail: { object: gcKey(1, 'del') } }, name)
    const left = []
    for await (const { key } of backend.list('packs/')) left.push(key)
    t.strictSame(left, packs, 'nothing was deleted')
  }
  await backend.delete(gcKey(1, 'claim'))
  await backend.delete(gcKey(1, 'del'))

  const config = await backend.get('config')
  const line = config.subarray(0, config.indexOf(10) + 1)
  const name = `config\n${Buffer.from(line).toString()}`
  const settings = { ...holder.settings, compression: 'none', unsignedCollections: 99 }
  for (const sealed of [
    sealObject(keys, 'config', name, Buffer.from(JSON.stringify(settings))),
    await sealSigned(keys, 'config', name, settings),
  ]) {
    await backend.put('config', Buffer.concat([line, sealed]))
    await t.rejects(openRepository(backend, { kind: 'key-file', key: new Uint8Array(32).fill(7) }), {
      code: 'GRANARY_AUTHENTICATION',
    })
  }
  await backend.put('config', config)
  t.equal((await listSnapshots(holder.context))[0]?.id, snapshot.id)
})

t.test('marks of forgetting that no key holder made cost nobody his snapshot', async t => {
  const { backend, holder, client, disk } = await createScene()
  const [mine, damaged, right] = [
    await backUp(holder, disk, { name: 'a' }),
    await backUp(holder, mixedDisk(MiB, 6), { name: 'b' }),
    await backUp(holder, mixedDisk(MiB, 7), { name: 'c' }),
  ]
  const mark = { sid: mine.id, hash: mine.hash, timeMs: 0, host: 'mallory' }
  await backend.put(`forget/${mine.id}`, await sealSigned(client.context.keys, 'forget', `forget/${mine.id}`, mark))
  await backend.put(`forget/${damaged.id}`, new Uint8Array(3))
  await forgetSnapshot(holder.context, right.id)
  t.strictSame(await listSnapshots(holder.context), [], 'all three count as forgotten')
  const { doubtfulForgets, deletedPacks } = await collect(holder)
  t.strictSame(new Set(doubtfulForgets), new Set([mine.id, damaged.id]))
  t.equal(deletedPacks, 2, 'of the one that a key holder has forgotten')
  await backend.delete(`forget/${mine.id}`)
  t.ok(isEqual(await readStored(holder, mine.id), disk), 'without the mark it is there, whole')
  // What is gone already keeps nobody from collecting.
  await backend.put(`forget/${right.id}`, new Uint8Array(3))
  t.strictSame((await collect(holder)).doubtfulForgets, [damaged.id])
})

t.test('a signer that signs itself in, and packs that pass themselves', async t => {
  const { backend, holder, client, ids, disk, newBytes } = await createScene()
  const { keys } = client.context
  const signer = createSigner(new Uint8Array(32).fill(3))
  const record = { kind: 'holder', name: 'me', publicKey: Buffer.from(signer.publicKey).toString('hex'), timeMs: 0 }
  await backend.put('signers/0011223344556677', await sealSigned(keys, 'signer', 'signers/0011223344556677', record))
  const lie = await publish(client, ids, seal => seal)
  const pack = await openPack(backend, keys, lie)
  const passed = `passed/${'ab'.repeat(16)}`
  await backend.put(passed, await sealSigned(keys, 'passed', passed, { packs: { [lie]: pack.digest } }))
  t.equal(newBytesOf(await backUp(holder, disk)), newBytes)
  const objects = (await check(holder)).damages.map(({ object }) => object)
  t.ok(objects.includes('signers/0011223344556677') && objects.includes(passed), 'a check names both')
})

t.test('positive control: a pack that tells the truth, and has passed, is relied on; replaced, it is not', async t => {
  const { backend, holder, client, disk, newBytes } = await createScene()
  const { id } = await backUp(client, disk, { name: 'web' })
  t.ok((await check(holder, { readData: 1 })).passedPacks > 0)
  const key = packKey({ sid: id, number: 0 })
  const ids = (await openPack(backend, holder.context.keys, key)).entries.map(entry => entry.id)
  t.equal(newBytesOf(await backUp(holder, disk, { name: 'a' })), 0)
  const session = await WriterSession.begin(client.context)
  const { bytes } = lyingPack({ ...session.sealOf('dataPack'), sid: id }, 0, ids)
  await session[Symbol.asyncDispose]()
  await backend.put(key, bytes)
  t.equal(newBytesOf(await backUp(holder, disk, { name: 'b' })), newBytes, 'another pack under that name did not pass')
})
