/** Concurrency for async iterables. @module */
import { checkWhole } from '../check-whole.ts'

export interface MapOrderedOptions {
  /** Calls in flight at once, and so results held. @default 4 */
  readonly concurrency?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Maps a stream with several calls in flight, and yields the results in source order, each as soon as its turn has come.
 * Takes at most `concurrency` items ahead of the consumer: that is the back-pressure.
 *
 * The first failure, an abort, or a consumer that leaves aborts the signal that the calls get; all of them have settled and
 * the source is closed before this ends. A source that may wait for long must heed the caller's signal itself.
 *
 * @example for await (const stored of mapOrdered(chunks, chunk => store.put(chunk), { concurrency: 8 })) report(stored)
 */
export async function* mapOrdered<Item, Result>(
  source: AsyncIterable<Item> | Iterable<Item>,
  map: (item: Item, signal: AbortSignal) => Promise<Result>,
  { concurrency = 4, signal }: MapOrderedOptions = {},
): AsyncGenerator<Result, void, undefined> {
  checkWhole('concurrency', concurrency)
  signal?.throwIfAborted()
  const controller = new AbortController()
  const fail = (error: unknown): void => controller.abort(error)
  const onAbort = (): void => fail(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const state: State<Item, Result> = { iterator, inFlight: [], pull: undefined, isEnded: false }
  const start = (item: Item): Promise<Result> => {
    const call = map(item, controller.signal)
    call.catch(fail) // A call that fails behind a slower one ends that one too, if it heeds the signal.
    return call
  }

  try {
    yield* results(state, { start, concurrency, signal: controller.signal })
  } catch (error) {
    fail(error)
    throw controller.signal.reason // The first failure in time: the others may be its consequences.
  } finally {
    signal?.removeEventListener('abort', onAbort)
    if (state.inFlight.length > 0) fail(new Error('the consumer of the results left'))
    await Promise.allSettled([...state.inFlight, state.pull])
    if (!state.isEnded) await Promise.allSettled([iterator.return?.()]) // What closing says must not hide the failure.
  }
}

interface State<Item, Result> {
  readonly iterator: AsyncIterator<Item> | Iterator<Item>
  readonly inFlight: Promise<Result>[]
  pull: Promise<IteratorResult<Item>> | undefined
  isEnded: boolean
}

interface Start<Item, Result> {
  readonly start: (item: Item) => Promise<Result>
  readonly concurrency: number
  readonly signal: AbortSignal
}

async function* results<Item, Result>(
  state: State<Item, Result>,
  { start, concurrency, signal }: Start<Item, Result>,
): AsyncGenerator<Result, void, undefined> {
  for (;;) {
    if (!state.isEnded && state.inFlight.length < concurrency) {
      state.pull ??= Promise.resolve(state.iterator.next())
    }
    if (state.pull === undefined && state.inFlight.length === 0) return
    const next = await nextEvent(state.inFlight[0], state.pull)
    signal.throwIfAborted() // A later call may have failed while the oldest one went well.
    if ('result' in next) {
      void state.inFlight.shift()
      yield next.result
    } else {
      state.pull = undefined
      if (next.item.done === true) state.isEnded = true
      else state.inFlight.push(start(next.item.value))
    }
  }
}

/** What comes first, the oldest result or another item. A result that is there already goes first. */
const nextEvent = <Item, Result>(
  oldest: Promise<Result> | undefined,
  pull: Promise<IteratorResult<Item>> | undefined,
): Promise<{ result: Result } | { item: IteratorResult<Item> }> => {
  const candidates: Promise<{ result: Result } | { item: IteratorResult<Item> }>[] = []
  if (oldest !== undefined) candidates.push(oldest.then(result => ({ result })))
  if (pull !== undefined) candidates.push(pull.then(item => ({ item })))
  return Promise.race(candidates)
}
