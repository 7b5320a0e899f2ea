/** Explores seeds on a thread of its own, where random names are seeded and no test framework watches every promise. */
import { parentPort, workerData } from 'node:worker_threads'
import { seededRandom } from '@granary/testing/simulation'
import type { FaultRates } from '@granary/testing/simulation'
import { FULL_PROTOCOL } from '../../src/gc/protocol.ts'
import type { CollectionProtocol } from '../../src/gc/protocol.ts'
import { makeHistory, reopen, stillClock } from './history.ts'
import type { History } from './history.ts'
import { explorePowerCuts } from './power-cuts.ts'
import { recordedStorage } from './recorded-storage.ts'
import type { RecordedStorage } from './recorded-storage.ts'
import { seedRandomBytes } from './seeded-crypto.ts'
import { verifyNoLeftovers, verifyRecovery, verifySnapshots } from './verify.ts'
import { checkDecisions, describe, expectedAt, explore, memoryStage } from './world.ts'
import type { Event, Explored } from './world.ts'

export interface ExploreJob {
  readonly seeds: readonly [from: number, to: number]
  /** Every seed with faults, or none. */
  readonly isFaulty: boolean
  /** How many of its prefixes are looked at for each seed, beside its end; Infinity for all. */
  readonly prefixes: number
  /** On local files that lose power: how many outcomes of each power cut are looked at. Otherwise a storage in memory. */
  readonly outcomes?: number
  /** Steps of collection that are left out. @default none */
  readonly protocol?: Partial<CollectionProtocol>
}

export interface ExploreResult {
  readonly interleavings: number
  readonly prefixes: number
  readonly steps: number
  readonly seen: ReadonlyMap<Event, number>
  /** The first things found wrong, each with its seed, and the steps of the first one. */
  readonly wrong: readonly string[]
  readonly trace: string
}

/** Listings that a storage may only be late with where nothing rests on them. */
const FAULTS: FaultRates = {
  lostAnswer: 120,
  late: 250,
  duplicate: 60,
  failure: 600,
  stale: 10,
  mayBeStale: prefix => prefix === 'forget/',
}

const HISTORIES = 8

const makeHistories = async (): Promise<History[]> => {
  seedRandomBytes(1)
  const histories: History[] = []
  for (let i = 0; i < HISTORIES; i++) histories.push(await makeHistory(i % 4, i % 8 >= 4, seededRandom(900 + i)))
  return histories
}

/** Whatever ran dies after each of some of its changes; the end is always looked at. @returns what is wrong, and how many were looked at */
const verifyPrefixes = async (
  history: History,
  storage: RecordedStorage,
  explored: Explored,
  wanted: number,
  seed: number,
): Promise<{ wrong: string[]; prefixes: number }> => {
  const { run } = explored
  const end = storage.changes.length
  const last = await storage.at(end)
  const wrong = await verifyRecovery(last, expectedAt(history, explored, end), run.endMs)
  if (wrong.length === 0) wrong.push(...(await verifyNoLeftovers(last, expectedAt(history, explored, end), run.endMs)))
  const stride = Math.max(1, Math.floor(end / wanted))
  let prefixes = 0
  for (let at = seed % stride; at < end && wrong.length === 0; at += stride) {
    prefixes++
    const expected = expectedAt(history, explored, at)
    const backend = await storage.at(at)
    const isWhole = wanted !== Infinity || at % 8 === seed % 8
    const found = isWhole
      ? await verifyRecovery(backend, expected, run.endMs)
      : await verifySnapshots(reopen(history.template, backend, stillClock(run.endMs)), expected)
    wrong.push(...found.map(text => `after change ${at}: ${text}`))
  }
  return { wrong, prefixes: prefixes + 1 }
}

const MOST_WRONG = 5

/** @returns what is wrong in the world of a seed, and how many prefixes or power cuts were looked at */
const exploreSeed = async (
  history: History,
  seed: number,
  { isFaulty, prefixes, outcomes, protocol }: ExploreJob,
): Promise<{ wrong: string[]; prefixes: number; explored: Explored }> => {
  if (outcomes !== undefined) {
    const { wrong, cuts, explored } = await explorePowerCuts(history, { seed, cuts: prefixes, outcomes })
    return { wrong, prefixes: cuts, explored }
  }
  const storage = await recordedStorage(history.objects)
  const stage = memoryStage(storage, isFaulty ? FAULTS : undefined)
  const explored = await explore({ seed, history, protocol: { ...FULL_PROTOCOL, ...protocol }, isFaulty, stage })
  const verified = await verifyPrefixes(history, storage, explored, prefixes, seed)
  const wrong = [...explored.wrong, ...checkDecisions(storage.changes, history), ...verified.wrong]
  return { wrong, prefixes: verified.prefixes, explored }
}

const run = async (job: ExploreJob): Promise<ExploreResult> => {
  const histories = await makeHistories()
  const result = {
    interleavings: 0,
    prefixes: 0,
    steps: 0,
    seen: new Map<Event, number>(),
    wrong: [] as string[],
    trace: '',
  }
  for (
    let [seed, to] = job.seeds;
    seed < to && result.wrong.length < (job.protocol === undefined ? MOST_WRONG : 1);
    seed++
  ) {
    seedRandomBytes(seed)
    const { wrong, prefixes, explored } = await exploreSeed(histories[seed % HISTORIES] as History, seed, job)
    result.interleavings++
    result.prefixes += prefixes
    result.steps += explored.run.trace.length
    for (const [event, count] of explored.seen) result.seen.set(event, (result.seen.get(event) ?? 0) + count)
    if (wrong.length > 0 && result.wrong.length === 0) result.trace = describe(explored)
    result.wrong.push(...wrong.map(text => `seed ${seed}${job.isFaulty ? ' with faults' : ''}: ${text}`))
  }
  return result
}

parentPort?.postMessage(await run(workerData as ExploreJob))
