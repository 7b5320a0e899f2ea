/**
 * Runs several actors one step at a time, in an order that a seed decides: every interleaving of their operations that chance can bring
 * about, again whenever it is asked for.
 *
 * An actor is an async function whose operations on what is shared go through `actor.step`. A step waits until all actors have come to
 * rest; then one waiting step, of whichever actor, is let go. Between its steps an actor may do whatever ends in microtasks or
 * setImmediate; timers are replaced by the actor's clock, whose time passes only as the scheduler lets it.
 *
 * @module
 */
import type { Clock } from './clock.ts'
import { seededRandom } from './random-bytes.ts'

export interface SchedulerOptions {
  readonly seed: number
  /** Choices of an earlier run, to be made again; where they end, or do not fit, the seed goes on. */
  readonly choices?: readonly number[]
  /** Most virtual time a step takes, ms. @default 20 */
  readonly maxStepMs?: number
  /** One in so many steps is held up for at most so long, as by a slow network or a suspended machine. @default never */
  readonly stall?: { readonly oneIn: number; readonly maxMs: number }
  /** Most an actor's clock is ahead of another's, ms. @default 0 */
  readonly maxSkewMs?: number
  /** The run fails after so many steps. @default 100000 */
  readonly maxSteps?: number
}

export interface Actor {
  readonly name: string
  readonly clock: Clock
  /** False once it has ended or crashed. */
  readonly isAlive: boolean
  /** Does `work` when it is this step's turn. Never settles once the actor has crashed. */
  step<Result>(what: string, work: () => Promise<Result>): Promise<Result>
}

export interface SpawnOptions {
  /** The actor dies at its nth step (from 0): before its work is done, or when it was done, before the actor hears of it. */
  readonly crashAt?: { readonly step: number; readonly isDone: boolean }
  /** Called when it dies. May spawn a successor. */
  readonly onCrash?: () => void
}

export type ActorEnd =
  | { readonly state: 'done' | 'crashed'; readonly steps: number }
  | { readonly state: 'failed'; readonly steps: number; readonly error: unknown }

export interface TraceEntry {
  readonly atMs: number
  readonly actor: string
  readonly what: string
  outcome: string
}

export interface ScheduledRun {
  /** How each actor ended, by name. */
  readonly ends: ReadonlyMap<string, ActorEnd>
  readonly trace: readonly TraceEntry[]
  /** What to give as `choices` to see the same run again. */
  readonly choices: readonly number[]
  readonly endMs: number
}

export interface Scheduler {
  /** An integer in [0, below), the same at this point of every run with this seed. */
  choose(below: number): number
  /** The time, without skew. */
  nowMs(): number
  /** Adds an actor, before or during the run. Names are unique. */
  spawn(name: string, body: (actor: Actor) => Promise<void>, options?: SpawnOptions): void
  /** Kills an actor where it stands. */
  crash(name: string): void
  /** Runs until every actor has ended. @throws Error when actors wait for each other, or never end */
  run(): Promise<ScheduledRun>
}

/** Turns of the event loop for an actor that is neither waiting for its turn nor asleep, before others go on without it. */
const IDLE_TURNS = 50
/** The same, when nobody can go on. */
const STUCK_TURNS = 100_000
/** The same, while a step's work goes on, perhaps on a real device. */
const WORKING_TURNS = 100_000_000
/** How often the actor of the last step goes on: in all but one of so many cases; 1: as any other. */
const STICKINESS = [1, 3, 12]
/**
 * In half of the runs actors have priorities instead, and one in so many steps throws its actor back behind all others: the orders that
 * few but unlucky switches bring about, which chance alone rarely finds (Burckhardt et al., "A Randomized Scheduler with Probabilistic
 * Guarantees of Finding Bugs", ASPLOS 2010).
 */
const DEMOTIONS = [5, 20, 80]

interface Waiting {
  readonly member: Member
  readonly what: string
  readonly readyMs: number
  readonly go: (entry: TraceEntry) => void
}

interface Sleeping {
  readonly member: Member
  readonly untilMs: number
  readonly wake: () => void
}

interface Member {
  readonly name: string
  readonly options: SpawnOptions
  end: ActorEnd | undefined
  steps: number
  /** Steps that wait or work, and sleeps. */
  occupied: number
  priority: number
}

/** Chooses whose turn it is. */
type Pick = (ready: readonly Waiting[]) => Waiting

interface State {
  readonly options: Required<Omit<SchedulerOptions, 'choices' | 'seed'>>
  readonly choose: (below: number) => number
  readonly members: Map<string, Member>
  readonly trace: TraceEntry[]
  waiting: Waiting[]
  sleeping: Sleeping[]
  nowMs: number
  working: number
}

export const createScheduler = ({
  seed,
  choices: given = [],
  maxStepMs = 20,
  stall = { oneIn: 0, maxMs: 0 },
  maxSkewMs = 0,
  maxSteps = 100_000,
}: SchedulerOptions): Scheduler => {
  const random = seededRandom(seed)
  const choices: number[] = []
  const choose = (below: number): number => {
    const drawn = random(below)
    const wanted = given[choices.length]
    const choice = wanted !== undefined && wanted < below ? wanted : drawn
    choices.push(choice)
    return choice
  }
  const state: State = {
    options: { maxStepMs, stall, maxSkewMs, maxSteps },
    choose,
    members: new Map(),
    trace: [],
    waiting: [],
    sleeping: [],
    nowMs: 0,
    working: 0,
  }
  const pick = choose(2) === 0 ? pickAtRandom(choose) : pickByPriority(choose)
  return {
    choose,
    nowMs: () => state.nowMs,
    spawn: (name, body, options = {}) => spawn(state, name, body, options),
    crash: name => {
      const member = state.members.get(name)
      if (member === undefined) throw new RangeError(`no actor ${name}`)
      crash(state, member)
    },
    run: async () => {
      await runAll(state, pick)
      const ends = new Map([...state.members.values()].map(({ name, end }) => [name, end as ActorEnd]))
      return { ends, trace: state.trace, choices, endMs: state.nowMs }
    },
  }
}

/** A run as text, a step a line. */
export const formatTrace = (trace: readonly TraceEntry[]): string =>
  trace.map(({ atMs, actor, what, outcome }, step) => `${step} ${atMs} ms ${actor}: ${what} -> ${outcome}`).join('\n')

const never = new Promise<never>(() => undefined)

const spawn = (state: State, name: string, body: (actor: Actor) => Promise<void>, options: SpawnOptions): void => {
  if (state.members.has(name)) throw new RangeError(`there is an actor ${name} already`)
  const member: Member = { name, options, end: undefined, steps: 0, occupied: 0, priority: state.choose(2 ** 20) }
  state.members.set(name, member)
  const skewMs = state.choose(state.options.maxSkewMs + 1)
  const actor: Actor = {
    name,
    clock: {
      now: () => state.nowMs + skewMs,
      sleep: async (ms, signal) => await sleep(state, member, ms, signal),
    },
    get isAlive() {
      return member.end === undefined
    },
    step: async (what, work) => await step(state, member, what, work),
  }
  void (async () => {
    try {
      await body(actor)
      leave(state, member, { state: 'done', steps: member.steps })
    } catch (error) {
      leave(state, member, { state: 'failed', steps: member.steps, error })
    }
  })()
}

/** The actor is gone, with everything of it that waited. */
const leave = (state: State, member: Member, end: ActorEnd): void => {
  if (member.end !== undefined) return
  member.end = end
  state.waiting = state.waiting.filter(waiting => waiting.member !== member)
  state.sleeping = state.sleeping.filter(sleeping => sleeping.member !== member)
}

const crash = (state: State, member: Member): void => {
  if (member.end !== undefined) return
  leave(state, member, { state: 'crashed', steps: member.steps })
  member.options.onCrash?.()
}

const step = async <Result>(
  state: State,
  member: Member,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> => {
  if (member.end !== undefined) return await never
  const { stall } = state.options
  const stallMs = stall.oneIn > 0 && state.choose(stall.oneIn) === 0 ? state.choose(stall.maxMs + 1) : 0
  member.occupied++
  const entry = await new Promise<TraceEntry>(resolve => {
    state.waiting.push({ member, what, readyMs: state.nowMs + stallMs, go: resolve })
  })
  const { crashAt } = member.options
  const number = member.steps++
  if (crashAt?.step === number && !crashAt.isDone) {
    entry.outcome = 'crashed before'
    crash(state, member)
    return await never
  }
  state.working++
  try {
    const result = await work()
    entry.outcome = outcomeOf(result)
    return result
  } catch (error) {
    entry.outcome = `failed: ${error instanceof Error ? error.message : String(error)}`
    throw error
  } finally {
    state.working--
    member.occupied--
    if (crashAt?.step === number) {
      entry.outcome += ', then crashed'
      crash(state, member)
    }
    if (member.end !== undefined) await never
  }
}

const outcomeOf = (result: unknown): string =>
  typeof result === 'string' || typeof result === 'boolean' ? String(result) : 'done'

const sleep = async (state: State, member: Member, ms: number, signal: AbortSignal | undefined): Promise<void> => {
  signal?.throwIfAborted()
  if (member.end !== undefined) return await never
  member.occupied++
  await new Promise<void>((resolve, reject) => {
    const end = (): void => {
      signal?.removeEventListener('abort', abort)
      state.sleeping = state.sleeping.filter(other => other !== sleeping)
      member.occupied--
    }
    const abort = (): void => {
      if (member.end !== undefined) return
      end()
      reject(signal?.reason as Error)
    }
    const wake = (): void => {
      end()
      resolve()
    }
    const sleeping: Sleeping = { member, untilMs: state.nowMs + Math.max(0, ms), wake }
    signal?.addEventListener('abort', abort)
    state.sleeping.push(sleeping)
  })
}

const runAll = async (state: State, pick: Pick): Promise<void> => {
  const { maxSteps } = state.options
  for (let advances = 0; ;) {
    await rest(state)
    if (isOver(state)) return
    if (state.trace.length >= maxSteps || advances >= maxSteps)
      throw new Error(`no end after ${maxSteps} steps:\n${formatTrace(state.trace.slice(-20))}`)
    const ready = state.waiting.filter(({ readyMs }) => readyMs <= state.nowMs)
    if (ready.length > 0) {
      letGo(state, pick(ready))
    } else {
      advance(state)
      advances++
    }
  }
}

const isOver = (state: State): boolean => [...state.members.values()].every(({ end }) => end !== undefined)

/** Waits until every actor waits for its turn or sleeps; a few, if they wait for another or for the event loop, need not. */
const rest = async (state: State): Promise<void> => {
  for (let turns = 0; ; turns++) {
    await new Promise(resolve => setImmediate(resolve)) // All microtasks run before.
    if (turns >= (state.working > 0 ? WORKING_TURNS : STUCK_TURNS))
      throw new Error(`actors wait for what is no step of another:\n${formatTrace(state.trace.slice(-20))}`)
    if (state.working > 0) continue
    const isIdle = [...state.members.values()].some(({ end, occupied }) => end === undefined && occupied === 0)
    const canGoOn = state.waiting.length > 0 || state.sleeping.length > 0
    if (!isIdle || (canGoOn && turns >= IDLE_TURNS)) return
  }
}

const pickAtRandom = (choose: (below: number) => number): Pick => {
  const stickiness = STICKINESS[choose(STICKINESS.length)] as number
  let last: Member | undefined
  return ready => {
    const members = [...new Set(ready.map(({ member }) => member))]
    const isStaying = last !== undefined && members.includes(last) && choose(stickiness) > 0
    last = isStaying ? last : members[choose(members.length)]
    return pickStep(choose, ready, last)
  }
}

const pickByPriority = (choose: (below: number) => number): Pick => {
  const demotion = DEMOTIONS[choose(DEMOTIONS.length)] as number
  let lowest = 0
  return ready => {
    const members = [...new Set(ready.map(({ member }) => member))]
    const member = members.reduce((best, other) => (other.priority > best.priority ? other : best))
    if (choose(demotion) === 0) member.priority = --lowest
    return pickStep(choose, ready, member)
  }
}

const pickStep = (
  choose: (below: number) => number,
  ready: readonly Waiting[],
  member: Member | undefined,
): Waiting => {
  const steps = ready.filter(waiting => waiting.member === member)
  return steps[choose(steps.length)] as Waiting
}

const letGo = (state: State, waiting: Waiting): void => {
  const { member, what } = waiting
  const entry: TraceEntry = { atMs: state.nowMs, actor: member.name, what, outcome: 'no answer' }
  state.trace.push(entry)
  state.waiting = state.waiting.filter(other => other !== waiting)
  setTime(state, state.nowMs + state.choose(state.options.maxStepMs + 1))
  waiting.go(entry)
}

/** Nobody can go on now: time passes until somebody can. */
const advance = (state: State): void => {
  const times = [...state.waiting.map(({ readyMs }) => readyMs), ...state.sleeping.map(({ untilMs }) => untilMs)]
  setTime(state, Math.max(state.nowMs, Math.min(...times)))
}

const setTime = (state: State, nowMs: number): void => {
  state.nowMs = nowMs
  const due = state.sleeping.filter(({ untilMs }) => untilMs <= nowMs).toSorted((a, b) => a.untilMs - b.untilMs)
  for (const { wake } of due) wake()
}
