/** The engine's own time: what it does later, unless it is down by then. @module */
import type { Hold } from '../clock/clock.ts'
import type { World } from '../model/world.ts'

/** AsyncCommandPollingRateInSeconds. */
export const TICK_MS = 10_000

/** When the engine is up again, ms of the clock; in the past while it runs. */
const downUntil = new WeakMap<World, number>()

/** Stops all that the engine does for that long, as when it is restarted. */
export const stopEngine = (world: World, forMs: number): void => {
  downUntil.set(world, world.clock.now() + forMs)
}

/** Stops it for good: nothing that was to be done later happens any more. */
export const closeEngine = (world: World): void => stopEngine(world, Number.POSITIVE_INFINITY)

/** Runs `task` in `ms`, or once the engine is up again. @returns a function that calls it off */
export const after = (world: World, ms: number, task: (hold: Hold) => unknown): (() => void) => {
  let cancel = world.clock.schedule(ms, function due(hold): unknown {
    const waitMs = (downUntil.get(world) ?? 0) - world.clock.now()
    if (waitMs <= 0) return task(hold)
    if (waitMs === Number.POSITIVE_INFINITY) return undefined
    cancel = world.clock.schedule(waitMs, due)
    return undefined
  })
  return () => cancel()
}

/** The cleanup of what is over runs every ten minutes. */
const CLEANUP_MS = 600_000

/** Forgets what is over once it has been kept long enough, at the next cleanup. */
export const purgeAfter = (world: World, keepMs: number, forget: () => void): void => {
  const now = world.clock.now()
  after(world, Math.ceil((now + keepMs) / CLEANUP_MS) * CLEANUP_MS - now, forget)
}
