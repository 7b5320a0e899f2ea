/**
 * The crash-point explorer: writers, a reader, forget, collection, merge and repack run at once in every order that seeds bring
 * about, with faults, stalls and crashes; then everything dies after some, or each, of the changes.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { Test } from 'tap'
import { siblingModule } from '@granary/core'
import type { ExploreJob, ExploreResult } from './explorer/explore.worker.ts'
import { EVENTS } from './explorer/world.ts'
import type { Event } from './explorer/world.ts'

const IS_LONG = process.env['GRANARY_TEST_LONG'] !== undefined
const LONG_MS = 6 * 3_600_000

/** Seeds of a job, so that a long run begins a fresh thread now and then. */
const SEEDS_PER_JOB = 500

const runJob = async (job: ExploreJob): Promise<ExploreResult> => {
  const thread = new Worker(siblingModule(import.meta.url, 'explorer/explore.worker'), { workerData: job })
  const [result] = (await once(thread, 'message')) as [ExploreResult]
  await thread.terminate()
  return result
}

const exploreAll = async (t: Test, { seeds: [from, to], ...job }: ExploreJob): Promise<void> => {
  let [interleavings, prefixes, steps] = [0, 0, 0]
  const seen = new Map<Event, number>()
  for (let first = from; first < to; first += SEEDS_PER_JOB) {
    const result = await runJob({ ...job, seeds: [first, Math.min(to, first + SEEDS_PER_JOB)] })
    interleavings += result.interleavings
    prefixes += result.prefixes
    steps += result.steps
    for (const [event, count] of result.seen) seen.set(event, (seen.get(event) ?? 0) + count)
    if (result.wrong.length === 0) continue
    t.comment(result.trace)
    t.strictSame(result.wrong, [])
    break
  }
  t.comment(`${interleavings} interleavings of ${steps} steps, ${prefixes} prefixes`)
  t.comment([...seen].map(([event, count]) => `${count} ${event}`).join(', '))
  t.equal(interleavings, to - from)
  if (to - from >= 40) for (const event of EVENTS) t.ok(seen.get(event), `there were ${event}`)
}

t.test('any interleaving: no snapshot is lost, nothing blocks, nothing is left over', { timeout: LONG_MS }, async t => {
  await exploreAll(t, { seeds: [0, IS_LONG ? 12_000 : 40], isFaulty: false, prefixes: 2 })
})

t.test(
  'the same with lost answers, late and duplicated puts, stale lists and failures',
  { timeout: LONG_MS },
  async t => {
    await exploreAll(t, { seeds: [20_000, IS_LONG ? 32_000 : 20_040], isFaulty: true, prefixes: 2 })
  },
)

t.test('every prefix of some of them', { timeout: LONG_MS }, async t => {
  await exploreAll(t, { seeds: [50_000, IS_LONG ? 50_300 : 50_002], isFaulty: false, prefixes: Infinity })
  await exploreAll(t, { seeds: [60_000, IS_LONG ? 60_300 : 60_001], isFaulty: true, prefixes: Infinity })
})

/** Worlds of chance find these by themselves; collection-protocol.test.ts shows for what schedules each step is there. */
for (const protocol of [{ waits: false }, { fences: false }, { marksTwice: false }])
  t.test(`chance finds what is lost without a step: ${JSON.stringify(protocol)}`, { timeout: LONG_MS }, async t => {
    const { wrong, interleavings } = await runJob({ seeds: [0, 500], isFaulty: false, prefixes: 1, protocol })
    t.comment(`found in interleaving ${interleavings}`)
    t.not(wrong.length, 0)
  })

t.test(
  'power cuts: the same on local files, of which any legal part of what was not synced is left',
  { timeout: LONG_MS },
  async t => {
    await exploreAll(t, { seeds: [70_000, IS_LONG ? 70_400 : 70_006], isFaulty: false, prefixes: 25, outcomes: 1 })
    if (IS_LONG) await exploreAll(t, { seeds: [80_000, 80_020], isFaulty: false, prefixes: Infinity, outcomes: 6 })
  },
)
