import t from 'tap'
import { ByteBudget } from '../src/byte-budget.ts'

/** Asks for bytes, and notes when they are had. */
const asker = (budget: ByteBudget) => {
  const admitted: string[] = []
  const ask = (name: string, bytes: number, signal?: AbortSignal): void => {
    budget.acquire(bytes, signal).then(
      () => admitted.push(name),
      () => admitted.push(`${name} aborted`),
    )
  }
  const settled = async (): Promise<readonly string[]> => {
    await new Promise(resolve => setImmediate(resolve))
    return admitted
  }
  return { ask, settled }
}

t.test('without a refill, who waits is admitted as soon as it fits', async t => {
  const budget = new ByteBudget(100)
  const { ask, settled } = asker(budget)
  for (const name of ['a', 'b', 'c', 'd']) ask(name, 40)
  t.same(await settled(), ['a', 'b'])
  budget.release(40)
  t.same(await settled(), ['a', 'b', 'c'])
  t.equal(budget.usedBytes, 80)
})

t.test('with a refill, those who wait are admitted together, in order', async t => {
  const budget = new ByteBudget(100, { refillBytes: 30 })
  const { ask, settled } = asker(budget)
  for (let i = 0; i < 14; i++) ask(String(i), 10)
  t.equal((await settled()).length, 10)
  budget.release(10)
  budget.release(10)
  t.equal((await settled()).length, 10, 'two places are not enough')
  budget.release(10)
  t.same((await settled()).slice(10), ['10', '11', '12'])
  t.equal(budget.usedBytes, 100)
})

t.test('a refill keeps nobody out for good', async t => {
  const budget = new ByteBudget(100, { refillBytes: 100 })
  const { ask, settled } = asker(budget)
  const leaving = new AbortController()
  ask('first', 60)
  ask('leaves', 60, leaving.signal)
  ask('longer than all', 250)
  ask('last', 1)
  t.same(await settled(), ['first'])
  leaving.abort()
  t.same(await settled(), ['first', 'leaves aborted'])
  budget.release(60)
  t.same(await settled(), ['first', 'leaves aborted', 'longer than all'])
  budget.release(250)
  t.same(await settled(), ['first', 'leaves aborted', 'longer than all', 'last'])
})
