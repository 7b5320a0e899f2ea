import t from 'tap'
import { memoryBackend } from '@granary/dedup-store'
import type { Backend } from '@granary/dedup-store'
import { backendContract, faultAt, faultyBackend, faultyStorage, randomFaults, seededRandom } from '@granary/testing'
import type { BackendCall, Fault, FaultPlan } from '@granary/testing'

const LOST = { code: 'GRANARY_IO', retryable: true }
const works: FaultPlan = () => undefined
const once = (operation: BackendCall['operation'], fault: Fault): FaultPlan =>
  faultAt(call => call.operation === operation, 0, fault)
const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = async (backend: Backend, key: string): Promise<string> => Buffer.from(await backend.get(key)).toString()
const keysOf = async (backend: Backend): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of backend.list('')) keys.push(key)
  return keys
}

backendContract('faulty, without a fault', async () => {
  const storage = faultyStorage(memoryBackend())
  return { backend: storage.open(works), again: () => storage.open(works) }
})

t.test('a failure changes nothing, and only hits the call it is meant for', async t => {
  const inner = memoryBackend()
  const plan = faultAt(({ operation, key }) => operation === 'put' && key === 'a/b', 1, {
    kind: 'failure',
    code: 'GRANARY_NO_SPACE',
  })
  const backend = faultyBackend(inner, plan)
  await backend.put('a/b', bytes('first'))
  await backend.put('a/c', bytes('other'))
  await t.rejects(backend.put('a/b', bytes('second')), {
    code: 'GRANARY_NO_SPACE',
    detail: { operation: 'put', key: 'a/b' },
  })
  t.equal(await textOf(backend, 'a/b'), 'first')
  await backend.put('a/b', bytes('third'))
  t.equal(await textOf(inner, 'a/b'), 'third')
  for (const operation of ['get', 'stat', 'delete', 'sync'] as const) {
    const failing = faultyBackend(inner, once(operation, { kind: 'failure', code: 'GRANARY_IO' }))
    const call: Promise<unknown> = operation === 'sync' ? failing.sync() : failing[operation]('a/b')
    await t.rejects(async () => await call, { code: 'GRANARY_IO' }, operation)
  }
  t.equal(await textOf(inner, 'a/b'), 'third')
})

t.test('a listing fails in its middle, or misses what is newest', async t => {
  const storage = faultyStorage(memoryBackend())
  const backend = storage.open(works)
  for (const key of ['c', 'a', 'b', 'd']) await backend.put(key, bytes(key))
  await backend.put('a', bytes('again'))
  const failing = storage.open(once('list', { kind: 'failure', code: 'GRANARY_IO', afterObjects: 2 }))
  const seen: string[] = []
  await t.rejects(
    (async () => {
      for await (const { key } of failing.list('')) seen.push(key)
    })(),
    { code: 'GRANARY_IO' },
  )
  t.same(seen, ['a', 'b'])
  t.same(await keysOf(failing), ['a', 'b', 'c', 'd'], 'the next one works')
  const pastTheEnd = storage.open(once('list', { kind: 'failure', code: 'GRANARY_IO', afterObjects: 9 }))
  await t.rejects(keysOf(pastTheEnd), { code: 'GRANARY_IO' }, 'instead of ending')
  t.same(await keysOf(storage.open(once('list', { kind: 'stale', objects: 2 }))), ['b', 'c'])
})

t.test('a lost answer: done, but the caller does not know', async t => {
  const inner = memoryBackend()
  const put = faultyBackend(inner, once('put', { kind: 'lost-answer' }))
  await t.rejects(put.put('commit/a', bytes('mine'), { ifAbsent: true }), LOST)
  t.equal(await put.put('commit/a', bytes('mine'), { ifAbsent: true }), 'exists')
  t.equal(await textOf(inner, 'commit/a'), 'mine')
  await t.rejects(faultyBackend(inner, once('delete', { kind: 'lost-answer' })).delete('commit/a'), LOST)
  t.equal(await inner.stat('commit/a'), undefined)
})

t.test('a late put happens after the caller has given up, in front of everybody', async t => {
  const storage = faultyStorage(memoryBackend())
  const slow = storage.open(once('put', { kind: 'late', calls: 2 }))
  const other = storage.open(works)
  await t.rejects(slow.put('commit/a', bytes('late'), { ifAbsent: true }), LOST)
  t.equal(await other.stat('commit/a'), undefined)
  t.equal(await textOf(other, 'commit/a'), 'late')
})

t.test('a late put loses against a decision made meanwhile', async t => {
  const storage = faultyStorage(memoryBackend())
  const slow = storage.open(once('put', { kind: 'late', calls: 2 }))
  const other = storage.open(works)
  await t.rejects(slow.put('commit/a', bytes('late'), { ifAbsent: true }), LOST)
  t.equal(await other.put('commit/a', bytes('fence'), { ifAbsent: true }), 'stored')
  t.equal(await slow.put('commit/b', bytes('x')), 'stored')
  t.equal(await textOf(other, 'commit/a'), 'fence')
})

t.test('a duplicated put: the second answer, or a second coming', async t => {
  const storage = faultyStorage(memoryBackend())
  const twice = storage.open(once('put', { kind: 'duplicate', calls: 0 }))
  t.equal(await twice.put('commit/a', bytes('mine'), { ifAbsent: true }), 'exists', 'although it is ours')
  t.equal(await textOf(twice, 'commit/a'), 'mine')
  const later = storage.open(once('put', { kind: 'duplicate', calls: 2 }))
  t.equal(await later.put('packs/a', bytes('pack')), 'stored')
  await later.delete('packs/a')
  t.equal(await textOf(later, 'packs/a'), 'pack', 'a deleted object is back')
})

t.test('bytes that are torn or wrong', async t => {
  const inner = memoryBackend()
  const tearing = faultyBackend(inner, once('put', { kind: 'torn', keepBytes: 3 }))
  await t.rejects(tearing.put('a', [bytes('to'), bytes('rn')]), LOST)
  t.equal(await textOf(inner, 'a'), 'tor')
  const flipping = faultyBackend(inner, once('get', { kind: 'flipped-bit', bit: 24 + 9 }))
  t.equal(await textOf(flipping, 'a'), 'tmr', 'bit 33 of 24 is bit 9')
  t.equal(await textOf(flipping, 'a'), 'tor', 'once')
})

t.test('a slow call waits by the clock it is given, and can be aborted', async t => {
  const waits: number[] = []
  const clock = {
    sleep: async (ms: number, signal?: AbortSignal) => {
      waits.push(ms)
      signal?.throwIfAborted()
    },
  }
  const backend = faultyBackend(memoryBackend(), () => ({ kind: 'slow', ms: 5000 }), { clock })
  await backend.put('a', bytes('x'))
  t.equal(await textOf(backend, 'a'), 'x')
  t.same(waits, [5000, 5000])
  const controller = new AbortController()
  const real = faultyBackend(memoryBackend(), () => ({ kind: 'slow', ms: 10_000_000 }))
  const waiting = real.put('a', bytes('x'), { signal: controller.signal })
  controller.abort(new Error('stop'))
  await t.rejects(waiting, { message: 'stop' })
})

t.test('a fault that does not fit its call is a mistake of the plan', async t => {
  const backend = faultyBackend(memoryBackend(), () => ({ kind: 'flipped-bit', bit: 1 }))
  await t.rejects(backend.put('a', bytes('x')), RangeError)
})

t.test('random faults are the same for the same seed, fit their calls and come about as often as asked', async t => {
  const rates = {
    failure: 50,
    lostAnswer: 10,
    late: 10,
    duplicate: 10,
    flippedBit: 10,
    stale: 2,
    mayBeStale: (prefix: string) => prefix === 'index/',
  }
  const draw = async (seed: number): Promise<(Fault | undefined)[]> => {
    const plan = randomFaults(seededRandom(seed), rates)
    const faults: (Fault | undefined)[] = []
    const backend = faultyBackend(memoryBackend(), call => {
      const fault = plan(call)
      faults.push(fault)
      return fault
    })
    const run = async (work: () => Promise<unknown>): Promise<unknown> =>
      await work().catch((error: { code?: string }) => {
        if (!error.code?.startsWith('GRANARY_')) throw error
      })
    for (let i = 0; i < 300; i++) {
      await run(async () => await backend.put(`index/${i}`, bytes('x'), { ifAbsent: i % 2 === 0 }))
      await run(async () => await backend.get(`index/${i}`))
      await run(async () => await backend.delete(`index/${i}`))
      await run(async () => {
        for await (const _ of backend.list(i % 2 === 0 ? 'index/' : 'packs/')) break
      })
      await run(async () => await backend.sync())
    }
    return faults
  }
  const faults = await draw(1)
  t.same(await draw(1), faults)
  t.notSame(await draw(2), faults)
  const counts = new Map<string, number>()
  for (const fault of faults) counts.set(fault?.kind ?? 'none', (counts.get(fault?.kind ?? 'none') ?? 0) + 1)
  t.comment(JSON.stringify([...counts]))
  for (const kind of ['failure', 'lost-answer', 'late', 'duplicate', 'flipped-bit', 'stale'])
    t.ok((counts.get(kind) ?? 0) > 10, kind)
})
