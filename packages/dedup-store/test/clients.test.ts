/** Write-only clients: they back up with deduplication and incrementals, and can read no chunk, not even their own. */
import { memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { Keyring, constantTimeEqual, createSigner, deriveObjectKeys, suiteById } from '@granary/transform'
import t from 'tap'
import {
  addClient,
  backup,
  changeSettings,
  check,
  collect,
  forgetSnapshot,
  listSigners,
  listSnapshots,
  openDisk,
  openRepository,
  resolveSnapshotId,
  revoke,
} from '../src/index.ts'
import type { Backend, Repository } from '../src/index.ts'
import { decodeClientFile } from '../src/clients/client-file.ts'
import type { ClientFile } from '../src/clients/client-file.ts'
import { decodeHeader } from '../src/format/header.ts'
import { repositoryKeys } from '../src/format/repository-keys.ts'
import type { RepositoryKeys } from '../src/format/repository-keys.ts'
import { PACK_AT } from '../src/packs/pack-format.ts'
import { openPack } from '../src/packs/pack-reader.ts'
import { WriterSession } from '../src/sessions/writer-session.ts'
import {
  SECRET,
  backUp,
  changeDisk,
  createClientScene,
  createRepository,
  isEqual,
  mixedDisk,
  newBytesOf,
  readStored,
} from './store-helpers.ts'

const MiB = 1024 * 1024

t.test('a client backs up, incrementally and deduplicated, and the key holder restores', async t => {
  const { holder, client } = await createClientScene()
  t.equal(client.keyring, undefined)
  const disk = mixedDisk(3 * MiB, 1)
  const full = await backUp(client, disk)
  t.equal(full.backupKind, 'full')
  t.ok(newBytesOf(full) > 500_000)
  t.strictSame(full.signedBy, { kind: 'client', name: 'web', isVerified: true })
  const first = disk.slice()
  const changes = changeDisk(disk, 2, 3)
  const changed = await backUp(client, disk)
  t.equal(changed.backupKind, 'incremental')
  t.equal(changed.parent, full.id)
  t.ok(newBytesOf(changed) < newBytesOf(full) / 2, `${changes.length} changes, ${newBytesOf(changed)} new`)
  const unchanged = await backUp(client, disk, { parent: 'none' })
  t.equal(newBytesOf(unchanged), 0, 'its own ended sessions serve it')
  t.ok(isEqual(await readStored(holder, full.id), first))
  t.ok(isEqual(await readStored(holder, changed.id), disk))
  t.strictSame((await check(holder, { readData: 1 })).damages, [])
})

t.test('a client deduplicates against what key holders stored, and builds on their snapshots', async t => {
  const { holder, client } = await createClientScene()
  const disk = mixedDisk(2 * MiB, 3)
  const before = await backUp(holder, disk)
  const after = await backUp(client, disk)
  t.equal(newBytesOf(after), 0)
  t.equal(after.parent, before.id)
  t.ok(isEqual(await readStored(holder, after.id), disk))
})

t.test('packs of a client serve others only after a key holder has read them', async t => {
  const { backend, holder, client } = await createClientScene()
  const { file } = await addClient(holder, 'mail')
  const other = await openRepository(backend, { kind: 'client', file })
  const disk = mixedDisk(2 * MiB, 4)
  const all = newBytesOf(await backUp(client, disk, { name: 'web' }))
  t.equal(newBytesOf(await backUp(holder, disk, { name: 'holder' })), all, 'the key holder stores it again')
  const apart = mixedDisk(2 * MiB, 5)
  const most = newBytesOf(await backUp(client, apart, { name: 'web' }))
  t.equal(newBytesOf(await backUp(other, apart, { name: 'mail' })), most, 'so does another client')

  const quick = await check(holder)
  t.equal(quick.passedPacks, 0, 'footers prove nothing')
  t.ok(quick.unverifiedPacks > 0)
  const thorough = await check(holder, { readData: 1 })
  t.strictSame(thorough.damages, [])
  t.ok(thorough.passedPacks > 0)
  t.equal(thorough.unverifiedPacks, 0)
  t.equal((await check(holder, { readData: 1 })).passedPacks, 0, 'once is enough')
  t.equal(newBytesOf(await backUp(holder, apart, { name: 'holder', parent: 'none' })), 0)
  t.equal(newBytesOf(await backUp(other, disk, { name: 'mail', parent: 'none' })), 0)
  await collect(holder)
  t.ok(isEqual(await readStored(holder, (await listSnapshots(holder.context))[0]?.id as string), disk))
})

/** Every secret of 32 bytes that a client's file holds. */
const secretsOf = (file: ClientFile): Bytes[] => [
  file.chunkId,
  file.mapId,
  file.chunker,
  file.index,
  file.signingSeed,
  file.sealTo,
  createSigner(file.signingSeed).publicKey,
  ...[...file.generations.values()].flatMap(({ map, manifest, session, holder }) => [map, manifest, session, holder]),
]

/** Keys as somebody would have them who took a secret for a root key. */
const asRoot = (secret: Bytes): RepositoryKeys => repositoryKeys(new Keyring(new Map([[1, secret]]), 1), 'aes-256-gcm')

interface Attack {
  readonly packs: number
  readonly opened: number
}

/**
 * Tries to open the data packs of a repository with some secrets: each one as the key of the pack's domain, and each one as what
 * opens its envelope; and with what whoever opened the repository is given by the code itself.
 */
const attack = async (
  { context }: Repository,
  secrets: readonly Bytes[],
  roots: readonly RepositoryKeys[],
): Promise<Attack> => {
  let packs = 0
  let opened = 0
  const { backend } = context
  for await (const { key } of backend.list('packs/')) {
    const bytes = await backend.get(key)
    const header = decodeHeader(bytes, key)
    if (header.type !== 'dataPack') continue
    packs++
    const envelopeBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint16(PACK_AT.envelopeLength, true)
    const envelope = bytes.subarray(PACK_AT.envelope, PACK_AT.envelope + envelopeBytes)
    const domain = bytes.subarray(PACK_AT.domain, PACK_AT.envelopeLength)
    const candidates = [...secrets]
    for (const keys of [context.keys, ...roots]) {
      try {
        candidates.push(keys.openDataKey(header.generation, envelope, domain))
      } catch {
        continue // Not with these.
      }
    }
    const keyBytes = suiteById(header.suite).keyBytes
    const opens = (candidate: Bytes): boolean =>
      constantTimeEqual(deriveObjectKeys(candidate, header.salt, keyBytes).commitment, header.commitment)
    if (candidates.some(opens)) opened++
  }
  return { packs, opened }
}

t.test('with everything a client holds no chunk of any session can be decrypted', async t => {
  const { backend, holder, file, client } = await createClientScene()
  await backUp(holder, mixedDisk(MiB, 6), { name: 'holder' })
  const dataKeys: Bytes[] = []
  {
    // What a session holds while it runs, to see that nothing of it stays.
    await using session = await WriterSession.begin(client.context)
    dataKeys.push(session.sealOf('dataPack').domainKey)
  }
  const snapshot = await backUp(client, mixedDisk(MiB, 7), { name: 'web' })
  const secrets = secretsOf(decodeClientFile(file))
  t.ok(secrets.length >= 11)
  const roots = secrets.map(asRoot)
  const attempt = await attack(client, secrets, roots)
  t.ok(attempt.packs >= 2, 'of its own ended session, and of the key holder')
  t.equal(attempt.opened, 0)
  const control = await attack(holder, secrets, roots)
  t.strictSame(
    control,
    { packs: attempt.packs, opened: attempt.packs },
    'the same attempt by a key holder opens them all',
  )

  for await (const { key } of backend.list('')) {
    const bytes = Buffer.from(await backend.get(key))
    for (const dataKey of dataKeys) t.notOk(bytes.includes(Buffer.from(dataKey)), `${key} holds no data key`)
  }
  t.notOk(
    Buffer.from(file)
      .toString()
      .includes(Buffer.from(dataKeys[0] as Bytes).toString('hex')),
  )
  await using disk = await openDisk(client, snapshot.id)
  await t.rejects(disk.read(0, new Uint8Array(4096)), { code: 'GRANARY_WRONG_KEY', hint: String })
})

t.test('a client sees what it must: snapshots, maps and what packs hold; and may decide nothing', async t => {
  const { backend, holder, client } = await createClientScene()
  const snapshot = await backUp(holder, mixedDisk(MiB, 8))
  t.strictSame(
    (await listSnapshots(client.context)).map(({ id, signedBy }) => [id, signedBy.kind]),
    [[snapshot.id, 'holder']],
  )
  for await (const { key } of backend.list('packs/')) {
    const pack = await openPack(backend, client.context.keys, key)
    t.ok(pack.entries.length > 0)
  }
  const refused = { code: 'GRANARY_WRONG_KEY' }
  await t.rejects(collect(client), refused)
  await t.rejects(check(client), refused)
  await t.rejects(addClient(client, 'another'), refused)
  await t.rejects(revoke(client, 'web'), refused)
  await t.rejects(changeSettings(client, { compression: 'lz4' }), refused)
  await t.rejects(forgetSnapshot(client.context, snapshot.id), refused)
})

t.test('a revoked client: what it made stays good, what it makes counts for nothing', async t => {
  const { holder, client } = await createClientScene()
  const disk = mixedDisk(MiB, 9)
  const good = await backUp(client, disk)
  t.match(await revoke(holder, 'web'), { name: 'web', kind: 'client', isRevoked: true })
  await t.rejects(revoke(holder, 'web'), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(revoke(holder, 'nobody'), { code: 'GRANARY_NOT_FOUND' })
  disk.fill(1, 0, 5000)
  const late = await backUp(client, disk) // Whoever may write to the storage may still put objects there.
  const byId = new Map((await listSnapshots(holder.context)).map(snapshot => [snapshot.id, snapshot]))
  t.match(byId.get(good.id)?.signedBy, { kind: 'client', name: 'web', isVerified: true })
  t.match(byId.get(late.id)?.signedBy, { kind: 'client', name: 'web', isVerified: false })
  t.equal(await resolveSnapshotId(holder.context, 'latest'), good.id, 'nobody takes it for the latest')
  t.ok(isEqual(await readStored(holder, late.id), disk), 'it can still be read by its id')
  t.match(await listSigners(holder), [{ name: 'web', isRevoked: true }])
  t.ok((await addClient(holder, 'web')).id, 'its name is free again')
})

t.test('a key holder takes no unchanged window on the word of a client', async t => {
  const { holder, client } = await createClientScene()
  const disk = mixedDisk(MiB, 10)
  const lie = await backUp(client, disk, { name: 'machine' })
  await t.rejects(backUp(holder, disk, { parent: lie.id }), { code: 'GRANARY_INVALID_ARGUMENT', hint: /parent/ })
  const own = await backUp(holder, disk, { name: 'machine' })
  t.equal(own.parent, null)
  t.equal(own.prev?.sid, lie.id, 'but the chain of the series goes on')
  const next = await backUp(holder, disk, { name: 'machine' })
  t.equal(next.parent, own.id)
})

t.test('a client file: damaged, of another repository, or something else', async t => {
  const { backend, file } = await createClientScene()
  const codeOf = async (bytes: Bytes, at: Backend = backend): Promise<unknown> =>
    await openRepository(at, { kind: 'client', file: bytes }).then(
      () => 'opened',
      (error: { code?: string }) => error.code,
    )
  t.equal(await codeOf(file), 'opened')
  const text = Buffer.from(file).toString()
  t.equal(await codeOf(Buffer.from(text.replace('"current":1', '"current":2'))), 'GRANARY_CORRUPT')
  t.equal(await codeOf(file.subarray(0, file.length - 10)), 'GRANARY_CORRUPT')
  for (const wrong of ['', '{}', 'a key', '[]\n00', '{"format":"granary-client"'])
    t.equal(await codeOf(Buffer.from(wrong)), 'GRANARY_INVALID_ARGUMENT', wrong)
  t.equal(await codeOf(new Uint8Array(2 * MiB)), 'GRANARY_INVALID_ARGUMENT')
  const other = (await createRepository()).context.backend
  t.equal(await codeOf(file, other), 'GRANARY_WRONG_KEY')
  await t.rejects(openRepository(backend, { ...SECRET, key: new Uint8Array(32) }), { code: 'GRANARY_WRONG_KEY' })
})

t.test('names of clients: taken ones and bad ones are refused', async t => {
  const { holder } = await createClientScene('web')
  await t.rejects(addClient(holder, 'web'), { code: 'GRANARY_EXISTS' })
  for (const name of ['', 'a\nb', 'x'.repeat(101)])
    await t.rejects(addClient(holder, name), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.equal((await listSigners(holder)).length, 1)
})

t.test('two disks in one snapshot, with workers, by a client', async t => {
  const { holder, client } = await createClientScene()
  const disks = [mixedDisk(2 * MiB, 11), mixedDisk(2 * MiB, 12)]
  const inputs = disks.map((bytes, i) => ({ name: `disk${i}`, source: 'test', disk: memoryDisk(bytes) }))
  const { id } = await backup(client, inputs, { name: 'pair', workers: 2 })
  for (const [i, bytes] of disks.entries()) t.ok(isEqual(await readStored(holder, id, `disk${i}`), bytes))
})
