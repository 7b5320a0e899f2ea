import t from 'tap'
import fc from 'fast-check'
import { booleanOf, integerOf, itemsOf, nestedItemsOf, parseJson, textOf, timeOf } from '../../src/engine/json.ts'
import { decodeDisk } from '../../src/engine/resources/disks.ts'
import { decodeVm } from '../../src/engine/resources/vms.ts'
import { decodeBackup } from '../../src/engine/resources/backups.ts'
import { decodeTransfer } from '../../src/engine/resources/transfers.ts'

t.test('booleans and integers are strings or themselves; anything else is refused (§0.1)', async t => {
  t.equal(booleanOf({ active: 'true' }, 'active'), true)
  t.equal(booleanOf({ active: false }, 'active'), false)
  t.equal(booleanOf({}, 'active'), undefined)
  t.throws(() => booleanOf({ active: 'yes' }, 'active'), { code: 'GRANARY_PROTOCOL' })
  t.equal(integerOf({ size: '9007199254740991' }, 'size'), Number.MAX_SAFE_INTEGER)
  for (const size of ['9007199254740992', '1.5', '', 'x', {}, 1e300])
    t.throws(() => integerOf({ size }, 'size'), { code: 'GRANARY_PROTOCOL' })
})

t.test('dates are milliseconds, or ISO 8601 (§0.1)', async t => {
  t.equal(timeOf({ date: 1795370095330 }, 'date'), 1795370095330)
  t.equal(timeOf({ date: '2026-11-22T21:34:55.330Z' }, 'date'), Date.UTC(2026, 10, 22, 21, 34, 55, 330))
})

t.test('an empty collection is missing, {} or [] (§0.1)', async t => {
  for (const list of [undefined, {}, { disk: [] }]) t.strictSame(itemsOf(list, 'disk'), [])
  t.strictSame(
    nestedItemsOf({ storage_domains: { storage_domain: [{ id: 'a' }] } }, 'storage_domains', 'storage_domain'),
    [{ id: 'a' }],
  )
  t.throws(() => itemsOf({ disk: { id: 'alone' } }, 'disk'), { code: 'GRANARY_PROTOCOL' })
})

t.test('a transfer names its disk as `image` (§5.1)', async t => {
  t.match(decodeTransfer({ id: 't', image: { id: 'd' }, active: 'false', transferred: '12' }), {
    diskId: 'd',
    isActive: false,
    transferredBytes: 12,
  })
})

t.test('whatever an engine sends is decoded or refused, and nothing else is thrown', async t => {
  const value = fc.anything({ maxDepth: 2, withNullPrototype: false })
  const names = [
    'id',
    'name',
    'status',
    'phase',
    'host',
    'format',
    'provisioned_size',
    'storage_domains',
    'link',
    'image',
  ]
  const object = fc.dictionary(fc.constantFrom(...names), value)
  fc.assert(
    fc.property(object, given => {
      for (const decode of [decodeVm, decodeDisk, decodeBackup, decodeTransfer]) {
        try {
          decode(given)
        } catch (error) {
          t.equal((error as { code?: string }).code, 'GRANARY_PROTOCOL', JSON.stringify(given))
        }
      }
    }),
    { seed: 20, numRuns: 300 },
  )
  t.throws(() => parseJson('[1]', 'it'), { code: 'GRANARY_PROTOCOL' })
  t.equal(textOf({}, 'none'), undefined)
})
