/** The audit log and jobs (CONTRACT §4.6, §10, §11). @module */
import { randomUUID } from 'node:crypto'
import type { Attributes } from '../model/schema.ts'
import type { World } from '../model/world.ts'

/** Events that backup software looks for, by what they say. */
export const EVENT = {
  backupStarted: 10790,
  fullBackupNeeded: 10791,
  backupFailed: 10792,
  backupSucceeded: 10793,
  backupFinalized: 10794,
  backupFinalizeFailed: 10795,
  backupStopped: 10796,
  checkpointDeleted: 10797,
  checkpointDeleteFailed: 10798,
  scratchStarted: 10799,
  scratchCreated: 10805,
  scratchFailed: 10806,
  snapshotLeftover: 10813,
  backupUnmonitored: 10814,
  vmStarted: 153,
  vmDown: 61,
  vmDownError: 119,
  vmPausedNoSpace: 138,
  vmMigrated: 63,
  importAttachDisksFailed: 9602,
  transferFinished: 1032,
  transferFailed: 1033,
  uploadRemoved: 1034,
} as const

export type Severity = 'normal' | 'warning' | 'error' | 'alert'

/** The oldest are forgotten, as the audit log is cleaned up. */
const MAX_EVENTS = 100_000

/** Writes an event. `about` may link to a VM, a host, a storage domain, and carry a correlation id. */
export const addEvent = (
  world: World,
  code: number,
  severity: Severity,
  description: string,
  about: Attributes = {},
): Attributes => {
  const last = world.events.at(-1)
  const index = last === undefined ? 1 : Number(last['index']) + 1
  const event = {
    id: String(index),
    index,
    code,
    severity,
    time: world.clock.now(),
    origin: 'oVirt',
    description,
    custom_id: -1,
    flood_rate: 30,
    ...about,
  }
  world.events.push(event)
  if (world.events.length > MAX_EVENTS) world.events.shift()
  return event
}

/** How long jobs are kept after their end, ms. */
const KEEP_JOB_MS = { finished: 600_000, failed: 3_600_000 } as const

/** A job begins. @returns its id */
export const startJob = (world: World, description: string): string => {
  const id = randomUUID()
  const now = world.clock.now()
  const job = {
    id,
    description,
    status: 'started',
    start_time: now,
    last_updated: now,
    external: false,
    auto_cleared: true,
  }
  world.plain.jobs.set(id, job)
  return id
}

export const endJob = (world: World, id: string, status: 'finished' | 'failed' = 'finished'): void => {
  const job = world.plain.jobs.get(id)
  if (job === undefined) return
  const now = world.clock.now()
  world.plain.jobs.set(id, { ...job, status, end_time: now, last_updated: now })
  world.clock.schedule(KEEP_JOB_MS[status], () => world.plain.jobs.delete(id))
}

/** A job that is over at once. @returns its id */
export const doneJob = (world: World, description: string): string => {
  const id = startJob(world, description)
  endJob(world, id)
  return id
}
