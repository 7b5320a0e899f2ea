import t from 'tap'
import { limitRate } from '../../src/backup/bandwidth.ts'
import { splitMachineSecrets } from '../../src/backup/machine-secrets.ts'
import { describeOwner, isOwn } from '../../src/backup/ownership.ts'
import { readPermissions } from '../../src/backup/permissions.ts'
import { instantClock } from '../engine/scripted-engine.ts'

t.test('bandwidth: after a while the rate is what was said, and the first request does not wait', async t => {
  const clock = instantClock()
  const start = clock.now()
  const limit = limitRate(1000, clock)
  for (let i = 0; i < 11; i++) await limit(500, {})
  t.equal(clock.now() - start, 5000)
  await clock.sleep(60_000)
  const later = clock.now()
  await limit(500, {})
  t.equal(clock.now(), later, 'a pause is not held against it')
})

t.test('secrets are taken out of initialization and OVF, and nothing else is', async t => {
  const ovf = '<a><Content><VmInit hostname="web" rootPassword="hunter2"/></Content></a>'
  const {
    vm,
    ovf: shown,
    secrets,
  } = splitMachineSecrets({
    name: 'web',
    payloads: { payload: [{ content: 'hunter3' }] },
    initialization: {
      host_name: 'web',
      root_password: 'hunter4',
      custom_script: 'hunter5',
      authorized_ssh_keys: 'hunter6',
      windows_license_key: 'hunter7',
      cloud_init: { users: 'hunter8' },
      configuration: { type: 'ovf', data: ovf },
    },
  })
  t.strictSame(vm, { name: 'web', initialization: { host_name: 'web' } })
  t.notMatch(JSON.stringify([vm, shown]), /hunter/)
  t.equal(JSON.stringify(secrets).match(/hunter/g)?.length, 7)
  t.strictSame(splitMachineSecrets({ name: 'bare' }), { vm: { name: 'bare' } })
})

t.test('what is ours carries installation and repository', async t => {
  const mine = { installation: '0123456789abcdef', run: 'fedcba9876543210' }
  const text = describeOwner(mine, 'aaaaaaaabbbbbbbb', 'note')
  t.ok(isOwn(mine, 'aaaaaaaabbbbbbbb', text))
  t.notOk(isOwn(mine, 'ccccccccbbbbbbbb', text), 'another repository')
  t.notOk(isOwn({ installation: '0123456789abcdee' }, 'aaaaaaaabbbbbbbb', text), 'another installation')
  t.notOk(isOwn(mine, 'aaaaaaaabbbbbbbb', `not ${text}`))
})

t.test('permissions by name', async t => {
  t.strictSame(
    readPermissions([
      { role: { name: 'UserRole' }, user: { principal: 'ann', domain: { name: 'internal-authz' } } },
      { role: { name: 'PowerUserRole' }, group: { name: 'ops' } },
      { role: { id: 'no name' }, user: { user_name: 'x' } },
    ]),
    [
      { role: 'UserRole', holder: 'ann@internal-authz', isGroup: false },
      { role: 'PowerUserRole', holder: 'ops', isGroup: true },
    ],
  )
})
