import { test } from 'tap'
import { PROFILES } from '@granary/ovirt-simulator'
import {
  CLEAN,
  HYBRID,
  KIB64,
  MIB,
  backUpDisk,
  downloadBackup,
  endBackup,
  idsOf,
  image,
  phase,
  readyBackup,
  setUpMachine,
  startBackup,
  wholeBackup,
} from './flows.ts'

const ENGINES = [
  { name: 'live', level: '4.6', status: 'up' },
  { name: 'cold', level: '4.6', status: 'down' },
  { name: 'hybrid', level: '4.7', status: 'up' },
  { name: 'hybrid', level: '4.7', status: 'down' },
  { name: 'legacy live', level: '4.7', status: 'up', query: '?legacy=true' },
]

for (const { name, level, status, query = '' } of ENGINES) {
  test(`§4.3 ${name}, VM ${status}: full, incremental, and the oracle agrees`, async t => {
    const { client, machine } = await setUpMachine(t, { clusterLevel: level }, { disks: 2, status })
    const { simulator } = client
    const [diskId = ''] = machine.diskIds
    const full = await readyBackup(client, machine, {}, query)
    t.equal(full.phase, 'ready')
    const first = simulator.frozen(full.id, diskId)
    const read = await backUpDisk(client, full.id, diskId)
    t.same(await simulator.differences(first, read.bytes), [])
    t.notOk('dirty' in read, 'a full backup tells nothing of changes')
    t.equal((await endBackup(client, machine, full.id)).phase, 'succeeded')
    t.match(simulator.state(), CLEAN)

    await simulator.image(diskId).write(2 * MIB, new Uint8Array(100).fill(9))
    const next = await readyBackup(client, machine, { from_checkpoint_id: full.to_checkpoint_id }, query)
    const second = simulator.frozen(next.id, diskId)
    const changed = await backUpDisk(client, next.id, diskId)
    t.same(await simulator.differences(second, changed.bytes), [])
    t.same(changed.dirty, [{ start: 2 * MIB, length: KIB64, dirty: true, zero: false }])
    await endBackup(client, machine, next.id)
    t.match(simulator.state(), CLEAN)
    const chain = (await client.get(`vms/${machine.vm.id}/checkpoints`)).json.checkpoint
    t.same(
      chain.map((one: any) => [one.id, one.parent_id]),
      [
        [full.to_checkpoint_id, undefined],
        [next.to_checkpoint_id, full.to_checkpoint_id],
      ],
    )
  })
}

for (const { level, hasSnapshot } of [
  { level: '4.6', hasSnapshot: false },
  { level: '4.7', hasSnapshot: true },
])
  test(`§4.3 level ${level}: the guest writes at every moment, the backup is of one`, async t => {
    const { client, machine } = await setUpMachine(t, { clusterLevel: level })
    const { simulator } = client
    const [diskId = ''] = machine.diskIds
    const guest = simulator.guest(machine.vm.id, diskId)
    let value = 10
    const names = [
      'backup-posted',
      'backup-frozen',
      'backup-ready',
      'backup-read',
      'transfer-finalizing',
      'backup-finalizing',
      'backup-ended',
    ] as const
    const reached = new Set<string>()
    for (const name of names)
      simulator.moments.on(name, async () => {
        reached.add(name)
        await guest.write((value % 32) * KIB64, new Uint8Array(KIB64).fill(value))
        value++
      })
    const backup = await readyBackup(client, machine)
    t.equal('snapshot' in backup, hasSnapshot)
    const record = simulator.frozen(backup.id, diskId)
    const { bytes } = await backUpDisk(client, backup.id, diskId)
    t.same(await simulator.differences(record, bytes), [])
    await endBackup(client, machine, backup.id)
    t.same([...reached].toSorted(), [...names].toSorted())
    t.match(simulator.state(), CLEAN)
  })

test('§4.1 the backup object: no disks inlined, to_checkpoint_id only when it is ready, own ids', async t => {
  const { client, machine } = await setUpMachine(t)
  const id = '123e4567-e89b-42d3-a456-426614174000'
  const posted = await startBackup(client, machine, { id, description: 'granary 1' })
  t.equal(posted.id, id)
  t.equal(posted.phase, 'initializing')
  t.equal(posted.description, 'granary 1')
  t.notOk('to_checkpoint_id' in posted)
  t.notOk('disks' in posted)
  t.ok(posted.link.some((link: any) => link.rel === 'disks'))
  const ready = await phase(client, `vms/${machine.vm.id}/backups/${id}`, 'ready')
  t.match(ready.to_checkpoint_id, /^[0-9a-f-]{36}$/)
  t.equal(ready.host.id, machine.vm.hostId)
  const disks = (await client.get(`vms/${machine.vm.id}/backups/${id}/disks`)).json.disk
  t.equal(disks[0].backup_mode, 'full')
  await endBackup(client, machine, id)
  const again = await client.post(`vms/${machine.vm.id}/backups`, { id, disks: idsOf(machine.diskIds) })
  t.equal(again.status, 400, 'the id exists already')
})

test('§4.1 disks are mandatory, descriptions have a limit', async t => {
  const { client, machine } = await setUpMachine(t)
  const path = `vms/${machine.vm.id}/backups`
  t.equal((await client.post(path, {})).status, 400)
  t.equal((await client.post(path, { disks: idsOf(machine.diskIds), description: 'x'.repeat(1025) })).status, 400)
  t.equal((await client.post(path, { disks: idsOf(machine.diskIds), description: 'x'.repeat(1024) })).status, 201)
})

test('§4.1 before 4.5.0 an own id is not taken', async t => {
  const { client, machine } = await setUpMachine(t, { profile: 'ovirt-4.4' })
  const id = '123e4567-e89b-42d3-a456-426614174000'
  t.not((await startBackup(client, machine, { id })).id, id)
})

test('§4.2 phases in their order; succeeded is kept 15 minutes, then 404', async t => {
  const { client, machine } = await setUpMachine(t)
  const { clock } = client.simulator
  const backup = await startBackup(client, machine)
  const path = `vms/${machine.vm.id}/backups/${backup.id}`
  const phases: string[] = []
  const look = async (): Promise<string> => {
    const { json } = await client.get(path)
    if (phases.at(-1) !== json.phase) phases.push(json.phase)
    return json.phase
  }
  while ((await look()) !== 'ready') await clock.sleep(1_000)
  t.ok(clock.now() - backup.creation_date >= 10_000, 'it takes a tick or two')
  await client.post(`${path}/finalize`, {})
  while ((await look()) !== 'succeeded') await clock.sleep(1_000)
  t.same(phases, ['initializing', 'starting', 'ready', 'finalizing', 'succeeded'])
  await clock.sleep(14 * 60_000)
  t.equal((await client.get(path)).status, 200)
  await clock.sleep(12 * 60_000)
  const gone = await client.get(path)
  t.equal(gone.status, 404)
  t.equal(gone.text, '')
})

test('§4.2 before 4.4.7 a backup vanishes with its end', async t => {
  const { client, machine } = await setUpMachine(t, { profile: 'ovirt-4.4.6' })
  const backup = await readyBackup(client, machine)
  await client.post(`vms/${machine.vm.id}/backups/${backup.id}/finalize`, {})
  await client.until(`vms/${machine.vm.id}/backups/${backup.id}`, ({ status }) => status === 404)
  t.match(client.simulator.state(), CLEAN)
})

test('§4.2 while a backup exists its disks are locked and its VM stays as it is', async t => {
  const { client, machine } = await setUpMachine(t)
  const vm = `vms/${machine.vm.id}`
  const backup = await readyBackup(client, machine)
  t.equal((await client.get(`disks/${machine.diskIds[0]}`)).json.status, 'locked')
  for (const action of ['stop', 'shutdown', 'reboot', 'migrate', 'suspend']) {
    const { status, json } = await client.post(`${vm}/${action}`, {})
    t.equal(status, 409, action)
    t.match(json.fault.detail, /during a backup operation/)
  }
  t.equal((await client.post(`${vm}/snapshots`, { description: 'x' })).status, 409)
  t.equal((await client.send('DELETE', vm)).status, 409)
  const second = await client.post(`${vm}/backups`, { disks: idsOf(machine.diskIds) })
  t.equal(second.status, 409)
  t.equal(second.json.detail, '[Cannot backup VM. The VM is during a backup operation.]')
  t.equal((await client.post(`${vm}/reboot`, { force: true })).status, 202)
  await endBackup(client, machine, backup.id)
  t.equal((await client.get(`disks/${machine.diskIds[0]}`)).json.status, 'ok')
})

test('§4.2 a VM that stops during a live backup takes it along: reads fail, finalize ends in failed', async t => {
  const { client, machine } = await setUpMachine(t)
  const { simulator } = client
  const backup = await readyBackup(client, machine)
  const transfer = await downloadBackup(client, backup.id, machine.diskIds[0])
  simulator.crashVm(machine.vm.id)
  t.equal((await image(client, 'GET', transfer.transfer_url)).status, 500)
  await client.post(`imagetransfers/${transfer.id}/cancel`, {})
  await phase(client, `imagetransfers/${transfer.id}`, 'finished_failure')
  t.equal((await endBackup(client, machine, backup.id)).phase, 'failed')
  const events = (await client.get(`events?search=${backup.id}`)).json.event
  t.ok(events.some((event: any) => event.code === '10795'))
  t.match(simulator.state(), CLEAN)
  t.same((await client.get(`vms/${machine.vm.id}/checkpoints`)).json, {}, 'its checkpoint is gone as well')
})

test('§4.3 hybrid: the VM may be started, stopped and migrated; the phase stays ready until the next tick', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  const vm = `vms/${machine.vm.id}`
  const backup = await readyBackup(client, machine)
  t.equal((await client.get(`disks/${machine.diskIds[0]}`)).json.status, 'ok')
  const snapshot = (await client.get(`${vm}/snapshots/${backup.snapshot.id}`)).json
  t.equal(snapshot.description, 'Auto-generated for Backup VM')
  t.equal((await client.post(`${vm}/migrate`, {})).status, 202)
  await client.until(vm, ({ json }) => json.status === 'up')
  t.equal((await client.post(`${vm}/stop`, {})).status, 202)
  t.equal((await client.send('DELETE', vm)).status, 409)
  await client.post(`${vm}/backups/${backup.id}/finalize`, {})
  t.equal((await client.get(`${vm}/backups/${backup.id}`)).json.phase, 'ready')
  t.equal((await client.post(`${vm}/backups/${backup.id}/finalize`, {})).status, 400, 'once is enough')
  await phase(client, `${vm}/backups/${backup.id}`, 'succeeded')
  t.match(client.simulator.state(), CLEAN)
})

test('§4.3 hybrid: a failed merge is still a success, with event 10813 and the snapshot left', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  client.simulator.faults.failMerges(machine.vm.id)
  const backup = await readyBackup(client, machine)
  t.equal((await endBackup(client, machine, backup.id)).phase, 'succeeded')
  const events = (await client.get(`events?search=${backup.id}`)).json.event
  t.ok(events.some((event: any) => event.code === '10813'))
  t.same(client.simulator.state().backupSnapshots, [backup.snapshot.id])
})

test('§4.3 hybrid ignores require_consistency, legacy honours it; legacy without a value is false', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  machine.vm.hasAgent = false
  const hybrid = await readyBackup(client, machine, {}, '?require_consistency=true')
  t.equal(hybrid.phase, 'ready')
  await endBackup(client, machine, hybrid.id)
  const noValue = await readyBackup(client, machine, {}, '?require_consistency&legacy')
  t.ok('snapshot' in noValue)
  await endBackup(client, machine, noValue.id)
  const legacy = await readyBackup(client, machine, {}, '?require_consistency&legacy=true')
  t.equal(legacy.phase, 'failed')
  machine.vm.hasAgent = true
  t.equal((await readyBackup(client, machine, {}, '?require_consistency=true&legacy=true')).phase, 'ready')
})

test('§4.3 live: scratch disks are there, illegal on purpose, and go at the end', async t => {
  const { client, machine } = await setUpMachine(t, {}, { disks: 2 })
  const backup = await readyBackup(client, machine)
  const disks = (await client.get('disks')).json.disk.filter((disk: any) => disk.content_type === 'backup_scratch')
  t.equal(disks.length, 2)
  for (const disk of disks) t.match(disk, { status: 'illegal', format: 'cow', sparse: 'true' })
  await endBackup(client, machine, backup.id)
  t.same(client.simulator.state().scratchDisks, [])
})

test('§4.3 live on block storage: scratch disks begin with 4 GiB; without room the backup fails', async t => {
  const { client, machine } = await setUpMachine(t, {}, { domain: 1 })
  const domain = client.simulator.site.storageDomains[1]
  const before = domain?.space.availableBytes ?? 0
  const backup = await readyBackup(client, machine)
  t.equal(before - (domain?.space.availableBytes ?? 0), 4 * 1024 * MIB)
  await endBackup(client, machine, backup.id)
  t.equal(domain?.space.availableBytes, before)
  if (domain !== undefined) domain.space.capacityBytes = domain.space.usedBytes + 1024 * MIB
  t.equal((await readyBackup(client, machine)).phase, 'failed')
  t.match(client.simulator.state(), CLEAN)
})

test('§4.3 live on block storage: for large disks it is 20 % of what they use', async t => {
  const { client, machine, simulator } = await setUpMachine(t)
  const { inventory, site } = simulator
  const storageDomainId = site.storageDomains[1]?.id ?? ''
  const large = await inventory.addDisk({ sizeBytes: 30 * 1024 * MIB, storageDomainId, format: 'raw', sparse: false })
  inventory.attach(machine.vm, large)
  const before = site.storageDomains[1]?.space.availableBytes ?? 0
  await readyBackup(client, { vm: machine.vm, diskIds: [large.id] })
  t.equal(before - (site.storageDomains[1]?.space.availableBytes ?? 0), 6 * 1024 * MIB)
})

test('§4.3 live: a guest that overwrites more than there is room for is paused', async t => {
  const { client, machine } = await setUpMachine(t)
  const [diskId = ''] = machine.diskIds
  const domain = client.simulator.site.storageDomains[0]
  await readyBackup(client, machine)
  if (domain !== undefined) domain.space.capacityBytes = domain.space.usedBytes
  await t.rejects(client.simulator.guest(machine.vm.id, diskId).write(0, new Uint8Array(MIB)), {
    code: 'GRANARY_NO_SPACE',
  })
  t.equal((await client.get(`vms/${machine.vm.id}`)).json.status, 'paused')
})

test('§4.3 levels 4.2 to 4.4: full live backups only', async t => {
  for (const clusterLevel of ['4.2', '4.4']) {
    const { client, machine } = await setUpMachine(t, { profile: 'ovirt-4.4', clusterLevel })
    const backup = await readyBackup(client, machine)
    t.notOk('to_checkpoint_id' in backup)
    await endBackup(client, machine, backup.id)
    t.same((await client.get(`vms/${machine.vm.id}/checkpoints`)).json, {})
    const from_checkpoint_id = '123e4567-e89b-42d3-a456-426614174000'
    t.equal(
      (await client.post(`vms/${machine.vm.id}/backups`, { disks: idsOf(machine.diskIds), from_checkpoint_id })).status,
      400,
    )
  }
})

test('§4.3 disks that a checkpoint does not cover are backed up in full, without a word', async t => {
  const { client, machine } = await setUpMachine(t)
  const { inventory, site } = client.simulator
  const full = await wholeBackup(client, machine)
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const added = await inventory.addDisk({ sizeBytes: MIB, storageDomainId })
  const raw = await inventory.addDisk({ sizeBytes: MIB, storageDomainId, format: 'raw' })
  for (const disk of [added, raw]) inventory.attach(machine.vm, disk)
  const diskIds = [...machine.diskIds, added.id, raw.id]
  const next = await readyBackup(client, { vm: machine.vm, diskIds }, { from_checkpoint_id: full.to_checkpoint_id })
  const disks = (await client.get(`vms/${machine.vm.id}/backups/${next.id}/disks`)).json.disk
  t.same(
    disks.map((disk: any) => disk.backup_mode),
    ['incremental', 'full', 'full'],
  )
  const covered = (await client.get(`vms/${machine.vm.id}/checkpoints/${next.to_checkpoint_id}/disks`)).json.disk
  t.same(
    covered.map((disk: any) => disk.id),
    diskIds.slice(0, 2),
    'raw disks are in no checkpoint',
  )
})

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const OFFERED = [...PROFILES].flatMap(([profile, { clusterLevels }]) =>
  clusterLevels.map((clusterLevel, n) => ({
    profile,
    clusterLevel,
    isEdge: n === 0 || n === clusterLevels.length - 1,
  })),
)
const TRIED = OFFERED.filter(({ profile, isEdge }) => isLong || isEdge || profile === 'ovirt-4.5')

test('§1.4 §4 profiles and their levels: full, and checkpoints from 4.5, snapshots from 4.7 on', async t => {
  t.comment(`${TRIED.length} of ${OFFERED.length} levels of profiles`)
  for (const { profile, clusterLevel } of TRIED) {
    const { client, machine } = await setUpMachine(t, { profile, clusterLevel })
    const full = await readyBackup(client, machine)
    const { bytes } = await backUpDisk(client, full.id, machine.diskIds[0] ?? '')
    t.equal(bytes[0], 1, `${profile} ${clusterLevel}`)
    t.equal('to_checkpoint_id' in full, clusterLevel >= '4.5', `${profile} ${clusterLevel}`)
    t.equal('snapshot' in full, clusterLevel >= '4.7', `${profile} ${clusterLevel}`)
    client.close()
  }
})

test('§4.3 use_active, which the documentation names, changes nothing', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  t.ok('snapshot' in (await wholeBackup(client, machine, {}, '?use_active=true')))
  t.notOk('snapshot' in (await wholeBackup(client, machine, {}, '?use_active=true&legacy=true')))
})

test('§4.3 cold: there is nothing to freeze, consistency may be asked for', async t => {
  const { client, machine } = await setUpMachine(t, {}, { status: 'down' })
  const backup = await readyBackup(client, machine, {}, '?require_consistency=true')
  t.equal(backup.phase, 'ready')
  t.notOk('host' in backup)
  t.same(client.simulator.state().scratchDisks, [])
})
