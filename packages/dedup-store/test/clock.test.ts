import t from 'tap'
import { systemClock } from '../src/index.ts'

t.test('no wait ends early by the clock that it is of, though timers do', async t => {
  for (let n = 0; n < 500; n++) {
    const dueMs = systemClock.now() + 1
    await systemClock.sleep(1)
    if (systemClock.now() < dueMs) return t.fail(`wait ${n} ended early`)
  }
})

t.test('an abort ends a wait with its reason', async t => {
  const stop = new AbortController()
  const waiting = systemClock.sleep(3_600_000, stop.signal)
  stop.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  await t.rejects(systemClock.sleep(1, stop.signal), { message: 'enough' })
})
