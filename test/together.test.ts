/** Several at once on one repository: processes that know nothing of each other, and readers of what is being forgotten. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isGranaryError, memoryDisk } from '@granary/core'
import { backup, check, collect, forgetSnapshot, listSnapshots, openDisk } from '@granary/dedup-store'
import type { Clock } from '@granary/dedup-store'
import { gatedReader, parseJsonLines, runGranary, seededBytes } from '@granary/testing'
import t from 'tap'
import { KEY, MIB, createRepository, openFolder, scratchFolder, temporariesIn } from './product.ts'

t.setTimeout(600_000)

/** Collects, looking at the sessions it waits for more often than one would. */
const collectSoon = async (repo: string): Promise<string> => {
  const clock: Clock = { now: systemNow, sleep: async (_, signal) => await setTimeout(20, undefined, { signal }) }
  await using repository = await openFolder(repo, { clock })
  try {
    await collect(repository)
    return 'done'
  } catch (error) {
    return isGranaryError(error) ? error.code : String(error)
  }
}

const systemNow = (): number => Date.now()

t.test('backups, a restore, a forget and collections at once', async t => {
  const folder = scratchFolder(t)
  const repo = join(folder, 'repo')
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  const env = { GRANARY_REPO: repo, GRANARY_KEY_FILE: join(folder, 'key') }
  const granary = async (...words: string[]): Promise<Awaited<ReturnType<typeof runGranary>>> =>
    await runGranary([...words, '--json'], { env })
  await using repository = await createRepository(repo)
  const contents = [1, 2, 3].map(seed => seededBytes(24 * MIB, seed))
  for (const [i, bytes] of contents.entries()) writeFileSync(join(folder, `vm${i}.raw`), bytes)
  const old = await backup(repository, [{ name: 'vm0', source: 'test', disk: memoryDisk(contents[0] as Uint8Array) }], {
    name: 'old',
    workers: 0,
  })
  const doomed = await backup(
    repository,
    [{ name: 'disk', source: 'test', disk: memoryDisk(seededBytes(8 * MIB, 9)) }],
    { name: 'doomed', workers: 0 },
  )

  const [first, second, restored, forgotten, ...collections] = await Promise.all([
    granary('backup', join(folder, 'vm1.raw')),
    granary('backup', join(folder, 'vm0.raw'), join(folder, 'vm2.raw'), '--name', 'pair'),
    granary('restore', old.id, join(folder, 'out.raw')),
    granary('forget', doomed.id),
    collectSoon(repo),
    collectSoon(repo),
  ])
  for (const { code, stderr } of [first, second, restored, forgotten]) t.equal(code, 0, stderr)
  // One collection at a time: the other is told so, or comes after it.
  for (const outcome of collections) t.ok(['done', 'GRANARY_LOCKED'].includes(outcome), outcome)
  t.ok(collections.includes('done'))

  t.equal((await granary('gc')).code, 0)
  const ids = [...parseJsonLines(first.text), ...parseJsonLines(second.text)].map(snapshot => snapshot['id'])
  const listed = await listSnapshots(repository.context)
  t.same(new Set(listed.map(snapshot => snapshot.id)), new Set([old.id, ...ids]))
  for (const { id, disks } of listed) {
    for (const { name } of disks) {
      await using disk = await openDisk(repository, id, { disk: name })
      const bytes = Buffer.alloc(disk.sizeBytes)
      await disk.read(0, bytes)
      t.ok(bytes.equals(contents[Number(name.slice(2))] as Uint8Array), `${id}/${name}`)
    }
  }
  t.same(temporariesIn(repo), [])
  t.same((await check(repository, { readData: 1 })).damages, [])
})

t.test('two processes that back up one disk at once store it, and either snapshot stands alone', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  const env = { GRANARY_REPO: join(folder, 'repo'), GRANARY_KEY_FILE: join(folder, 'key') }
  await using repository = await createRepository(env.GRANARY_REPO)
  const bytes = seededBytes(24 * MIB, 4)
  writeFileSync(join(folder, 'vm.raw'), bytes)
  const made = await Promise.all(
    [1, 2].map(async () => await runGranary(['backup', join(folder, 'vm.raw'), '--json'], { env })),
  )
  const ids = made.map(({ text }) => parseJsonLines(text)[0]?.['id'] as string)
  for (const [i, id] of ids.entries()) {
    await forgetSnapshot(repository.context, ids[1 - i] as string).catch(() => undefined) // The first round forgets the second.
    if (i === 1) break
    await collect(repository)
    t.ok((await runGranary(['restore', id, '-'], { env })).stdout.equals(bytes))
  }
  t.same((await check(repository, { readData: 1 })).damages, [])
})

/** A time that passes only while all of so many wait for it: however slow a storage or a machine is, nobody is late by it. */
const commonClock = (parties: number): Clock => {
  let nowMs = systemNow()
  const waiting = new Set<{ readonly atMs: number; readonly wake: () => void }>()
  const passWhenAllWait = (): void => {
    if (waiting.size < parties) return
    const [next] = [...waiting].toSorted((left, right) => left.atMs - right.atMs)
    if (next === undefined) return
    waiting.delete(next)
    nowMs = Math.max(nowMs, next.atMs)
    next.wake()
  }
  return {
    now: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          signal?.removeEventListener('abort', leave)
          resolve()
        }
        const one = { atMs: nowMs + ms, wake }
        const leave = (): void => {
          waiting.delete(one)
          reject(signal?.reason as Error)
        }
        signal?.addEventListener('abort', leave, { once: true })
        waiting.add(one)
        passWhenAllWait()
      })
    },
  }
}

t.test('a backup that takes longer than the time to live is not fenced while it lives', async t => {
  const folder = scratchFolder(t)
  const repo = join(folder, 'repo')
  const timeToLiveMs = 60_000
  // The signs of life of the backup, those of the collection, and its looks at the backup's.
  const common = commonClock(3)
  // No lock tells that it lives: as on a storage of another machine, only its signs of life do.
  const bytes = seededBytes(70 * MIB, 5)
  await using repository = await createRepository(repo, { timeToLiveMs, clock: common })
  let waits = 0
  let livedMs = 0
  const collectMeanwhile = async (): Promise<void> => {
    // Collection is made to wait for us: it looks again and again, for five lives.
    await using other = await openFolder(repo, { timeToLiveMs })
    const end = new AbortController()
    const startMs = common.now()
    const clock: Clock = {
      ...common,
      async sleep(ms, signal) {
        waits++
        livedMs = common.now() - startMs
        if (livedMs > 5 * timeToLiveMs) end.abort(new Error('waited long enough'))
        await common.sleep(ms, signal)
      },
    }
    const patient = { ...other, context: { ...other.context, clock, backend: withoutLocks(other.context.backend) } }
    await t.rejects(collect(patient, { signal: end.signal }), { message: 'waited long enough' })
  }
  let collected: Promise<void> | undefined
  const slow = gatedReader(memoryDisk(bytes), async offset => {
    if (offset >= 64 * MIB) await (collected ??= collectMeanwhile())
  })
  const snapshot = await backup(repository, [{ name: 'disk', source: 'slow', disk: slow }], {
    name: 'slow',
    workers: 0,
  })
  t.ok(waits > 10 && livedMs > 5 * timeToLiveMs, `collection looked ${waits} times in ${livedMs} ms`)
  await using disk = await openDisk(repository, snapshot.id)
  const found = Buffer.alloc(disk.sizeBytes)
  await disk.read(0, found)
  t.ok(found.equals(bytes))
})

/** The same storage, where nobody can tell by a lock who lives. */
const withoutLocks = <Storage extends object>(backend: Storage): Storage =>
  Object.assign(Object.create(backend) as Storage, { isHeld: undefined })

t.test('an open disk survives forgetting and collecting, by another process, until it is closed', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  const env = { GRANARY_REPO: join(folder, 'repo'), GRANARY_KEY_FILE: join(folder, 'key') }
  await using repository = await createRepository(env.GRANARY_REPO)
  const bytes = seededBytes(40 * MIB, 6)
  const { id } = await backup(repository, [{ name: 'disk', source: 'test', disk: memoryDisk(bytes) }], {
    name: 'vm',
    workers: 0,
  })
  const disk = await openDisk(repository, id, { cacheBytes: 0, readAheadBytes: 0 })
  t.equal((await runGranary(['forget', id], { env })).code, 0)
  const deleted = async (): Promise<unknown> =>
    parseJsonLines((await runGranary(['gc', '--json'], { env })).text)[0]?.['deletedPacks']
  t.equal(await deleted(), 0)
  const found = Buffer.alloc(bytes.length)
  for (let at = 0; at < found.length; at += 4 * MIB) await disk.read(at, found.subarray(at, at + 4 * MIB))
  t.ok(found.equals(bytes))
  await disk[Symbol.asyncDispose]()
  t.ok(((await deleted()) as number) > 0, 'closed, it is collected')
  t.equal((await runGranary(['restore', id, '-'], { env })).code, 10)
})
