import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Engine, Journal } from '@granary/ovirt-adapter'
import { createRealClock } from '@granary/ovirt-simulator'
import { createRepository, granary } from './in-process.ts'
import { startEngine } from './simulated-engine.ts'

t.setTimeout(600_000)

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
  await simulator.faults.hideHost(simulator.site.hostIds[0] ?? '')
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
  t.match(found('host host1'), { status: 'failed', text: /no answer/, hint: /firewall/ })
  t.match(found('host host2'), { status: 'ok', text: /^imageio answers at 127\.\d+\.\d+\.2:54322$/ })
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

t.test('ovirt clean: an overlay that is not proven committed stays, and the exit code says so', async t => {
  const { simulator, config, folder } = await startEngine(t)
  const scratch = join(folder, 'scratch')
  const ours = join(scratch, 'granary-0123456789ab')
  await mkdir(ours, { recursive: true })
  const overlay = join(ours, 'vda.qcow2')
  await writeFile(overlay, 'the only copy of what the guest wrote last')
  {
    // A run that died: what it began was never ended. Nor is there a libvirt to ask.
    await using engine = new Engine({ url: simulator.url, apiCa: simulator.ca, ...simulator.credentials })
    await using journal = await Journal.open({ folder: join(folder, 'journal') })
    const domain = '6f2f1d1e-1111-4222-8333-444455556666'
    const uri = `qemu:///system?socket=${join(folder, 'none')}`
    const disks = [{ target: 'vda', base: join(folder, 'base'), format: 'qcow2', overlay }]
    const intent = { kind: 'host-overlay', domain, uri, folder: ours, scratchInode: 0, token: 't', disks }
    await journal.begin('host-overlay', engine.base, { vm: domain, vmName: 'web', uri, intent: JSON.stringify(intent) })
  }
  for (const more of [[], ['--yes'], ['--yes']]) {
    const { code, text } = await granary(['ovirt', 'clean', '--config', config, '--json', ...more])
    t.equal(code, 3, `clean ${more.join(' ')}`)
    t.match(objects(text), [{ type: 'recovered', kind: 'host-overlay', outcome: 'failed' }])
  }
  t.equal(await readFile(overlay, 'utf8'), 'the only copy of what the guest wrote last')
})

/** The command waits by the clock of this machine; an engine whose clock is faster keeps it waiting less. */
const SPEED = 20

t.test(
  'ovirt backup and backups: a machine in full, then what changed; a failure has its own code',
  { timeout: 120_000 },
  async t => {
    const { simulator, config } = await startEngine(t, {
      clock: createRealClock({ speed: SPEED }),
      lines: ['imagetransfer_inactivity_timeout 500'],
    })
    const { clusterId, storageDomains } = simulator.site
    const vm = await simulator.inventory.addVm({
      name: 'web',
      clusterId,
      disks: [{ alias: 'root', sizeBytes: 4 * 1024 ** 2, storageDomainId: storageDomains[0]?.id ?? '' }],
      config: { initialization: { root_password: 'guest-secret' } },
    })
    const [disk = ''] = vm.attachments.keys()
    await simulator.image(disk).write(0, new Uint8Array(1024 ** 2).fill(7))
    const { env: opens } = await createRepository(t)
    const env = { ...opens, GRANARY_OVIRT_CONFIG: config }

    const first = await granary(['ovirt', 'backup', 'web', '--label', 'tier=gold'], { env })
    t.equal(first.code, 0, first.stderr)
    t.match(
      first.text,
      /^snapshot [0-9a-f]{8} of web \(full, hybrid, frozen: unknown\): 1 disk, 4.00 MiB, 1.00 MiB read/,
    )
    await simulator.guest(vm.id, disk).write(500_000, new Uint8Array(1000).fill(9))
    const second = await granary(['ovirt', 'backup', '--all', '--json'], { env })
    t.equal(second.code, 0, second.stderr)
    t.match(objects(second.text), [
      { type: 'snapshot', kind: 'incremental', vm: { id: vm.id, name: 'web' }, method: 'hybrid', notCopied: [] },
    ])
    t.match(
      objects(second.stderr).filter(({ type }) => type === 'step'),
      ['configuration', 'starting', 'reading', 'ending'].map(step => ({ vm: { name: 'web' }, step })),
    )

    const list = await granary(['ovirt', 'backups'], { env })
    t.match(list.text, /ID +REFERENCE +RESOURCE +TYPE +BACKUP +CREATED \(UTC\) +CRYPTO +SIGNED +STATUS\n/)
    t.match(
      list.text,
      /[0-9a-f]{8} +web +oVirt VM +full .+yes +ok\n[0-9a-f]{8} +[0-9a-f]{8} +web +oVirt VM +incremental /,
    )
    const shown = await granary(['show', 'latest', '--json'], { env })
    t.notMatch(shown.text + list.text + first.text + second.text + second.stderr, /guest-secret/)

    simulator.moments.once('transfer-ready', () => void (vm.status = 'paused'))
    const marked = await granary(['ovirt', 'backup', 'web'], { env })
    t.equal(marked.code, 3)
    t.match(marked.text, /\(incremental, hybrid, frozen: unknown, inconsistent\)/)
    t.match(marked.stderr, /web was paused during its backup: the copy is marked inconsistent/)
    t.match((await granary(['ovirt', 'backups'], { env })).text, /incremental .+ inconsistent\n3 backups/)

    vm.status = 'suspended'
    const failed = await granary(['ovirt', 'backup', 'web'], { env })
    t.equal(failed.code, 15)
    t.match(failed.stderr, /web is suspended: only machines that are up or down/)
    const nobody = await granary(['ovirt', 'backup', 'nobody'], { env })
    t.equal(nobody.code, 10)
    t.strictSame(
      Object.entries(simulator.state()).filter(([, ids]) => ids.length > 0),
      [],
    )
  },
)

t.test(
  'ovirt check --deep makes, writes, reads and removes a disk in each storage domain',
  { timeout: 120_000 },
  async t => {
    const { simulator, config } = await startEngine(t, {
      clock: createRealClock({ speed: SPEED }),
      lines: ['imagetransfer_inactivity_timeout 500'],
    })
    const { text } = await granary(['ovirt', 'check', '--deep', '--json', '--config', config])
    const disks = objects(text).filter(({ name }) => String(name).startsWith('disk in'))
    t.match(disks, [
      { name: 'disk in nfs-data', status: 'ok' },
      { name: 'disk in iscsi-data', status: 'ok' },
    ])
    t.strictSame(simulator.state().floatingDisks, [])
  },
)

t.test('an engine that was not tested is refused, unless it is allowed', async t => {
  const { simulator, config, folder } = await startEngine(t)
  Object.assign(simulator.profile, { engine: [4, 6, 0, 0] })
  t.teardown(() => Object.assign(simulator.profile, { engine: [4, 5, 5, 0] }))
  const { env } = await createRepository(t)
  const refused = await granary(['ovirt', 'backup', '--all', '--config', config], { env })
  t.equal(refused.code, 15)
  t.match(refused.stderr, /version: 4\.6 .*tested are 4\.4 and 4\.5[^]*allow_work_with_incompatible_versions/)
  await writeFile(config, `${await readFile(config, 'utf8')}allow_work_with_incompatible_versions yes\n`)
  const allowed = await granary(['ovirt', 'backup', '--all', '--config', config], { env })
  t.match(allowed.stderr, /no machine was chosen/, folder)
})
