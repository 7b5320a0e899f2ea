/**
 * A clock whose hours pass in no time. Time stands still while anything happens and jumps to the next appointment
 * when somebody waits (`sleep`) and all is quiet: no request is being answered, no file of this process is being read
 * or written, and the event loop has turned idly for a while. So a client that polls every two seconds and an engine
 * that ticks every ten meet in the order of their times, in one process, without a real wait. Ticks alone (`schedule`)
 * never move it: no ticket ages while a client computes.
 *
 * @module
 */
import { setTimeout as realSleep } from 'node:timers/promises'
import { GranaryError } from '@granary/core'
import type { Hold, SimulatorClock } from './clock.ts'

export interface VirtualClock extends SimulatorClock {
  /** Lets `ms` pass, with every appointment on the way, whether anybody waits or not. */
  advance(ms: number): Promise<void>
}

export interface VirtualClockOptions {
  /** Where the clock starts, milliseconds since 1970. @default 2026-01-05T08:00:00Z */
  readonly startMs?: number
}

interface Appointment {
  readonly atMs: number
  readonly order: number
  /** Somebody waits for it: it may move time. */
  readonly awaited: boolean
  run(): void
}

const START_MS = Date.UTC(2026, 0, 5, 8)
/** Turns of the event loop without a request that count as quiet: an answer needs two or three to reach its client. */
const QUIET_TURNS = 12

/** Makes a clock that stands at its start. */
export const createVirtualClock = (options: VirtualClockOptions = {}): VirtualClock => {
  const state = new VirtualTime(options.startMs ?? START_MS)
  return {
    now: () => state.nowMs,
    sleep: async (ms, signal) => await state.sleep(ms, signal),
    schedule: (ms, task) => state.add(ms, false, () => void state.holding(task)),
    hold: () => state.hold(),
    advance: async ms => await state.advance(ms),
    async [Symbol.asyncDispose]() {
      state.close()
    },
  }
}

class VirtualTime {
  nowMs: number
  #order = 0
  #holds = 0
  /** Counts what happened, so that quiet can be told. */
  #events = 0
  /** Whether a request came since time last moved. */
  #wasAsked = false
  #running = false
  #closed = false
  readonly #appointments = new Set<Appointment>()

  constructor(startMs: number) {
    this.nowMs = startMs
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const cancel = this.add(ms, true, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      const abort = (): void => {
        cancel()
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  add(ms: number, awaited: boolean, run: () => void): () => void {
    if (!(ms >= 0)) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `a wait of ${ms} ms: expected 0 or more`)
    const appointment = { atMs: this.nowMs + ms, order: this.#order++, awaited, run }
    this.#events++
    if (this.#closed) return () => undefined
    this.#appointments.add(appointment)
    if (awaited) void this.#runWhileAwaited()
    return () => void this.#appointments.delete(appointment)
  }

  hold(): Hold {
    this.#holds++
    this.#events++
    this.#wasAsked = true
    let isCounted = true
    let isDisposed = false
    const count = (wanted: boolean): void => {
      if (isCounted !== wanted) this.#holds += wanted ? 1 : -1
      isCounted = wanted
      this.#events++
    }
    return {
      sleep: async (ms, signal) => {
        count(false)
        try {
          await this.sleep(ms, signal)
        } finally {
          count(!isDisposed)
        }
      },
      [Symbol.dispose]: () => {
        isDisposed = true
        count(false)
      },
    }
  }

  async holding(task: (hold: Hold) => unknown): Promise<void> {
    using hold = this.hold()
    await task(hold)
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#keep(next)
      await this.#quiet()
    }
    this.nowMs = Math.max(this.nowMs, endMs)
  }

  close(): void {
    this.#closed = true
    this.#appointments.clear()
  }

  async #runWhileAwaited(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      while (this.#isAwaited()) {
        await this.#quiet()
        const next = this.#next()
        if (next !== undefined && this.#isAwaited()) this.#keep(next)
      }
    } finally {
      this.#running = false
    }
  }

  #isAwaited(): boolean {
    for (const { awaited } of this.#appointments) if (awaited) return true
    return false
  }

  #next(): Appointment | undefined {
    let next: Appointment | undefined
    for (const candidate of this.#appointments) if (next === undefined || isBefore(candidate, next)) next = candidate
    return next
  }

  #keep(appointment: Appointment): void {
    if (!this.#appointments.delete(appointment)) return
    this.nowMs = Math.max(this.nowMs, appointment.atMs)
    this.#events++
    this.#wasAsked = false
    appointment.run()
  }

  /** Resolves when nothing has happened for some turns of the event loop; after a request, for a real millisecond more. */
  async #quiet(): Promise<void> {
    for (let turns = 0, seen = this.#events; turns <= QUIET_TURNS && !this.#closed; turns++) {
      const isLast = turns === QUIET_TURNS && this.#wasAsked
      const isBusy = this.#holds > 0 || isStorageBusy()
      if (isLast || isBusy) await realSleep(1)
      else await new Promise(resolve => setImmediate(resolve))
      if (!isBusy && this.#holds === 0 && seen === this.#events) continue
      turns = -1
      seen = this.#events
    }
  }
}

/** A client that waits for its disk, to note what it does next, has not asked yet: a slow disk must cost it no time. */
const isStorageBusy = (): boolean => process.getActiveResourcesInfo().some(name => name.startsWith('FSReq'))

const isBefore = (left: Appointment, right: Appointment): boolean =>
  left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
