import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { fileBackend, memoryBackend } from '@granary/dedup-store'
import type { Backend } from '@granary/dedup-store'
import {
  crashFileSystem,
  createScheduler,
  faultyStorage,
  formatTrace,
  randomFaults,
  scheduledBackend,
  scheduledFileSystem,
} from '@granary/testing'
import type { Actor, Holds, ScheduledRun, SchedulerOptions } from '@granary/testing'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = async (backend: Backend, key: string): Promise<string> => Buffer.from(await backend.get(key)).toString()

/** Two actors that add to a counter without protection. */
const addTwice = async (options: SchedulerOptions): Promise<{ run: ScheduledRun; count: string }> => {
  const storage = memoryBackend()
  await storage.put('counter', bytes('0'))
  const scheduler = createScheduler(options)
  for (const name of ['a', 'b'])
    scheduler.spawn(name, async actor => {
      const backend = scheduledBackend(actor, storage)
      for (let i = 0; i < 3; i++) {
        const count = Number(await textOf(backend, 'counter'))
        createHash('sha256').update(`${count}`).digest()
        await new Promise(resolve => setImmediate(resolve))
        await backend.put('counter', bytes(`${count + 1}`))
      }
    })
  const run = await scheduler.run()
  return { run, count: await textOf(storage, 'counter') }
}

t.test('a seed decides the order, and other seeds find other orders', async t => {
  const traces = new Set<string>()
  const counts = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    const first = await addTwice({ seed })
    const second = await addTwice({ seed })
    if (formatTrace(first.run.trace) !== formatTrace(second.run.trace)) t.fail(`seed ${seed} is not repeatable`)
    t.equal(first.count, second.count)
    traces.add(formatTrace(first.run.trace))
    counts.add(first.count)
  }
  t.ok(traces.size > 50, `${traces.size} orders`)
  t.ok(counts.has('6'), 'one after the other')
  t.ok(counts.has('3'), 'all updates of one lost')
  t.comment(`counts seen: ${[...counts].toSorted().join(', ')}`)
})

t.test('the choices of a run bring it about again under another seed', async t => {
  const { run } = await addTwice({ seed: 5 })
  const again = await addTwice({ seed: 999, choices: run.choices })
  t.equal(formatTrace(again.run.trace), formatTrace(run.trace))
  t.same(again.run.choices, run.choices)
})

t.test('a trace says what happened', async t => {
  const { run } = await addTwice({ seed: 3, maxStepMs: 0 })
  t.equal(run.trace.length, 12)
  t.match(formatTrace(run.trace.slice(0, 1)), /^0 0 ms [ab]: get counter -> done$/)
  t.same(
    [...run.ends.values()],
    [
      { state: 'done', steps: 6 },
      { state: 'done', steps: 6 },
    ],
  )
})

t.test('of actors that race for a decision exactly one wins, in every order', async t => {
  for (let seed = 0; seed < 100; seed++) {
    const storage = memoryBackend()
    const scheduler = createScheduler({ seed })
    const results: string[] = []
    for (const name of ['a', 'b', 'c'])
      scheduler.spawn(name, async actor => {
        const backend = scheduledBackend(actor, storage)
        results.push(await backend.put('commit/x', bytes(name), { ifAbsent: true }))
      })
    await scheduler.run()
    if (results.filter(result => result === 'stored').length !== 1) t.fail(`seed ${seed}: ${results.join()}`)
  }
  t.pass()
})

t.test('several strands of one actor go on in any order', async t => {
  const orders = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    const scheduler = createScheduler({ seed })
    const order: number[] = []
    scheduler.spawn('a', async actor => {
      await Promise.all([1, 2, 3].map(async n => await actor.step(`${n}`, async () => void order.push(n))))
    })
    await scheduler.run()
    orders.add(order.join(''))
  }
  t.equal(orders.size, 6)
})

t.test('an actor crashes before or after a step, for good, and a successor finds what it left', async t => {
  for (const isDone of [false, true]) {
    const storage = memoryBackend()
    const scheduler = createScheduler({ seed: 1 })
    const reached: string[] = []
    const body = async (actor: Actor): Promise<void> => {
      const backend = scheduledBackend(actor, storage)
      try {
        await backend.put('a/1', bytes('x'))
        reached.push(`${actor.name}1`)
        await backend.put('a/2', bytes('x'))
        reached.push(`${actor.name}2`)
      } finally {
        reached.push(`${actor.name} cleans up`)
        await backend.delete('a/1')
      }
    }
    scheduler.spawn('first', body, {
      crashAt: { step: 1, isDone },
      onCrash: () =>
        scheduler.spawn('second', async actor => {
          const backend = scheduledBackend(actor, storage)
          reached.push(`second finds ${[(await backend.stat('a/1'))?.key, (await backend.stat('a/2'))?.key].join()}`)
        }),
    })
    const { ends, trace } = await scheduler.run()
    t.same(reached, ['first1', isDone ? 'second finds a/1,a/2' : 'second finds a/1,'])
    t.same(ends.get('first'), { state: 'crashed', steps: 2 })
    t.match(trace[1]?.outcome, isDone ? 'stored, then crashed' : 'crashed before')
  }
})

t.test('a crash from outside stops an actor where it stands', async t => {
  const scheduler = createScheduler({ seed: 1 })
  let steps = 0
  scheduler.spawn('endless', async actor => {
    for (;;) {
      await actor.clock.sleep(10)
      await actor.step('work', async () => void steps++)
      if (steps === 5) scheduler.crash('endless')
    }
  })
  const { ends } = await scheduler.run()
  t.same(ends.get('endless'), { state: 'crashed', steps: 5 })
  t.equal(steps, 5)
  t.throws(() => scheduler.crash('nobody'), RangeError)
})

t.test('failures of an actor are reported, and the others go on', async t => {
  const scheduler = createScheduler({ seed: 1 })
  scheduler.spawn('bad', async actor => {
    await actor.step('look', async () => await Promise.reject(new Error('broken')))
  })
  scheduler.spawn('good', async actor => await actor.step('work', async () => undefined))
  const { ends, trace } = await scheduler.run()
  t.match(ends.get('bad'), { state: 'failed', error: { message: 'broken' } })
  t.match(ends.get('good'), { state: 'done' })
  t.ok(trace.some(({ outcome }) => outcome === 'failed: broken'))
  t.throws(() => scheduler.spawn('good', async () => undefined), RangeError)
})

t.test('virtual time: sleeps end in order, beside steps, and can be aborted', async t => {
  const scheduler = createScheduler({ seed: 4, maxStepMs: 10 })
  const woken: number[] = []
  const controller = new AbortController()
  scheduler.spawn('sleeper', async ({ clock }) => {
    const start = clock.now()
    await Promise.all([
      ...[3000, 1000, 2000].map(async ms => {
        await clock.sleep(ms)
        woken.push(ms)
        if (clock.now() - start < ms) t.fail('too early')
      }),
      t.rejects(clock.sleep(1_000_000, controller.signal), { message: 'enough' }),
    ])
    await t.rejects(clock.sleep(1, controller.signal), { message: 'enough' })
  })
  scheduler.spawn('busy', async actor => {
    for (let i = 0; i < 50; i++) await actor.step('work', async () => undefined)
    controller.abort(new Error('enough'))
  })
  const { endMs } = await scheduler.run()
  t.same(woken, [1000, 2000, 3000])
  t.ok(endMs >= 3000 && endMs < 4000, `${endMs}`)
})

t.test('a stalled step outlives a time to live, and clocks may differ', async t => {
  let longest = 0
  const skews = new Set<number>()
  for (let seed = 0; seed < 30; seed++) {
    const scheduler = createScheduler({ seed, stall: { oneIn: 5, maxMs: 100_000 }, maxSkewMs: 5000 })
    for (const name of ['a', 'b'])
      scheduler.spawn(name, async actor => {
        skews.add(actor.clock.now())
        for (let i = 0; i < 5; i++) {
          const before = actor.clock.now()
          await actor.step('work', async () => undefined)
          longest = Math.max(longest, actor.clock.now() - before)
        }
      })
    await scheduler.run()
  }
  t.ok(longest > 50_000, `${longest} ms`)
  t.ok(skews.size > 20)
})

t.test('actors that wait for each other, or never end, are an error with the last steps', async t => {
  const stuck = createScheduler({ seed: 1 })
  stuck.spawn('a', async actor => {
    await actor.step('last thing', async () => undefined)
    await new Promise(() => undefined)
  })
  await t.rejects(stuck.run(), /wait for what is no step[^]*last thing/)
  const endless = createScheduler({ seed: 1, maxSteps: 100 })
  endless.spawn('a', async actor => {
    for (;;) await actor.step('again', async () => undefined)
  })
  await t.rejects(endless.run(), /no end after 100 steps[^]*again/)
  const asleep = createScheduler({ seed: 1, maxSteps: 100 })
  asleep.spawn('a', async ({ clock }) => {
    for (;;) await clock.sleep(1)
  })
  await t.rejects(asleep.run(), /no end after 100 steps/)
})

t.test('an actor may wait for another', async t => {
  const scheduler = createScheduler({ seed: 1 })
  let tell: () => void = () => undefined
  const told = new Promise<void>(resolve => (tell = resolve))
  const order: string[] = []
  scheduler.spawn('a', async actor => {
    await told
    await actor.step('after', async () => void order.push('a'))
  })
  scheduler.spawn('b', async actor => {
    await actor.step('before', async () => void order.push('b'))
    tell()
  })
  await scheduler.run()
  t.same(order, ['b', 'a'])
})

t.test('a listing is no instant: others act between its pages', async t => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 40; seed++) {
    const storage = memoryBackend()
    for (const key of ['b', 'd', 'f', 'h']) await storage.put(key, bytes('x'))
    const scheduler = createScheduler({ seed })
    scheduler.spawn('reader', async actor => {
      let keys = ''
      for await (const { key } of scheduledBackend(actor, storage, { pageObjects: 2 }).list('')) keys += key
      seen.add(keys)
    })
    scheduler.spawn('writer', async actor => {
      const backend = scheduledBackend(actor, storage)
      await backend.put('a', bytes('x'))
      await backend.put('g', bytes('x'))
      await backend.delete('h')
    })
    await scheduler.run()
  }
  t.ok(seen.has('bdfh') && seen.has('abdfg') && seen.has('bdfg'), [...seen].join())
})

t.test('holds end with their actor', async t => {
  const storage = memoryBackend()
  const holds: Holds = new Map()
  const scheduler = createScheduler({ seed: 1 })
  const seen: (boolean | undefined)[] = []
  scheduler.spawn(
    'holder',
    async actor => {
      const backend = scheduledBackend(actor, storage, { holds })
      await backend.hold?.('s-1')
      const other = await backend.hold?.('s-2')
      seen.push(await backend.isHeld?.('s-1'), await backend.isHeld?.('s-2'))
      await other?.[Symbol.asyncDispose]()
      await backend.stat('never')
    },
    {
      crashAt: { step: 5, isDone: false },
      onCrash: () =>
        scheduler.spawn('other', async actor => {
          const backend = scheduledBackend(actor, storage, { holds })
          for (const name of ['s-1', 's-2', 's-3']) seen.push(await backend.isHeld?.(name))
          await backend.hold?.('s-1')
          await t.rejects(scheduledBackend(actor, storage, { holds }).hold!('s-1'), { code: 'GRANARY_LOCKED' })
        }),
    },
  )
  const { ends } = await scheduler.run()
  t.same(seen, [true, true, false, undefined, undefined])
  t.match(ends.get('other'), { state: 'done' })
})

t.test('faults, stalls and crashes together are as repeatable', async t => {
  const explore = async (seed: number): Promise<string> => {
    const scheduler = createScheduler({ seed, stall: { oneIn: 10, maxMs: 1000 } })
    const storage = faultyStorage(memoryBackend())
    for (const name of ['a', 'b', 'c'])
      scheduler.spawn(
        name,
        async actor => {
          const plan = randomFaults(below => scheduler.choose(below), {
            failure: 20,
            lostAnswer: 5,
            late: 5,
            duplicate: 5,
          })
          const backend = scheduledBackend(actor, storage.open(plan))
          for (let i = 0; i < 5; i++)
            await backend.put(`gc/${i}/claim`, bytes(name), { ifAbsent: true }).catch(() => undefined)
        },
        { crashAt: { step: scheduler.choose(10), isDone: scheduler.choose(2) === 0 } },
      )
    return formatTrace((await scheduler.run()).trace)
  }
  for (let seed = 0; seed < 30; seed++) if ((await explore(seed)) !== (await explore(seed))) t.fail(`seed ${seed}`)
  t.match(await explore(3), /lost/)
})

t.test('file backends on one file system, step by step, one of them killed', async t => {
  for (let seed = 0; seed < 60; seed++) {
    const fs = crashFileSystem()
    await fs.createFolder('/r')
    const scheduler = createScheduler({ seed })
    const won: string[] = []
    for (const name of ['a', 'b', 'c']) {
      const process = fs.process()
      scheduler.spawn(
        name,
        async actor => {
          const backend = fileBackend('/r', { fs: scheduledFileSystem(actor, process) })
          await backend.hold(name)
          if ((await backend.put('commit/x', bytes(name), { ifAbsent: true, owner: name })) === 'stored') won.push(name)
          await backend.put(`packs/${name}-1`, bytes(name), { owner: name })
        },
        name === 'a'
          ? {
              crashAt: { step: scheduler.choose(25), isDone: scheduler.choose(2) === 0 },
              onCrash: () => process.kill(),
            }
          : {},
      )
    }
    await scheduler.run()
    const backend = fileBackend('/r', { fs })
    const winner = await textOf(backend, 'commit/x')
    // The killed one may have won without having heard of it.
    if (won.join() !== winner && !(winner === 'a' && won.length === 0))
      t.fail(`seed ${seed}: ${won.join()} but ${winner}`)
    await backend.sweep(async owner => (await backend.isHeld(owner)) === true && owner !== 'a')
    const left = (await fs.readFolder('/r/commit')).map(({ name }) => name)
    if (left.join() !== 'x') t.fail(`seed ${seed}: left ${left.join()}`)
    t.same(await textOf(backend, 'packs/b-1'), 'b')
  }
})

t.test('goes through many runs', async t => {
  const start = performance.now()
  let steps = 0
  const RUNS = 200
  for (let seed = 0; seed < RUNS; seed++) {
    const storage = memoryBackend()
    const scheduler = createScheduler({ seed })
    for (const name of ['a', 'b', 'c', 'd'])
      scheduler.spawn(name, async actor => {
        const backend = scheduledBackend(actor, storage)
        for (let i = 0; i < 25; i++) await backend.put(`${name}/${i}`, bytes('x'))
      })
    steps += (await scheduler.run()).trace.length
  }
  const ms = performance.now() - start
  t.equal(steps, RUNS * 100)
  t.comment(
    `${Math.round((RUNS / ms) * 60_000)} runs of 100 steps a minute, ${Math.round((ms * 1000) / steps)} us a step`,
  )
})
