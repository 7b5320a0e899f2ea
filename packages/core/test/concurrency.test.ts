import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { Semaphore, mapOrdered } from '../src/index.ts'

/** A promise and the means to settle it. */
const gate = (): { opened: Promise<void>; open: () => void; fail: (error: unknown) => void } => {
  let open!: () => void
  let fail!: (error: unknown) => void
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { opened, open, fail }
}

/** Counts up, and remembers that it was closed. */
const counting = (below: number): { items: AsyncGenerator<number>; state: { taken: number; isClosed: boolean } } => {
  const state = { taken: 0, isClosed: false }
  async function* items(): AsyncGenerator<number> {
    try {
      while (state.taken < below) yield state.taken++
    } finally {
      state.isClosed = true
    }
  }
  return { items: items(), state }
}

t.test('results come in source order, whatever the calls take', async t => {
  const drawn = fc.record({
    turns: fc.array(fc.nat({ max: 5 }), { maxLength: 20 }),
    concurrency: fc.integer({ min: 1, max: 6 }),
  })
  const check = async ({ turns, concurrency }: { turns: number[]; concurrency: number }): Promise<void> => {
    let inFlight = 0
    let most = 0
    const wait = async (count: number, i: number): Promise<number> => {
      most = Math.max(most, ++inFlight)
      for (let turn = 0; turn < count; turn++) await setImmediate()
      inFlight--
      return i
    }
    const results: number[] = []
    for await (const i of mapOrdered([...turns.entries()], ([i, count]) => wait(count, i), { concurrency }))
      results.push(i)
    if (results.some((result, i) => result !== i) || results.length !== turns.length) throw new Error(String(results))
    if (most > concurrency) throw new Error(`${most} in flight`)
  }
  await t.resolves(fc.assert(fc.asyncProperty(drawn, check), { seed: 3, numRuns: 100 }))
})

t.test('a result goes out although the source has nothing more yet', async t => {
  const more = gate()
  async function* source(): AsyncGenerator<number> {
    yield 1
    await more.opened
    yield 2
  }
  const results = mapOrdered(source(), async n => n * 10, { concurrency: 4 })
  t.strictSame(await results.next(), { done: false, value: 10 })
  more.open()
  t.strictSame(await results.next(), { done: false, value: 20 })
  t.equal((await results.next()).done, true)
})

t.test('takes no more from the source than it may hold', async t => {
  const { items, state } = counting(100)
  const results = mapOrdered(items, async n => n, { concurrency: 3 })
  await results.next()
  for (let i = 0; i < 20; i++) await setImmediate()
  t.ok(state.taken <= 4, `${state.taken} taken`)
  await results.return()
  t.equal(state.isClosed, true)
})

t.test('a failure aborts the other calls, waits for them, closes the source, and is what is thrown', async t => {
  const { items, state } = counting(100)
  let started = 0
  let settled = 0
  const call = async (n: number, signal: AbortSignal): Promise<number> => {
    started++
    if (n === 2) throw new Error('call 2 failed')
    const aborted = gate()
    signal.addEventListener('abort', () => aborted.fail(signal.reason))
    try {
      await aborted.opened
    } catch (error) {
      await setImmediate() // Settles later than the failure.
      throw error
    } finally {
      settled++
    }
    return n
  }
  await t.rejects(mapOrdered(items, call, { concurrency: 4 }).next(), { message: 'call 2 failed' })
  t.equal(settled, started - 1)
  t.equal(state.isClosed, true)
})

t.test('an abort ends it with the reason, after the calls have settled', async t => {
  const controller = new AbortController()
  const { items, state } = counting(100)
  let settled = 0
  const call = async (_: number, signal: AbortSignal): Promise<void> => {
    const aborted = gate()
    signal.addEventListener('abort', aborted.open)
    await aborted.opened
    settled++
  }
  const next = mapOrdered(items, call, { concurrency: 2, signal: controller.signal }).next()
  for (let i = 0; i < 5; i++) await setImmediate()
  controller.abort(new Error('stop'))
  await t.rejects(next, { message: 'stop' })
  t.equal(settled, 2)
  t.equal(state.isClosed, true)
  const late = counting(1)
  await t.rejects(mapOrdered(late.items, call, { signal: controller.signal }).next(), { message: 'stop' })
  t.equal(late.state.taken, 0)
})

t.test('a consumer that leaves waits for the calls in flight', async t => {
  let started = 0
  let settled = 0
  const twoMore = gate()
  const call = async (n: number, signal: AbortSignal): Promise<number> => {
    if (++started === 3) twoMore.open()
    if (n === 0) await twoMore.opened
    else {
      const aborted = gate()
      signal.addEventListener('abort', aborted.open)
      await aborted.opened
    }
    settled++
    return n
  }
  const { items, state } = counting(100)
  for await (const n of mapOrdered(items, call, { concurrency: 3 })) if (n === 0) break
  t.equal(settled, started)
  t.equal(started, 3)
  t.equal(state.isClosed, true)
})

t.test('refuses a concurrency with which nothing would be done', async t => {
  for (const concurrency of [0, -1, 1.5, Number.NaN, Infinity]) {
    const results = mapOrdered([1], async n => n, { concurrency })
    await t.rejects(results.next(), { code: 'GRANARY_INVALID_ARGUMENT', detail: { argument: 'concurrency' } })
  }
})

t.test('a source that fails ends it with that failure', async t => {
  async function* source(): AsyncGenerator<number> {
    yield 1
    throw new Error('source failed')
  }
  const results = mapOrdered(source(), async n => n)
  await t.rejects(
    async () => {
      for await (const _ of results);
    },
    { message: 'source failed' },
  )
})

t.test('a semaphore bounds what is held, first come first served', async t => {
  const semaphore = new Semaphore(10)
  const order: string[] = []
  const first = await semaphore.acquire(6)
  const large = semaphore.acquire(8).then(release => {
    order.push('large')
    return release
  })
  const small = semaphore.acquire(1).then(release => {
    order.push('small')
    return release
  })
  await setImmediate()
  t.strictSame(order, [], 'the small one does not overtake')
  t.equal(semaphore.free, 4)
  first()
  first() // Twice is once.
  const releases = await Promise.all([large, small])
  t.strictSame(order, ['large', 'small'])
  t.equal(semaphore.free, 1)
  for (const release of releases) release()
  t.equal(semaphore.free, 10)
  for (const amount of [11, -1, Number.NaN])
    await t.rejects(semaphore.acquire(amount), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => new Semaphore(0), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('a waiter that gives up lets the next one through, and a failing task gives back', async t => {
  const semaphore = new Semaphore(2)
  const release = await semaphore.acquire(1)
  const controller = new AbortController()
  const large = semaphore.acquire(2, { signal: controller.signal })
  const small = semaphore.acquire(1)
  controller.abort(new Error('stop'))
  await t.rejects(large, { message: 'stop' })
  ;(await small)()
  await t.rejects(
    semaphore.run(() => Promise.reject(new Error('task failed'))),
    { message: 'task failed' },
  )
  t.equal(await semaphore.run(async () => semaphore.free), 0)
  release()
  t.equal(semaphore.free, 2)
  await t.rejects(semaphore.acquire(1, { signal: controller.signal }), { message: 'stop' })
})
