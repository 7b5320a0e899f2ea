import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { test } from 'tap'
import { createRealClock, createVirtualClock } from '@granary/ovirt-simulator'

test('waits of a client and ticks of the engine happen in the order of their times', async t => {
  await using clock = createVirtualClock({ startMs: 0 })
  const seen: string[] = []
  const tick = (): void => {
    seen.push(`tick ${clock.now()}`)
    clock.schedule(10_000, tick)
  }
  clock.schedule(10_000, tick)
  for (let n = 0; n < 3; n++) {
    await clock.sleep(7_000)
    seen.push(`poll ${clock.now()}`)
  }
  t.same(seen, ['poll 7000', 'tick 10000', 'poll 14000', 'tick 20000', 'poll 21000'])
})

test('ticks alone move nothing', async t => {
  await using clock = createVirtualClock({ startMs: 5 })
  clock.schedule(1, () => t.fail('nobody waited'))
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
  t.equal(clock.now(), 5)
})

test('time stands still while a request is answered, also over a socket', async t => {
  await using clock = createVirtualClock({ startMs: 0 })
  const server = createServer((_request, response) => {
    const hold = clock.hold()
    void setTimeout(30).then(() => {
      response.end(String(clock.now()))
      hold[Symbol.dispose]()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const poller = (async () => {
    while (clock.now() < 3_600_000) await clock.sleep(1_000)
  })()
  const answers = await Promise.all([1, 2, 3].map(async () => Number(await (await fetch(url)).text())))
  t.ok(Math.max(...answers) < 3_600_000, 'no hour passed meanwhile')
  await poller
  server.closeAllConnections()
  server.close()
})

test('time stands still while a file of the process is waited for', async t => {
  await using clock = createVirtualClock({ startMs: 0 })
  const pipe = join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [pipe])
  // As a disk that takes its time: it is there when the other end is.
  const opening = open(pipe, 'r')
  const poller = (async () => {
    while (clock.now() < 3_600_000) await clock.sleep(1_000)
  })()
  await setTimeout(50)
  t.equal(clock.now(), 0)
  const writer = await open(pipe, constants.O_RDWR)
  await (await opening).close()
  await writer.close()
  await poller
  t.equal(clock.now(), 3_600_000)
})

test('an answer that is slow on purpose lets time pass', async t => {
  await using clock = createVirtualClock({ startMs: 0 })
  using hold = clock.hold()
  await hold.sleep(600_000)
  t.equal(clock.now(), 600_000)
})

test('advance keeps every appointment on the way and waits for its promise', async t => {
  await using clock = createVirtualClock({ startMs: 0 })
  const seen: number[] = []
  clock.schedule(20, async () => {
    await new Promise(resolve => setImmediate(resolve))
    seen.push(clock.now())
    clock.schedule(5, () => seen.push(clock.now()))
  })
  const cancel = clock.schedule(21, () => t.fail('called off'))
  cancel()
  await clock.advance(100)
  t.same(seen, [20, 25])
  t.equal(clock.now(), 100)
})

test('an abort ends a wait with its reason, on both clocks', async t => {
  await using virtual = createVirtualClock()
  await using real = createRealClock({ speed: 1000 })
  for (const clock of [virtual, real]) {
    const stop = new AbortController()
    const hold = clock.hold()
    const waiting = clock.sleep(1e9, stop.signal)
    stop.abort(new Error('enough'))
    await t.rejects(waiting, { message: 'enough' })
    hold[Symbol.dispose]()
    await t.rejects(clock.sleep(1, stop.signal), { message: 'enough' })
  }
})

test('a fast real clock runs by itself and forgets its timers when it is closed', async t => {
  const clock = createRealClock({ speed: 100_000 })
  const begin = clock.now()
  await clock.sleep(60_000)
  t.ok(clock.now() - begin >= 60_000)
  let ticked = false
  clock.schedule(1_000, () => (ticked = true))
  await clock.sleep(600_000)
  t.ok(ticked)
  clock.schedule(1e12, () => t.fail('closed'))()
  clock.schedule(1e12, () => t.fail('closed'))
  await clock[Symbol.asyncDispose]()
  t.throws(() => createRealClock({ speed: 0 }), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => createVirtualClock().schedule(-1, () => undefined), { code: 'GRANARY_INVALID_ARGUMENT' })
})

test('no wait and no task of a fast real clock is early by that clock, though timers may be', async t => {
  await using clock = createRealClock({ speed: 100_000 })
  // A scheduled task does not keep a process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  for (let n = 0; n < 100; n++) {
    const dueMs = clock.now() + 50_000 + n
    await clock.sleep(50_000 + n)
    if (clock.now() < dueMs) return t.fail(`wait ${n} ended ${dueMs - clock.now()} ms early`)
  }
  for (let n = 0; n < 100; n++) {
    const dueMs = clock.now() + 50_000 + n
    const atMs = await new Promise<number>(resolve => clock.schedule(50_000 + n, () => resolve(clock.now())))
    if (atMs < dueMs) return t.fail(`task ${n} ran ${dueMs - atMs} ms early`)
  }
})
