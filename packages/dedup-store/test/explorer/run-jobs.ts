/** Runs jobs of the explorer and says what they saw. */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { mapOrdered, siblingModule } from '@granary/core'
import type { ExploreJob, ExploreResult } from './explore.worker.ts'
import { EVENTS } from './world.ts'
import type { Event } from './world.ts'

export const IS_LONG = process.env['GRANARY_TEST_LONG'] !== undefined

export const LONG_MS = 2 * 3_600_000

/** Seeds of a job: a long run uses all processors, and begins a fresh thread now and then. */
const SEEDS_PER_JOB = 100

export const runJob = async (job: ExploreJob): Promise<ExploreResult> => {
  const thread = new Worker(siblingModule(import.meta.url, 'explore.worker'), { workerData: job })
  const [result] = (await once(thread, 'message')) as [ExploreResult]
  await thread.terminate()
  return result
}

function* jobsOf([from, to]: ExploreJob['seeds'], job: Omit<ExploreJob, 'seeds'>): Generator<ExploreJob> {
  for (let first = from; first < to; first += SEEDS_PER_JOB)
    yield { ...job, seeds: [first, Math.min(to, first + SEEDS_PER_JOB)] }
}

/** Explores all seeds of a job; at most one that goes wrong is shown with its steps. */
export const exploreAll = async (t: Test, { seeds: [from, to], ...job }: ExploreJob): Promise<void> => {
  let [interleavings, prefixes, steps] = [0, 0, 0]
  const seen = new Map<Event, number>()
  for await (const result of mapOrdered(jobsOf([from, to], job), runJob, { concurrency: availableParallelism() })) {
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
