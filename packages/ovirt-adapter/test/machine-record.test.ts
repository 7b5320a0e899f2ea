import t from 'tap'
import { readMachineRecord } from '../src/index.ts'
import { sampleRecord } from './restore/sample-record.ts'

t.test('a record is read as it was written', async t => {
  const record = sampleRecord()
  t.same(readMachineRecord(JSON.parse(JSON.stringify(record))), record)
})

t.test('what is no record is refused by name', async t => {
  t.throws(() => readMachineRecord(undefined), { code: 'GRANARY_NOT_FOUND' })
  t.throws(() => readMachineRecord({ platform: 'other' }), { code: 'GRANARY_NOT_FOUND' })
  t.throws(() => readMachineRecord({ ...sampleRecord(), version: 2 }), { code: 'GRANARY_UNSUPPORTED' })
  t.throws(() => readMachineRecord({ ...sampleRecord(), nics: undefined }), {
    code: 'GRANARY_CORRUPT',
    detail: { missing: 'nics' },
  })
})
