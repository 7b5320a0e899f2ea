import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { suites } from '@granary/transform'
import { seededRandom } from '@granary/testing'
import { changeSettings, check, collect, fileBackend, memoryBackend, openRepository } from '../src/index.ts'
import type { Backend, Repository } from '../src/index.ts'
import { SECRET, backUp, changeDisk, createRepository, isEqual, mixedDisk, readStored } from './store-helpers.ts'

const KiB = 1024

/** What is there under a prefix, with its bytes. */
const objectsUnder = async (backend: Backend, prefix: string): Promise<{ key: string; bytes: Uint8Array }[]> => {
  const objects = []
  for await (const { key } of backend.list(prefix)) objects.push({ key, bytes: await backend.get(key) })
  return objects
}

/** What a damaged config ends in; WRONG_KEY is a generation of keys that there is not. */
const REFUSALS = ['GRANARY_AUTHENTICATION', 'GRANARY_CORRUPT', 'GRANARY_UNSUPPORTED', 'GRANARY_WRONG_KEY']

/** True when a full check of the repository, opened anew, finds damage or cannot even begin. */
const isCaught = async (backend: Backend): Promise<boolean> => {
  try {
    const repository = await openRepository(backend, SECRET)
    return (await check(repository, { readData: 1 })).damages.length > 0
  } catch (error) {
    return REFUSALS.includes((error as { code: string }).code)
  }
}

for (const { id, name } of suites) {
  t.test(`${name}: backed up, restored, and one flipped bit is caught wherever it is`, async t => {
    const backend = memoryBackend()
    const repository = await createRepository({ suite: name }, backend)
    const disk = mixedDisk(700 * KiB + 300, id)
    const first = await backUp(repository, disk)
    const before = disk.slice()
    changeDisk(disk, id, 3)
    const second = await backUp(repository, disk)
    const fresh = await openRepository(backend, SECRET)
    t.ok(isEqual(await readStored(fresh, first.id), before), 'first')
    t.ok(isEqual(await readStored(fresh, second.id), disk), 'second')
    t.equal(second.suite, name)
    t.strictSame((await check(fresh, { readData: 1 })).damages, [])

    const random = seededRandom(id)
    for (const prefix of ['packs/', 'index/', 'commit/', 'config']) {
      const objects = await objectsUnder(backend, prefix)
      const { key, bytes } = objects[random(objects.length)] as (typeof objects)[number]
      const bit = random(bytes.length * 8)
      const changed = bytes.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      await backend.put(key, changed)
      t.ok(await isCaught(backend), `bit ${bit} of ${key}`)
      await backend.put(key, bytes)
    }
    t.notOk(await isCaught(backend), 'all mended')
  })
}

t.test('suites, compressions and chunkers change from one snapshot to the next, and all stay readable', async t => {
  const backend = memoryBackend()
  let repository: Repository = await createRepository({}, backend)
  const { id } = repository.config
  const disk = mixedDisk(900 * KiB, 77)
  const stored: { id: string; suite: string; bytes: Uint8Array }[] = []
  for (const [i, { name }] of suites.entries()) {
    const settings = await changeSettings(repository, {
      suite: name,
      compression: ['zstd:1', 'lz4', 'none'][i % 3] as string,
      ...(i % 8 === 5 ? { chunker: i % 16 === 5 ? 'fixed:64k' : 'grid:64k' } : {}),
    })
    repository = await openRepository(backend, SECRET)
    t.strictSame(repository.settings, settings)
    t.equal(repository.config.id, id)
    changeDisk(disk, i, 1)
    const snapshot = await backUp(repository, disk)
    stored.push({ id: snapshot.id, suite: snapshot.suite, bytes: disk.slice() })
  }
  t.strictSame(
    stored.map(snapshot => snapshot.suite),
    suites.map(suite => suite.name),
  )
  for (const snapshot of stored)
    t.ok(isEqual(await readStored(repository, snapshot.id), snapshot.bytes), `${snapshot.suite}`)
  await collect(repository)
  repository = await openRepository(backend, SECRET)
  t.strictSame((await check(repository, { readData: 1 })).damages, [])
})

t.test('a setting that is unknown changes nothing', async t => {
  const backend = memoryBackend()
  const repository = await createRepository({}, backend)
  const [config] = await objectsUnder(backend, 'config')
  await t.rejects(changeSettings(repository, { suite: 'rot13-ctr-blake3' }), { code: 'GRANARY_UNSUPPORTED' })
  await t.rejects(changeSettings(repository, { compression: 'zip' }), { code: 'GRANARY_INVALID_ARGUMENT' })
  await t.rejects(changeSettings(repository, { suite: 'aes-256-gcm', chunker: 'odd:3' }), {
    code: 'GRANARY_INVALID_ARGUMENT',
  })
  t.strictSame(await objectsUnder(backend, 'config'), [config])
})

t.test('settings changed by two, one after the other, add up', async t => {
  const backend = memoryBackend()
  const one = await createRepository({}, backend)
  const other = await openRepository(backend, SECRET)
  await changeSettings(one, { suite: 'serpent-256-ctr-blake3' })
  await changeSettings(other, { compression: 'lz4' })
  const { settings } = await openRepository(backend, SECRET)
  t.match(settings, { suite: 'serpent-256-ctr-blake3', compression: 'lz4' })
})

t.test('while settings change, whoever opens the repository finds the old ones or the new ones', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-settings-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const place = join(folder, 'repository')
  const repository = await createRepository({}, fileBackend(place))
  const names = ['aes-256-gcm', 'threefish-1024-ctr-blake3', 'kuznyechik-mgm']
  let isDone = false
  const change = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) await changeSettings(repository, { suite: names[i % 3] as string })
    isDone = true
  }
  const read = async (): Promise<string[]> => {
    const seen: string[] = []
    while (!isDone) {
      await using opened = await openRepository(fileBackend(place), SECRET)
      seen.push(opened.settings.suite)
    }
    return seen
  }
  const [, seen] = await Promise.all([change(), read()])
  t.ok(seen.length > 0 && seen.every(suite => names.includes(suite)), `${seen.length} times`)
  await repository[Symbol.asyncDispose]()
})
