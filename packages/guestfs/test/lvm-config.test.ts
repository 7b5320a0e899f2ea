import { isGranaryError } from '@granary/core'
import fc from 'fast-check'
import t from 'tap'
import { parseConfig } from '../src/containers/lvm/config.ts'

const TEXT = `# comment
vg {
  id = "a\\"b"   # another
  seqno = 15
  big = 1152921504606846976
  status = ["READ", "WRITE"]
  empty = []
  pv0 { dev_size = 196608 }
}
`

t.test('values, lists, comments and sections', async t => {
  const vg = parseConfig(TEXT).section('vg')
  t.equal(vg?.text('id'), 'a"b')
  t.equal(vg?.number('seqno'), 15)
  t.strictSame(vg?.list('status'), ['READ', 'WRITE'])
  t.strictSame(vg?.list('empty'), [])
  t.equal(vg?.section('pv0')?.number('dev_size'), 196_608)
  t.throws(() => vg?.number('big'), { code: 'GRANARY_CORRUPT' }, 'numbers beyond 2^53 are refused, not rounded')
  t.throws(() => vg?.text('missing'), { code: 'GRANARY_CORRUPT' })
})

t.test('names of JavaScript are names like others', async t => {
  const root = parseConfig('__proto__ { constructor = 1 }')
  t.equal(root.section('__proto__')?.number('constructor'), 1)
  t.equal(root.section('constructor'), undefined)
})

t.test('what is cut off or has no form is refused', async t => {
  for (const text of ['vg {', 'a =', 'a = [1, ', 'a = }', '}', 'a b', '{', 'a = "open', '= 1'])
    t.throws(() => parseConfig(text), { code: 'GRANARY_CORRUPT' }, text)
  t.throws(() => parseConfig('a {'.repeat(100)), { code: 'GRANARY_CORRUPT' })
})

t.test('any text ends in a section or an error of ours', async t => {
  const pieces = fc.array(fc.constantFrom('{', '}', '=', '[', ']', ',', '"', '\\', '#', '\n', ' ', 'name', '12', 'é'), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(pieces, parts => {
      try {
        return parseConfig(parts.join('')) !== undefined
      } catch (error) {
        return isGranaryError(error)
      }
    }),
    { seed: 7, numRuns: 2000 },
  )
  t.pass('2000 texts')
})
