import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createSimulator } from '@granary/ovirt-simulator'
import type { Simulator } from '@granary/ovirt-simulator'
import { granary } from './in-process.ts'

/** An engine, and a configuration that leads to it. */
const startEngine = async (
  test: Test,
  { profile = 'ovirt-4.5', lines = [] }: { profile?: string; lines?: readonly string[] } = {},
): Promise<{ simulator: Simulator; config: string; folder: string }> => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-ovirt-'))
  const simulator = await createSimulator({ dir: join(folder, 'engine'), profile })
  test.teardown(async () => {
    await simulator[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  await writeFile(join(folder, 'ca.pem'), simulator.ca)
  await writeFile(join(folder, 'password'), `${simulator.credentials.password}\n`, { mode: 0o600 })
  const config = join(folder, 'rb_module_ovirt.conf')
  const text = [
    `engine ${simulator.url}`,
    `username ${simulator.credentials.username}`,
    `password file:${join(folder, 'password')}`,
    `ca_info ${join(folder, 'ca.pem')}`,
    'timeout 5',
    'engine_outage_timeout 0',
    'backup_using_ovirt_api yes',
    `journal_folder ${join(folder, 'journal')}`,
    ...lines,
  ].join('\n')
  await writeFile(config, `${text}\n`, { mode: 0o600 })
  return { simulator, config, folder }
}

const objects = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)

t.test('ovirt vms lists the machines with their places', async t => {
  const { simulator, config } = await startEngine(t)
  const { clusterId } = simulator.site
  await simulator.inventory.addVm({ name: 'web', clusterId })
  await simulator.inventory.addVm({ name: 'db', clusterId, status: 'down' })
  const { code, text } = await granary(['ovirt', 'vms', '--config', config])
  t.equal(code, 0)
  t.match(
    text,
    /NAME +STATUS +CLUSTER +HOST +ID\ndb +down +Default +[0-9a-f-]{36}\nweb +up +Default +host1 +[0-9a-f-]{36}\n2 machines/,
  )
  const found = await granary(['ovirt', 'vms', '--search', 'name=w*', '--json'], {
    env: { GRANARY_OVIRT_CONFIG: config },
  })
  t.match(objects(found.text), [{ type: 'vm', v: 1, name: 'web', status: 'up', cluster: 'Default', host: 'host1' }])
})

t.test('ovirt check says what is found, and what to do', async t => {
  const { simulator, config } = await startEngine(t, {
    profile: 'zvirt-4.3',
    lines: ['remove_vm_checkpoints_at_full_backup yes'],
  })
  await simulator.inventory.addVm({ name: 'web', clusterId: simulator.site.clusterId })
  simulator.site.storageDomains[1]!.status = 'maintenance'
  const { code, text, stderr } = await granary(['ovirt', 'check', '--config', config, '--json'])
  const findings = objects(text)
  const found = (name: string) => findings.find(finding => finding['name'] === name)
  t.match(found('engine'), {
    status: 'ok',
    text: 'zVirt Engine version: 4.5 (4.5.5-1.el8)',
    detail: { productInfo: { name: 'zVirt', vendor: 'Orion soft' } },
  })
  t.match(found('machines'), { status: 'ok', text: '1 seen, 1 with the backup interface' })
  t.match(found('storage nfs-data'), { status: 'ok' })
  t.match(found('storage iscsi-data'), { status: 'warning', text: 'iscsi: it is maintenance' })
  t.match(found('remove_vm_checkpoints_at_full_backup'), { status: 'warning', text: /other products/ })
  t.match(found('journal'), { status: 'ok' })
  t.match(found('host host1'), { status: 'failed', hint: /firewall/ }, 'its name is nobody here')
  t.equal(code, 24)
  t.notMatch(text + stderr, /simulated-secret/)
})

t.test('ovirt check: wrong password, wrong authority', async t => {
  const { config, folder } = await startEngine(t)
  await writeFile(join(folder, 'password'), 'wrong-secret\n')
  const wrong = await granary(['ovirt', 'check', '--config', config])
  t.equal(wrong.code, 24)
  t.match(wrong.text, /FAILED +engine: the engine refuses user admin@internal/)
  t.match(wrong.text, /check user name/)
  t.notMatch(wrong.text + wrong.stderr, /wrong-secret/)
  const other = await startEngine(t)
  await writeFile(join(folder, 'ca.pem'), other.simulator.ca)
  const distrusted = await granary(['ovirt', 'check', '--config', config])
  t.match(distrusted.text, /certificate is not trusted/)
  t.match(distrusted.text, /certificate authority/)
})

t.test('without a configuration it is asked for', async t => {
  const none = await granary(['ovirt', 'vms'])
  t.equal(none.code, 2)
  t.match(none.stderr, /GRANARY_OVIRT_CONFIG/)
})

t.test('ovirt clean with nothing to clean', async t => {
  const { config } = await startEngine(t)
  const { code, text } = await granary(['ovirt', 'clean', '--config', config])
  t.equal(code, 0)
  t.equal(text, 'nothing is left on the engine\n')
})
