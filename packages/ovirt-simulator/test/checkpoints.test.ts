import { test } from 'tap'
import type { Reply } from './client.ts'
import {
  CLEAN,
  HYBRID,
  KIB64,
  MIB,
  addMachine,
  backUpDisk,
  downloadBackup,
  downloadDisk,
  endBackup,
  idsOf,
  phase,
  readyBackup,
  setUpMachine,
  startBackup,
  startTransfer,
  wholeBackup,
} from './flows.ts'

test('§4.4 only raw disks: no checkpoint, still a success', async t => {
  const { client, machine } = await setUpMachine(t, {}, { disk: { format: 'raw' } })
  const backup = await readyBackup(client, machine)
  t.notOk('to_checkpoint_id' in backup)
  t.equal((await endBackup(client, machine, backup.id)).phase, 'succeeded')
})

test('§4.4 any checkpoint can be the base, and bitmaps add up: differential', async t => {
  const { client, machine } = await setUpMachine(t)
  const [diskId = ''] = machine.diskIds
  const { simulator } = client
  const dirtyOf = async (from: string): Promise<{ starts: number[]; to: string }> => {
    const backup = await readyBackup(client, machine, { from_checkpoint_id: from })
    const { dirty = [] } = await backUpDisk(client, backup.id, diskId)
    await endBackup(client, machine, backup.id)
    return { starts: dirty.map(extent => extent.start / KIB64), to: backup.to_checkpoint_id }
  }
  const full = await wholeBackup(client, machine)
  await simulator.image(diskId).write(40 * KIB64, new Uint8Array(1).fill(1))
  const first = await dirtyOf(full.to_checkpoint_id)
  await simulator.image(diskId).write(50 * KIB64, new Uint8Array(1).fill(1))
  t.same((await dirtyOf(first.to)).starts, [50])
  t.same((await dirtyOf(full.to_checkpoint_id)).starts, [40, 50])
  const { status } = await client.send('DELETE', `vms/${machine.vm.id}/checkpoints/${first.to}`)
  t.equal(status, 200)
  await client.until(`vms/${machine.vm.id}/checkpoints/${first.to}`, reply => reply.status === 404)
  t.same((await dirtyOf(full.to_checkpoint_id)).starts, [40, 50], 'what a deleted one knew is kept by the one before')
})

test('§4.4 before 4.4.7 only the root goes, and only of a running VM', async t => {
  const { client, machine } = await setUpMachine(t, { profile: 'ovirt-4.4.6' })
  const path = `vms/${machine.vm.id}`
  const ids: string[] = []
  for (let n = 0; n < 2; n++) {
    const backup = await readyBackup(client, machine)
    ids.push(backup.to_checkpoint_id)
    await client.post(`${path}/backups/${backup.id}/finalize`, {})
    await client.until(`${path}/backups/${backup.id}`, ({ status }) => status === 404)
  }
  t.notOk('state' in (await client.get(`${path}/checkpoints/${ids[0]}`)).json)
  t.equal((await client.send('DELETE', `${path}/checkpoints/${ids[1]}`)).status, 409)
  t.equal((await client.send('DELETE', `${path}/checkpoints/${ids[0]}`)).status, 200)
  await client.until(`${path}/checkpoints/${ids[0]}`, ({ status }) => status === 404)
  await client.post(`${path}/stop`, {})
  t.equal((await client.send('DELETE', `${path}/checkpoints/${ids[1]}`)).status, 409)
})

test('§0.3 §4.4 a checkpoint that does not exist, to delete or as a base: 400; an invalid one: 400', async t => {
  const { client, machine } = await setUpMachine(t)
  const path = `vms/${machine.vm.id}`
  const from_checkpoint_id = '123e4567-e89b-42d3-a456-426614174000'
  const body = { disks: idsOf(machine.diskIds), from_checkpoint_id }
  t.equal((await client.post(`${path}/backups`, body)).status, 400)
  t.equal((await client.send('DELETE', `${path}/checkpoints/${from_checkpoint_id}`)).status, 400)
  const backup = await wholeBackup(client, machine)
  await client.post(`${path}/stop`, {})
  const snapshot = await client.post(`${path}/snapshots`, { description: 'old' })
  await client.until(`${path}/snapshots/${snapshot.json.id}`, ({ json }) => json.snapshot_status === 'ok')
  t.equal((await client.post(`${path}/snapshots/${snapshot.json.id}/restore`, {})).status, 200)
  t.equal((await client.get(`${path}/checkpoints/${backup.to_checkpoint_id}`)).json.state, 'invalid')
  const again = await client.post(`${path}/backups`, { ...body, from_checkpoint_id: backup.to_checkpoint_id })
  t.equal(again.status, 400)
  await client.until(`${path}/checkpoints`, ({ json }) => json.checkpoint === undefined)
})

test('§4.4 a crash leaves the bitmap in use: event 10791, the backup fails, all checkpoints are wiped', async t => {
  const { client, machine } = await setUpMachine(t)
  const { simulator } = client
  const full = await wholeBackup(client, machine)
  await simulator.crashHost(machine.vm.hostId ?? '')
  simulator.recoverHost(simulator.site.hostIds[0] ?? '')
  await client.post(`vms/${machine.vm.id}/start`, {})
  await client.until(`vms/${machine.vm.id}`, ({ json }) => json.status === 'up')
  const next = await readyBackup(client, machine, { from_checkpoint_id: full.to_checkpoint_id })
  t.equal(next.phase, 'failed')
  const events = (await client.get(`events?search=${next.id}`)).json.event
  t.ok(events.some((event: any) => event.code === '10791'))
  t.same((await client.get(`vms/${machine.vm.id}/checkpoints`)).json, {})
  t.match(simulator.state(), CLEAN)
})

test('§4.4 a checkpoint of a running VM that cannot be redefined takes the whole chain with it: event 10798', async t => {
  const { client, machine, simulator, path } = await setUpMachine(t)
  const first = await wholeBackup(client, machine)
  await wholeBackup(client, machine)
  simulator.crashVm(machine.vm.id)
  simulator.faults.startVm(machine.vm.id)
  t.equal((await client.send('DELETE', `${path}/checkpoints/${first.to_checkpoint_id}`)).status, 200)
  await client.until(`${path}/checkpoints`, ({ json }) => json.checkpoint === undefined)
  t.equal((await client.get('events?max=1')).json.event[0].code, '10798')
})

test('§4.4 a detached disk leaves its checkpoints', async t => {
  const { client, machine } = await setUpMachine(t, {}, { disks: 2 })
  const [kept = '', gone = ''] = machine.diskIds
  const backup = await wholeBackup(client, machine)
  await client.send('DELETE', `vms/${machine.vm.id}/diskattachments/${gone}?detach_only=true`)
  const disks = (await client.get(`vms/${machine.vm.id}/checkpoints/${backup.to_checkpoint_id}/disks`)).json.disk
  t.same(
    disks.map((disk: any) => disk.id),
    [kept],
  )
})

test('§4.6 what is refused at POST, and how', async t => {
  const { client, machine } = await setUpMachine(t)
  const { inventory, site, clock } = client.simulator
  const post = async (diskIds: readonly string[]): Promise<number> =>
    (await client.post(`vms/${machine.vm.id}/backups`, { disks: idsOf(diskIds) })).status
  t.equal(await post(['123e4567-e89b-42d3-a456-426614174000']), 400, 'no such disk')
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const floating = await inventory.addDisk({ sizeBytes: MIB, storageDomainId })
  t.equal(await post([floating.id]), 500, 'not attached')
  inventory.attach(machine.vm, floating, { active: false })
  t.equal(await post([floating.id]), 409, 'inactive')
  machine.vm.status = 'paused'
  t.equal(await post(machine.diskIds), 409, 'neither up nor down')
  machine.vm.status = 'up'
  machine.vm.config = { ...machine.vm.config, origin: 'managed_hosted_engine' }
  t.equal(await post(machine.diskIds), 409, 'hosted engine')
  machine.vm.config = { ...machine.vm.config, origin: 'ovirt' }
  await client.post(`vms/${machine.vm.id}/snapshots`, { description: 'x', persist_memorystate: false })
  t.equal(await post(machine.diskIds), 409, 'locked')
  await clock.sleep(60_000)
  inventory.addAccount('user@internal', 'x', [])
  await client.signIn('user@internal', 'x')
  t.equal(await post(machine.diskIds), 403)
})

test('§4.6 events are found by the id of the backup', async t => {
  const { client, machine } = await setUpMachine(t)
  const backup = await wholeBackup(client, machine, {}, '?correlation_id=run-7')
  const events = (await client.get(`events?search=${backup.id}&max=20`)).json.event
  const byId = await client.get('events?search=correlation_id%3Drun-7&max=20')
  t.equal(byId.json.event.length, events.length)
  const codes = events.map((event: any) => event.code)
  for (const code of ['10790', '10799', '10805', '10794']) t.ok(codes.includes(code), code)
  t.ok(events.every((event: any) => event.correlation_id === 'run-7'))
})

test('§4.6 finalize: 409 while a transfer is open, 400 when it is over, before ready it fails', async t => {
  const { client, machine } = await setUpMachine(t)
  const path = `vms/${machine.vm.id}/backups`
  const backup = await readyBackup(client, machine)
  const transfer = await downloadBackup(client, backup.id, machine.diskIds[0])
  t.equal((await client.post(`${path}/${backup.id}/finalize`, {})).status, 409)
  await client.post(`imagetransfers/${transfer.id}/finalize`, {})
  await phase(client, `imagetransfers/${transfer.id}`, 'finished_success')
  await endBackup(client, machine, backup.id)
  t.equal((await client.post(`${path}/${backup.id}/finalize`, {})).status, 400)
  const early = await startBackup(client, machine)
  t.equal((await client.post(`${path}/${early.id}/finalize`, {})).status, 200)
  await phase(client, `${path}/${early.id}`, 'failed')
  t.match(client.simulator.state(), CLEAN)
})

test('§2.2 shared disks, LUNs and the like are dropped from a backup without a word', async t => {
  const { client, machine } = await setUpMachine(t)
  const { inventory, site } = client.simulator
  const storageDomainId = site.storageDomains[0]?.id ?? ''
  const shared = await inventory.addDisk({ sizeBytes: MIB, storageDomainId, format: 'raw', shareable: true })
  const lun = await inventory.addDisk({ sizeBytes: MIB, storageDomainId, storageType: 'lun' })
  for (const disk of [shared, lun]) inventory.attach(machine.vm, disk)
  const backup = await readyBackup(client, { vm: machine.vm, diskIds: [...machine.diskIds, shared.id, lun.id] })
  const disks = (await client.get(`vms/${machine.vm.id}/backups/${backup.id}/disks`)).json.disk
  t.same(
    disks.map((disk: any) => disk.id),
    machine.diskIds,
  )
})

test('§0.3 a VM or a backup that does not exist: 400', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  const nothing = '123e4567-e89b-42d3-a456-426614174000'
  t.equal((await client.post(`vms/${nothing}/backups`, { disks: idsOf(machine.diskIds) })).status, 400)
  t.equal((await client.post(`vms/${machine.vm.id}/backups/${nothing}/finalize`, {})).status, 400)
  const transfer = { disk: { id: machine.diskIds[0] }, backup: { id: nothing }, direction: 'download', format: 'raw' }
  t.equal((await client.post('imagetransfers', transfer)).status, 400)
})

test('§0.3 while a checkpoint is removed: 409 to backups and other removals', async t => {
  const { client, machine } = await setUpMachine(t)
  const backup = await wholeBackup(client, machine)
  const path = `vms/${machine.vm.id}/checkpoints/${backup.to_checkpoint_id}`
  t.equal((await client.send('DELETE', path)).status, 200)
  t.equal((await client.send('DELETE', path)).status, 409)
  t.equal((await client.post(`vms/${machine.vm.id}/backups`, { disks: idsOf(machine.diskIds) })).status, 409)
  await client.until(path, ({ status }) => status === 404)
})

test('§4.2 an engine that was started anew may have lost its backups: event 10814, failed', async t => {
  for (const clusterLevel of ['4.6', '4.7']) {
    const { client, machine } = await setUpMachine(t, { clusterLevel })
    const backup = await readyBackup(client, machine)
    await client.simulator.faults.loseBackups()
    t.equal((await client.get(`vms/${machine.vm.id}/backups/${backup.id}`)).json.phase, 'failed')
    const events = (await client.get(`events?search=${backup.id}`)).json.event
    t.ok(events.some((event: any) => event.code === '10814'))
    t.match(client.simulator.state(), CLEAN)
  }
})

test('§4.3 a disk that the checkpoint covers may be backed up in full all the same: backup_mode tells', async t => {
  const { client, machine } = await setUpMachine(t)
  const full = await wholeBackup(client, machine)
  client.simulator.faults.backUpInFull(machine.diskIds[0] ?? '')
  const next = await readyBackup(client, machine, { from_checkpoint_id: full.to_checkpoint_id })
  const [disk] = (await client.get(`vms/${machine.vm.id}/backups/${next.id}/disks`)).json.disk
  t.equal(disk.backup_mode, 'full')
})

test('§4.2 a guest that shuts itself down leaves whole bitmaps: the next incremental is one', async t => {
  const { client, machine } = await setUpMachine(t)
  const full = await wholeBackup(client, machine)
  client.simulator.shutDownGuest(machine.vm.id)
  const next = await readyBackup(client, machine, { from_checkpoint_id: full.to_checkpoint_id })
  t.equal(next.phase, 'ready')
})

test('§1.4 §4.3 the level of a VM itself overrides that of its cluster', async t => {
  const { client, machine } = await setUpMachine(t, { clusterLevel: '4.7' })
  machine.vm.config = { ...machine.vm.config, custom_compatibility_version: { major: 4, minor: 6 } }
  const live = await readyBackup(client, machine)
  t.notOk('snapshot' in live)
  t.ok('to_checkpoint_id' in live)
  await endBackup(client, machine, live.id)
  machine.vm.config = { ...machine.vm.config, custom_compatibility_version: { major: 4, minor: 4 } }
  t.notOk('to_checkpoint_id' in (await readyBackup(client, machine)))
})

test('§4.3 a hybrid backup of a running VM is read through its host', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  const [, second] = client.simulator.site.hostIds
  machine.vm.hostId = second
  const backup = await readyBackup(client, machine)
  const body = { disk: { id: machine.diskIds[0] }, backup: { id: backup.id }, direction: 'download', format: 'raw' }
  t.equal((await startTransfer(client, body)).host.id, second)
})

test('§4.4 a foreign snapshot and the removal of one while a hybrid backup is open: both come out right', async t => {
  const { client, machine } = await setUpMachine(t, HYBRID)
  const { simulator } = client
  const [diskId = ''] = machine.diskIds
  const backup = await readyBackup(client, machine)
  const record = simulator.frozen(backup.id, diskId)
  const path = `vms/${machine.vm.id}/snapshots`
  const foreign = (await client.post(path, { description: 'foreign', persist_memorystate: false })).json
  await client.until(`${path}/${foreign.id}`, ({ json }) => json.snapshot_status === 'ok')
  await simulator.guest(machine.vm.id, diskId).write(0, new Uint8Array(MIB).fill(5))
  const { bytes } = await backUpDisk(client, backup.id, diskId)
  t.same(await simulator.differences(record, bytes), [])
  await endBackup(client, machine, backup.id)
  await client.send('DELETE', `${path}/${foreign.id}`)
  await client.until(`${path}/${foreign.id}`, ({ status }) => status === 404)
  const stored = new Uint8Array(MIB)
  await simulator.image(diskId).read(0, stored)
  t.ok(stored.every(byte => byte === 5))
  t.equal(simulator.disk(diskId).volume?.volumes.length, 1, 'one layer is left')
  t.equal((await client.get(`disks/${diskId}`)).json.image_id, simulator.disk(diskId).volume?.volumes[0]?.volumeId)
})

test('§0.3 a VM in preview, a disk in a transfer, a host that is outdated: 409', async t => {
  const { client, machine, simulator, path } = await setUpMachine(t)
  const post = async (): Promise<Reply> => await client.post(`${path}/backups`, { disks: idsOf(machine.diskIds) })
  const [active] = machine.vm.snapshots.values()
  if (active !== undefined) active.status = 'in_preview'
  t.match(await post(), { status: 409, json: { detail: /preview/ } })
  if (active !== undefined) active.status = 'ok'
  machine.vm.status = 'down'
  await downloadDisk(client, machine.diskIds[0])
  t.match(await post(), { status: 409, json: { detail: /locked/ } })
  const { inventory, site } = simulator
  const old = await addMachine(client, { name: 'old' })
  old.vm.hostId = inventory.addHost({ name: 'outdated', clusterId: site.clusterId, vdsm: [4, 40, 40] })
  const refused = await client.post(`vms/${old.vm.id}/backups`, { disks: idsOf(old.diskIds) })
  t.match(refused, { status: 409, json: { detail: /does not support backups/ } })
  old.vm.hostId = inventory.addHost({ name: 'just', clusterId: site.clusterId, vdsm: [4, 40, 50] })
  await startBackup(client, old)
})

test('§2.2 from level 4.5 on the flag of a disk does not forbid an incremental backup', async t => {
  const { client, machine, path } = await setUpMachine(t, {}, { disk: { backup: 'none' } })
  const full = await wholeBackup(client, machine)
  t.ok('to_checkpoint_id' in full, 'every qcow2 disk makes a checkpoint')
  const next = await readyBackup(client, machine, { from_checkpoint_id: full.to_checkpoint_id })
  t.equal((await client.get(`${path}/backups/${next.id}/disks`)).json.disk[0].backup_mode, 'incremental')
})
