import t from 'tap'
import { Arena } from '../src/index.ts'

t.test('an arena gives out aligned places of one memory and says when it is full', async t => {
  const arena = new Arena(1024)
  const a = arena.allocate(100)
  const b = arena.allocate(100)
  t.equal(a.pointer % 64, 0)
  t.equal(b.pointer, a.pointer + 128)
  b.bytes[0] = 9
  t.equal(new Uint8Array(arena.memory.buffer)[b.pointer], 9)
  t.throws(() => arena.allocate(65_536), { code: 'GRANARY_LIMIT' })
  t.throws(() => new Arena(2 ** 32), { code: 'GRANARY_INVALID_ARGUMENT' })
})
