/** The schedules for which each step of collection is there: all goes well with it, and data is lost without it. */
import t from 'tap'
import { GranaryError } from '@granary/core'
import { collectBy } from '../src/gc/collect.ts'
import { FULL_PROTOCOL } from '../src/gc/protocol.ts'
import type { CollectionProtocol } from '../src/gc/protocol.ts'
import { fence } from '../src/sessions/decisions.ts'
import { listSessions } from '../src/sessions/session-registry.ts'
import { backup, check, forgetSnapshot, listSnapshots, openDisk } from '../src/index.ts'
import type { Backend, Repository, Snapshot } from '../src/index.ts'
import { CONTENT_LABEL, TIME_TO_LIVE_MS, makeHistory, reopen, stillClock } from './explorer/history.ts'
import { recordedStorage } from './explorer/recorded-storage.ts'
import { SHAPES, findDifference, readTiles } from './explorer/tile-disk.ts'
import type { TileDisk } from './explorer/tile-disk.ts'

type Hook = (key: string) => Promise<void>

const onPut = (backend: Backend, before: Hook, after: Hook = async () => undefined): Backend => ({
  ...backend,
  async put(key, source, options) {
    await before(key)
    const outcome = await backend.put(key, source, options)
    await after(key)
    return outcome
  },
})

/** A backup that stops right before its commit until it is let go. */
interface HeldBackup {
  readonly isAtCommit: Promise<void>
  finish(): Promise<Snapshot>
}

const A: TileDisk = { ...(SHAPES[0] as TileDisk), tiles: [1, 2, 3] }
const B: TileDisk = { ...A, tiles: [1, 2, 4] }
const C: TileDisk = { ...A, tiles: [5, 2, 4] }

/** A repository whose snapshot of `A` has been forgotten: its packs are what collections take. */
const createScene = async () => {
  const history = await makeHistory(0, false, () => 0)
  const storage = await recordedStorage(history.objects)
  const clock = stillClock(1000)
  const repository = reopen(history.template, storage.open('all'), clock)
  const contents = new Map<string, TileDisk>()
  const backUp = async (on: Repository, content: TileDisk, parent?: Snapshot, since?: TileDisk): Promise<Snapshot> => {
    const label = String(contents.size)
    contents.set(label, content)
    return await backup(on, [{ name: 'disk', source: 'test', disk: readTiles(content, since) }], {
      name: 'machine',
      parent: parent?.id ?? 'none',
      workers: 0,
      labels: { [CONTENT_LABEL]: label },
    })
  }
  const hold = (content: TileDisk, parent?: Snapshot, since?: TileDisk): HeldBackup => {
    let arrive!: () => void
    let letGo!: () => void
    const isAtCommit = new Promise<void>(resolve => (arrive = resolve))
    const gate = new Promise<void>(resolve => (letGo = resolve))
    const backend = onPut(repository.context.backend, async key => {
      if (!key.startsWith('commit/')) return
      arrive()
      await gate
    })
    const done = backUp(reopen(history.template, backend, clock), content, parent, since)
    done.catch(() => arrive())
    return {
      isAtCommit,
      finish: async () => {
        letGo()
        return await done
      },
    }
  }
  await forgetSnapshot(repository.context, (await backUp(repository, A)).id)

  /** Collects; `beforeTomb` runs before the tomb is put, `whileWaiting` when collection first waits, and `isLate` makes all sessions old. */
  const collectWith = async (
    protocol: CollectionProtocol,
    {
      beforeTomb,
      whileWaiting,
      isLate = false,
    }: { beforeTomb: () => Promise<void>; whileWaiting?: () => Promise<void>; isLate?: boolean },
  ): Promise<void> => {
    let waits = 0
    const backend = onPut(repository.context.backend, async key => {
      if (key.endsWith('/tomb')) await beforeTomb()
    })
    const late = stillClock(1000 + 2 * TIME_TO_LIVE_MS)
    const own = {
      now: () => (isLate ? late : clock).now(),
      sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
        if (ms < TIME_TO_LIVE_MS / 8 && waits++ === 0) await whileWaiting?.()
        await clock.sleep(ms, signal)
      },
    }
    await collectBy(protocol, reopen(history.template, backend, own), { repackBelow: 0 })
  }
  /** @returns what is wrong */
  const verify = async (): Promise<string[]> => {
    const fresh = reopen(history.template, repository.context.backend, stillClock(1000))
    const wrong = (await check(fresh, { readData: 1 })).damages.map(({ message }) => message)
    for (const { id, labels } of await listSnapshots(fresh.context)) {
      try {
        await using disk = await openDisk(fresh, id)
        const at = await findDifference(contents.get(labels[CONTENT_LABEL] as string) as TileDisk, disk)
        if (at !== undefined) wrong.push(`differs at ${at}`)
      } catch (error) {
        wrong.push(String(error))
      }
    }
    return wrong
  }
  return { repository, hold, backUp, collectWith, verify }
}

type Scene = Awaited<ReturnType<typeof createScene>>
type Schedule = (scene: Scene, protocol: CollectionProtocol) => Promise<void>

/** A backup found the doomed packs before the tomb, and commits when collection has ended, or when it is waited for. */
const slowBackup: Schedule = async ({ hold, collectWith }, protocol) => {
  let held: HeldBackup | undefined
  await collectWith(protocol, {
    beforeTomb: async () => {
      held = hold(A)
      await held.isAtCommit
    },
    whileWaiting: async () => void (await held?.finish()),
  })
  await held?.finish()
}

/** The same, but the backup gives no sign of life for longer than its time to live. */
const stalledBackup: Schedule = async ({ hold, collectWith }, protocol) => {
  let held: HeldBackup | undefined
  await collectWith(protocol, {
    beforeTomb: async () => {
      held = hold(A)
      await held.isAtCommit
    },
    isLate: true,
  })
  await held?.finish().catch(ignoreFence)
}

const ignoreFence = (error: unknown): void => {
  if ((error as { code?: string }).code !== 'GRANARY_FENCED') throw error
}

/**
 * A backup found the doomed packs before the tomb, and commits while it is waited for. A second one begins then, takes over what
 * did not change since the first, unseen; the first is forgotten; the second commits when collection has ended.
 */
const heirOfForgotten =
  (first: TileDisk): Schedule =>
  async ({ repository, hold, collectWith }, protocol) => {
    let parent: HeldBackup | undefined
    let heir: HeldBackup | undefined
    await collectWith(protocol, {
      beforeTomb: async () => {
        parent = hold(first)
        await parent.isAtCommit
      },
      whileWaiting: async () => {
        const snapshot = (await parent?.finish()) as Snapshot
        heir = hold(C, snapshot, first)
        await heir.isAtCommit
        await forgetSnapshot(repository.context, snapshot.id)
      },
    })
    await heir?.finish()
  }

const SCHEDULES: readonly { name: string; schedule: Schedule; breaks: Partial<CollectionProtocol> }[] = [
  { name: 'no wait for running sessions', schedule: slowBackup, breaks: { waits: false } },
  { name: 'no second mark', schedule: slowBackup, breaks: { marksTwice: false } },
  { name: 'no fence for sessions that are late', schedule: stalledBackup, breaks: { fences: false } },
  { name: 'a second mark without forgotten commits', schedule: heirOfForgotten(B), breaks: { marksForgotten: false } },
  {
    name: 'the same, where the parent’s map itself is doomed',
    schedule: heirOfForgotten(A),
    breaks: { marksForgotten: false },
  },
]

for (const { name, schedule, breaks } of SCHEDULES)
  t.test(`caught: ${name}`, async t => {
    const sound = await createScene()
    await schedule(sound, FULL_PROTOCOL)
    t.strictSame(await sound.verify(), [], 'nothing is lost with all steps')
    const broken = await createScene()
    await schedule(broken, { ...FULL_PROTOCOL, ...breaks })
    t.not((await broken.verify()).length, 0, 'without that step something is')
  })

t.test('a collection that died while it deleted is finished before a session can take over what it left', async t => {
  const { repository, backUp, verify } = await createScene()
  const { context } = repository
  const { backend } = context
  // Packs that no segment names, of a session that was fenced: a backup that died before it published.
  let isDead = false
  const dying = onPut(backend, async key => {
    isDead ||= key.startsWith('index/')
    if (isDead) throw new GranaryError('GRANARY_IO', 'gone')
  })
  const content: TileDisk = { ...A, tiles: [9, 10, 11] }
  await t.rejects(backUp({ ...repository, context: { ...context, backend: dying } }, content), { code: 'GRANARY_IO' })
  for (const sid of await listSessions(context)) await fence(context, sid)
  const late = (ttls: number): Repository => ({
    ...repository,
    context: { ...context, clock: stillClock(1000 + ttls * TIME_TO_LIVE_MS) },
  })
  const noDelete: Backend = {
    ...backend,
    delete: async () => await Promise.reject(new GranaryError('GRANARY_IO', 'gone')),
  }
  const crashing = { ...late(4), context: { ...late(4).context, backend: noDelete } }
  await t.rejects(collectBy(FULL_PROTOCOL, crashing, { repackBelow: 0 }), { code: 'GRANARY_IO' })
  // The second has decided and not yet cleaned up when a backup of the same content begins.
  let snapshot: Snapshot | undefined
  const watched = onPut(
    backend,
    async () => undefined,
    async key => {
      if (key.endsWith('/del')) snapshot = await backUp(repository, content)
    },
  )
  await collectBy(FULL_PROTOCOL, { ...late(6), context: { ...late(6).context, backend: watched } }, { repackBelow: 0 })
  t.ok(snapshot)
  t.strictSame(await verify(), [])
})

t.test('two collections never run at once, whenever one begins while another looks whether it may', async t => {
  for (let at = 1; at <= 6; at++) {
    const { repository } = await createScene()
    const { context } = repository
    let second: Promise<unknown> | undefined
    let listings = 0
    let isOverlapping = false
    const watched: Backend = onPut(context.backend, async key => {
      const number = Number(/^gc\/(\d+)\/claim$/.exec(key)?.[1] ?? 1)
      const before = `gc/${String(number - 1).padStart(8, '0')}/del`
      if (number > 1 && (await context.backend.stat(before)) === undefined) isOverlapping = true
    })
    const slow: Backend = onPut(watched, async key => {
      if (key.endsWith('/tomb')) await first
    })
    const looking: Backend = {
      ...watched,
      async *list(prefix, options) {
        if (prefix === 'gc/' && ++listings === at) {
          second = collectBy(FULL_PROTOCOL, { ...repository, context: { ...context, backend: slow } }).catch(ignoreLock)
          for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
        }
        yield* context.backend.list(prefix, options)
      },
    }
    const own = { ...repository, context: { ...context, backend: looking } }
    const first = collectBy(FULL_PROTOCOL, own).then(() => undefined, ignoreLock)
    await first
    await second
    t.notOk(isOverlapping, `the other begins at listing ${at}`)
  }
})

const ignoreLock = (error: unknown): void => {
  if ((error as { code?: string }).code !== 'GRANARY_LOCKED') throw error
}
