import t from 'tap'
import { seededBytes, seededRandom } from '../src/index.ts'

t.test('the same seed gives the same bytes and numbers, another seed others', async t => {
  t.strictSame(seededBytes(100, 1), seededBytes(100, 1))
  t.notSame(seededBytes(100, 1), seededBytes(100, 2))
  const numbers = (seed: number): number[] => Array.from({ length: 50 }, seededRandom(seed).bind(undefined, 1000))
  t.strictSame(numbers(4), numbers(4))
  t.notSame(numbers(4), numbers(5))
  t.ok(numbers(4).every(n => n >= 0 && n < 1000))
})
