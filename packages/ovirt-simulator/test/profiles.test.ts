/** What differs between platforms, versions and levels. CONTRACT §1.4, §4 */
import { test } from 'tap'
import { PROFILES } from '@granary/ovirt-simulator'
import { setUp } from './client.ts'
import { downloadBackup, endBackup, phase, readImage, readyBackup, setUpMachine, wholeBackup } from './flows.ts'

/** The platforms that the reference product names, with the storage it names for each, and ours. */
const PLATFORMS = [
  { name: 'oVirt Engine', profiles: ['ovirt-4.4.6', 'ovirt-4.4', 'ovirt-4.5'], storage: ['nfs', 'iscsi'] },
  { name: 'zVirt', profiles: ['zvirt-4.0', 'zvirt-4.1', 'zvirt-4.2', 'zvirt-4.3'], storage: ['nfs', 'iscsi'] },
  { name: 'ROSA Virtualization', profiles: ['rosa-3.0', 'rosa-3.1'], storage: ['nfs', 'iscsi', 'fcp'] },
  { name: 'RED Virtualization', profiles: ['redvirt-7.3'], storage: ['nfs', 'iscsi'] },
  { name: 'HOSTVM', profiles: ['hostvm-4.5'], storage: ['nfs'] },
  {
    name: 'Oracle Linux Virtualization Manager',
    profiles: ['olvm-4.4', 'olvm-4.5'],
    storage: ['nfs', 'iscsi', 'fcp'],
  },
]

test('§1.4 each platform says its name, the version of the engine inside, and has its storage', async t => {
  t.same([...PROFILES.keys()].toSorted(), PLATFORMS.flatMap(({ profiles }) => profiles).toSorted())
  for (const { name, profiles, storage } of PLATFORMS)
    for (const profile of profiles) {
      const client = await setUp(t, { profile })
      const { product_info: info } = (await client.get('')).json
      t.equal(info.name, name)
      t.ok(info.version.full_version.startsWith(`4.${info.version.minor}.`), info.version.full_version)
      const domains = (await client.get('storagedomains')).json.storage_domain
      t.same(
        domains.map((domain: any) => domain.storage.type),
        storage,
        profile,
      )
      const levels = PROFILES.get(profile)?.clusterLevels ?? []
      t.same([levels[0], levels.at(-1)], ['4.2', info.version.minor === '4' ? '4.6' : '4.7'], profile)
    }
})

test('§4.1 modification_date of a backup since 4.4.8', async t => {
  for (const [profile, isThere] of [
    ['ovirt-4.4.6', false],
    ['zvirt-4.0', true],
  ] as const) {
    const { client, machine } = await setUpMachine(t, { profile })
    t.equal('modification_date' in (await readyBackup(client, machine)), isThere, profile)
  }
})

test('§4.1 backup_mode is told by clusters of level 4.5 and up', async t => {
  for (const [clusterLevel, mode] of [
    ['4.4', undefined],
    ['4.5', 'full'],
  ] as const) {
    const { client, machine, path } = await setUpMachine(t, { clusterLevel })
    const { id } = await readyBackup(client, machine)
    t.equal((await client.get(`${path}/backups/${id}/disks`)).json.disk[0].backup_mode, mode, clusterLevel)
  }
})

test('§4.2 a backup that failed is kept 30 minutes, then 404; before 4.4.7 it is gone at once', async t => {
  for (const [profile, minutes] of [
    ['ovirt-4.4', 30],
    ['ovirt-4.4.6', 0],
  ] as const) {
    const { client, machine, path, simulator } = await setUpMachine(t, { profile })
    machine.vm.hasAgent = false
    const failed = await readyBackup(client, machine, {}, '?require_consistency=true')
    t.equal(failed.phase, minutes === 0 ? 'gone' : 'failed')
    if (minutes === 0) continue
    await simulator.clock.sleep((minutes - 1) * 60_000)
    t.equal((await client.get(`${path}/backups/${failed.id}`)).status, 200)
    await simulator.clock.sleep(12 * 60_000)
    t.equal((await client.get(`${path}/backups/${failed.id}`)).status, 404, 'the cleanup runs every ten minutes')
  }
})

test('§4.4 any checkpoint can be deleted since 4.4.7, also of a VM that is down', async t => {
  const { client, machine, path } = await setUpMachine(t, { profile: 'ovirt-4.4' })
  await wholeBackup(client, machine)
  const newest = await wholeBackup(client, machine)
  await client.post(`${path}/stop`, {})
  const checkpoint = `${path}/checkpoints/${newest.to_checkpoint_id}`
  t.equal((await client.get(checkpoint)).json.state, 'created')
  t.equal((await client.send('DELETE', checkpoint)).status, 200)
  await client.until(checkpoint, ({ status }) => status === 404)
})

test('§4.6 before 4.5.1 a backup is finalized under the hands of its transfers', async t => {
  const { client, machine } = await setUpMachine(t, { profile: 'ovirt-4.4' })
  const backup = await readyBackup(client, machine)
  const transfer = await downloadBackup(client, backup.id, machine.diskIds[0])
  t.equal((await endBackup(client, machine, backup.id)).phase, 'succeeded')
  await t.rejects(readImage(client, transfer.transfer_url, 0, 16), /500/)
  await client.post(`imagetransfers/${transfer.id}/cancel`, {})
  t.equal((await phase(client, `imagetransfers/${transfer.id}`, 'finished_failure')).phase, 'finished_failure')
})
