/**
 * A world: writers, a reader, somebody who forgets, collections and merges, at work on one repository at once, with the real code,
 * step by step in an order that a seed decides; some of them crash, stall, or hear wrong answers.
 */
import { isGranaryError } from '@granary/core'
import {
  createScheduler,
  faultyStorage,
  formatTrace,
  randomFaults,
  scheduledBackend,
} from '@granary/testing/simulation'
import type { Actor, FaultRates, Holds, ScheduledRun } from '@granary/testing/simulation'
import { backup, check, forgetSnapshot, listSnapshots, openDisk } from '../../src/index.ts'
import type { Backend, Repository, Snapshot } from '../../src/index.ts'
import { collectBy } from '../../src/gc/collect.ts'
import { gcKey } from '../../src/gc/gc-state.ts'
import type { CollectionProtocol } from '../../src/gc/protocol.ts'
import { mergeIndex } from '../../src/index/merge-index.ts'
import { markDamagedPack } from '../../src/sessions/damaged-packs.ts'
import { CONTENT_LABEL, TIME_TO_LIVE_MS, changeTiles, randomTiles, reopen } from './history.ts'
import type { History } from './history.ts'

import type { Change, RecordedStorage } from './recorded-storage.ts'
import type { Expected } from './verify.ts'
import { SHAPES, findDifference, readTiles } from './tile-disk.ts'
import type { TileDisk } from './tile-disk.ts'

export interface WorldOptions {
  readonly seed: number
  readonly history: History
  readonly protocol: CollectionProtocol
  /** Whether the storage may fail. */
  readonly isFaulty?: boolean
  /** Choices of a run to be made again. */
  readonly choices?: readonly number[]
  /** Where it takes place. */
  readonly stage: Stage
}

/** A storage that several actors use. */
export interface Stage {
  readonly changes: readonly Change[]
  /** How far it is, in whatever can be gone back to. */
  position(): number
  open(actor: Actor, choose: Choose): Backend
  /** An actor has crashed. */
  bury(name: string): void
}

export interface Explored {
  /** What went wrong while it ran. */
  readonly wrong: string[]
  readonly stage: Stage
  readonly contents: ReadonlyMap<string, TileDisk>
  /** Snapshots whose writer heard that they are committed, with the position of the stage when it did, and when somebody began to forget them. */
  readonly promised: ReadonlyMap<string, number>
  readonly forgotten: ReadonlyMap<string, number>
  /** How often what happened: a run in which nothing does proves nothing. */
  readonly seen: ReadonlyMap<Event, number>
  readonly run: ScheduledRun
}

/** What a world counts. */
export const EVENTS = [
  'backups',
  'backups by a client',
  'packs of a client passed',
  'packs taken for damaged',
  'forgets',
  'collections',
  'packs deleted',
  'packs rescued',
  'sessions fenced',
  'bytes repacked',
  'merges',
  'disks read',
  'crashes',
  'failures',
] as const

export type Event = (typeof EVENTS)[number]

interface World {
  readonly choose: Choose
  readonly stage: Stage
  readonly history: History
  readonly protocol: CollectionProtocol
  readonly contents: Map<string, TileDisk>
  readonly promised: Map<string, number>
  readonly forgotten: Map<string, number>
  readonly wrong: string[]
  readonly seen: Map<Event, number>
  readonly isFaulty: boolean
}

/** An integer in [0, below), as the scheduler chooses it. */
type Choose = (below: number) => number

type Role = (world: World, actor: Actor, repository: Repository) => Promise<void>

export const explore = async ({
  seed,
  history,
  protocol,
  isFaulty = false,
  choices,
  stage,
}: WorldOptions): Promise<Explored> => {
  const scheduler = createScheduler({
    seed,
    ...(choices === undefined ? {} : { choices }),
    maxStepMs: 50,
    maxSkewMs: TIME_TO_LIVE_MS / 4,
    maxSteps: 200_000,
    stall: { oneIn: [0, 100][seed % 2] as number, maxMs: 2 * TIME_TO_LIVE_MS },
  })
  const choose: Choose = below => scheduler.choose(below)
  const world: World = {
    choose,
    stage,
    history,
    protocol,
    contents: new Map(history.contents),
    promised: new Map([...history.snapshots.keys()].map(id => [id, 0])),
    forgotten: new Map(),
    wrong: [],
    seen: new Map(),
    isFaulty,
  }
  let spawned = 0
  const spawn = (name: string, role: Role, lives: number, isClient = false): void => {
    const mayCrash = lives > 0 && choose(3) === 0
    scheduler.spawn(
      name,
      async actor => {
        const backend = stage.open(suspendable(actor, choose), choose)
        const template = isClient && history.client !== undefined ? history.client : history.template
        await role(world, actor, reopen(template, backend, actor.clock))
      },
      mayCrash
        ? {
            crashAt: { step: choose(150), isDone: choose(2) === 0 },
            onCrash: () => {
              stage.bury(name)
              note(world, 'crashes')
              spawn(`${name}-${++spawned}`, role, lives - 1, isClient)
            },
          }
        : {},
    )
  }
  for (let i = 0; i < 2 + choose(2); i++) spawn(`writer${i}`, write, 1)
  if (history.client !== undefined) {
    spawn('client', write, 1, true)
    spawn('checker', passClients, 0)
  }
  for (let i = 0; i < 1 + choose(2); i++) spawn(`collector${i}`, runCollections, 2)
  spawn('forgetter', forget, 0)
  spawn('reader', read, 0)
  if (choose(2) === 0) spawn('merger', merge, 1)
  if (choose(2) === 0) spawn('doubter', takeForDamaged, 0)
  const run = await scheduler.run()
  for (const [name, end] of run.ends)
    if (end.state === 'failed') world.wrong.push(`${name} failed: ${String(end.error)}`)
  const { wrong, contents, promised, forgotten, seen } = world
  return { wrong, stage, contents, promised, forgotten, seen, run }
}

/** An actor whose whole machine is suspended now and then, for up to twice its time to live. */
const suspendable = (actor: Actor, choose: Choose): Actor => {
  const oneIn = [0, 60, 200][choose(3)] as number
  let untilMs = 0
  return {
    name: actor.name,
    clock: actor.clock,
    get isAlive() {
      return actor.isAlive
    },
    async step(what, work) {
      if (oneIn > 0 && choose(oneIn) === 0) untilMs = actor.clock.now() + choose(2 * TIME_TO_LIVE_MS)
      const leftMs = untilMs - actor.clock.now()
      if (leftMs > 0) await actor.clock.sleep(leftMs)
      return await actor.step(what, work)
    },
  }
}

/** Every operation on a storage in memory is a step, and may meet faults. */
export const memoryStage = (storage: RecordedStorage, faults?: FaultRates): Stage => {
  let setup: { readonly pageObjects: number; readonly holds?: Holds } | undefined
  return {
    changes: storage.changes,
    position: () => storage.changes.length,
    open: (actor, choose) => {
      setup ??= {
        pageObjects: [2, 6, 1000][choose(3)] as number,
        ...(choose(2) === 0 ? { holds: new Map() } : {}),
      }
      const own = storage.open(actor.name)
      const view = faults === undefined ? own : faultyStorage(own).open(randomFaults(choose, faults))
      return scheduledBackend(actor, view, setup)
    },
    bury: () => undefined,
  }
}

const note = ({ seen }: World, event: Event, count = 1): void => void seen.set(event, (seen.get(event) ?? 0) + count)

/** A run, for people. */
export const describe = ({ run }: Explored): string => formatTrace(run.trace)

/** What must be there at a position. */
export const expectedAt = (
  history: History,
  { promised, forgotten, contents }: Explored,
  position: number,
): Expected => ({
  template: history.template,
  contents,
  present: new Set(
    [...promised]
      .filter(([id, since]) => since <= position && (forgotten.get(id) ?? Infinity) > position)
      .map(([id]) => id),
  ),
})

const pick = <Item>(choose: (below: number) => number, items: readonly Item[]): Item | undefined =>
  items[choose(items.length)]

const write: Role = async (world, actor, repository) => {
  const { choose } = world
  for (let rounds = 1 + choose(2); rounds > 0; rounds--) {
    await attempt(world, actor, async () => {
      const isGood = ({ signedBy }: Snapshot): boolean => repository.keyring === undefined || signedBy.kind === 'holder'
      const snapshots = choose(4) === 0 ? [] : (await listSnapshots(repository.context)).filter(isGood)
      const parent = pick(choose, snapshots)
      await backUp(world, repository, parent)
    })
  }
}

const contentOf = (world: World, { labels }: Snapshot): TileDisk =>
  world.contents.get(labels[CONTENT_LABEL] as string) as TileDisk

const backUp = async (world: World, repository: Repository, parent: Snapshot | undefined): Promise<void> => {
  const { choose } = world
  const since = parent === undefined ? undefined : contentOf(world, parent)
  const content =
    since === undefined ? randomTiles(choose, pick(choose, SHAPES) as TileDisk) : changeTiles(choose, since)
  const label = `w${world.contents.size}`
  world.contents.set(label, content)
  const disk = readTiles(content, choose(4) === 0 ? undefined : since)
  const { id } = await backup(repository, [{ name: 'disk', source: 'test', disk }], {
    name: parent?.name ?? `machine-${choose(2)}`,
    parent: parent?.id ?? 'none',
    workers: 0,
    labels: { [CONTENT_LABEL]: label },
  })
  world.promised.set(id, world.stage.position())
  note(world, repository.keyring === undefined ? 'backups by a client' : 'backups')
}

const forget: Role = async (world, actor, repository) => {
  const { choose } = world
  for (let rounds = 2 + choose(3); rounds > 0; rounds--) {
    await attempt(world, actor, async () => {
      const snapshot = pick(choose, await listSnapshots(repository.context))
      if (snapshot === undefined) return
      world.forgotten.set(snapshot.id, Math.min(world.forgotten.get(snapshot.id) ?? Infinity, world.stage.position()))
      await forgetSnapshot(repository.context, snapshot.id)
      note(world, 'forgets')
    })
    await actor.clock.sleep(choose(1500))
  }
}

const runCollections: Role = async (world, actor, repository) => {
  const { choose } = world
  for (let rounds = 1 + choose(2); rounds > 0; rounds--) {
    await actor.clock.sleep(choose(2000))
    await attempt(world, actor, async () => {
      const report = await collectBy(world.protocol, repository, { repackBelow: [0, 0.5, 0.95][choose(3)] as number })
      note(world, 'collections')
      note(world, 'packs deleted', report.deletedPacks)
      note(world, 'packs rescued', report.rescuedPacks)
      note(world, 'sessions fenced', report.fencedSessions.length)
      note(world, 'bytes repacked', report.repackedBytes)
    })
  }
}

/** Reads what clients stored, so that others may rely on it. What else it finds is of this moment: others are at work. */
const passClients: Role = async (world, actor, repository) => {
  for (let rounds = 2; rounds > 0; rounds--) {
    await actor.clock.sleep(world.choose(2500))
    await attempt(world, actor, async () => {
      note(world, 'packs of a client passed', (await check(repository, { readData: 1 })).passedPacks)
    })
  }
}

/** Marks packs as damaged that are not: writers store again what is in them, and collections empty them, beside all the others. */
const takeForDamaged: Role = async (world, actor, repository) => {
  const { choose } = world
  for (let rounds = 1 + choose(3); rounds > 0; rounds--) {
    await actor.clock.sleep(choose(2000))
    await attempt(world, actor, async () => {
      const packs: string[] = []
      for await (const { key } of repository.context.backend.list('packs/')) packs.push(key)
      const pack = pick(choose, packs)
      if (pack === undefined) return
      await markDamagedPack(repository.context, pack)
      note(world, 'packs taken for damaged')
    })
  }
}

const merge: Role = async (world, actor, repository) => {
  for (let rounds = 2; rounds > 0; rounds--) {
    await actor.clock.sleep(world.choose(3000))
    await attempt(world, actor, async () => {
      await mergeIndex(repository, { force: true })
      note(world, 'merges')
    })
  }
}

const read: Role = async (world, actor, repository) => {
  const { choose } = world
  for (let rounds = 2; rounds > 0; rounds--) {
    await attempt(world, actor, async () => {
      const snapshot = pick(choose, await listSnapshots(repository.context))
      if (snapshot === undefined) return
      await using disk = await openDisk(repository, snapshot.id, { cacheBytes: 0, readAheadBytes: 0 })
      for (let reads = 3; reads > 0; reads--) {
        const at = await findDifference(contentOf(world, snapshot), disk)
        if (at !== undefined) world.wrong.push(`${actor.name} read ${snapshot.id} wrong at ${at}`)
        await actor.clock.sleep(choose(2000))
      }
      note(world, 'disks read')
    })
  }
}

/** Runs what an actor does once; a failure must be one that is allowed. */
const attempt = async (world: World, actor: Actor, work: () => Promise<void>): Promise<void> => {
  try {
    await work()
  } catch (error) {
    note(world, 'failures')
    if (!isExcused(world, actor.name, error))
      world.wrong.push(
        `${actor.name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      )
  }
}

/** What is no fault of the code: injected failures, a parent that was forgotten meanwhile, and anything in who was given up for dead. */
const isExcused = (world: World, actor: string, error: unknown): boolean => {
  if (!isGranaryError(error)) return false
  const { code } = error
  if (code === 'GRANARY_FENCED' || code === 'GRANARY_LOCKED') return true
  if (world.isFaulty && (code === 'GRANARY_IO' || code === 'GRANARY_NO_SPACE')) return true
  if (code === 'GRANARY_NOT_FOUND' && 'snapshot' in error.detail) return true
  return wasGivenUp(world, actor)
}

/** Whether somebody else fenced a session of the actor, abandoned its collection or removed its pin. */
const wasGivenUp = ({ stage: { changes } }: World, actor: string): boolean => {
  const own = new Set(changes.filter(change => change.actor === actor).map(({ key }) => key))
  return changes.some(
    ({ actor: other, key, bytes }) =>
      other !== actor &&
      ((key.startsWith('commit/') && own.has(`sessions/${key.slice('commit/'.length)}`)) ||
        (key.endsWith('/del') && own.has(key.replace('/del', '/claim'))) ||
        (key.startsWith('pins/') && bytes === undefined && own.has(key))),
  )
}

/** Decisions are put once and never go; a collection begins when the one before it is decided. */
export const checkDecisions = (changes: readonly Change[], history: History): string[] => {
  const wrong: string[] = []
  const seen = new Set(history.objects.map(({ key }) => key))
  for (const { actor, key, bytes } of changes) {
    if (!/^(commit|forget|gc)\//.test(key) || key.endsWith('/hb')) continue
    if (bytes === undefined) wrong.push(`${actor} deleted ${key}`)
    else if (seen.has(key)) wrong.push(`${actor} put ${key} again`)
    const number = Number(/^gc\/(\d+)\/claim$/.exec(key)?.[1] ?? 1)
    if (number > 1 && !seen.has(gcKey(number - 1, 'del')))
      wrong.push(`${actor} put ${key} while another collection ran`)
    seen.add(key)
  }
  return wrong
}
