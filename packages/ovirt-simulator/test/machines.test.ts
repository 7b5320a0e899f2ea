import { test } from 'tap'
import { setUp } from './client.ts'
import type { Client } from './client.ts'
import { addDisk, addMachine } from './flows.ts'

const BLANK = '00000000-0000-0000-0000-000000000000'
const CD = `cdroms/${BLANK}`
const NEW = { cluster: { name: 'Default' }, template: { id: BLANK } }

const ovfOf = async (client: Client, vmId: string): Promise<string> =>
  (await client.get(`vms/${vmId}?all_content=true`)).json.initialization.configuration.data

const importOvf = async (client: Client, data: string, regenerate: boolean, more: object = {}): Promise<any> =>
  await client.post('vms', {
    cluster: { name: 'Default' },
    initialization: { regenerate_ids: regenerate, configuration: { type: 'ovf', data } },
    ...more,
  })

test('§3.3 a VM from an object: 201, blank, down; names are taken, old levels know less', async t => {
  const client = await setUp(t, { profile: 'ovirt-4.4', clusterLevel: '4.3' })
  const made = await client.post('vms', {
    ...NEW,
    name: 'x',
    memory: 2 * 1024 ** 3,
    creation_time: 1,
    status: 'up',
    origin: 'other',
  })
  t.equal(made.status, 201)
  t.match(made.json, {
    status: 'down',
    origin: 'ovirt',
    memory: String(2 * 1024 ** 3),
    bios: { type: 'i440fx_sea_bios' },
  })
  t.not(made.json.creation_time, 1, 'what only the engine sets is passed over')
  const taken = await client.post('vms', { ...NEW, name: 'x' })
  t.equal(taken.status, 409)
  t.match(taken.json.detail, /name is already in use/)
  t.equal((await client.post('vms', { ...NEW, name: 'y', bios: { type: 'q35_ovmf' } })).status, 400)
  t.equal((await client.post('vms', { ...NEW, name: 'y', tpm_enabled: true })).status, 400)
  t.equal((await client.post('vms', { ...NEW })).status, 400)
  t.equal((await client.post('vms', { cluster: NEW.cluster, name: 'y' })).status, 400, 'no template')
})

test('§3.3 attaching: one bootable, interface and bootable mandatory, one VM at a time, the same data center', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client, { status: 'down' })
  const { inventory } = client.simulator
  const path = `vms/${vm.id}/diskattachments`
  const id = await addDisk(client)
  const body = { disk: { id }, interface: 'virtio', bootable: false, active: true }
  t.equal((await client.post(path, { disk: { id }, bootable: false })).status, 400)
  t.equal((await client.post(path, { ...body, bootable: true })).status, 409)
  t.equal((await client.post(path, body)).status, 201)
  const other = (await client.post('vms', { ...NEW, name: 'other' })).json
  t.equal((await client.post(`vms/${other.id}/diskattachments`, body)).status, 409)
  const dataCenterId = inventory.addDataCenter('elsewhere')
  const far = await inventory.addDisk({
    sizeBytes: 65536,
    storageDomainId: inventory.addStorageDomain({ name: 'far', dataCenterId }).id,
  })
  t.equal((await client.post(path, { ...body, disk: { id: far.id } })).status, 409)
  t.equal((await client.post(path, { ...body, disk: { id: BLANK } })).status, 404)
  const put = await client.send('PUT', `${path}/${id}`, { body: { active: false, read_only: true } })
  t.match(put.json, { active: 'false', read_only: 'true', interface: 'virtio' })
})

test('§3.3 a disk made with its attachment: 202, locked, then ok', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client, { status: 'down' })
  const domains = { storage_domain: [{ id: client.simulator.site.storageDomains[0]?.id }] }
  const disk = { alias: 'second', provisioned_size: 65536, format: 'cow', sparse: true, storage_domains: domains }
  const made = await client.post(`vms/${vm.id}/diskattachments`, {
    interface: 'virtio',
    bootable: false,
    active: true,
    disk,
  })
  t.equal(made.status, 202)
  t.equal((await client.get(`disks/${made.json.id}`)).json.status, 'locked')
  await client.until(`disks/${made.json.id}`, ({ json }) => json.status === 'ok')
})

test('§3.3 an own id for a disk; preallocated ones take their time', async t => {
  const client = await setUp(t)
  const { clock, site } = client.simulator
  const id = '123e4567-e89b-42d3-a456-426614174000'
  const domains = { storage_domain: [{ id: site.storageDomains[1]?.id }] }
  const body = {
    id,
    alias: 'x',
    provisioned_size: 20 * 1024 ** 3,
    format: 'raw',
    sparse: false,
    storage_domains: domains,
  }
  const begin = clock.now()
  t.equal((await client.post('disks', body)).json.id, id)
  t.equal((await client.post('disks', body)).status, 409)
  await client.until(`disks/${id}`, ({ json }) => json.status === 'ok')
  t.ok(clock.now() - begin > 60_000)
})

test('§3.4 from OVF with the old ids: 201, id, MACs and disks by their ids', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({
    name: 'web',
    status: 'down',
    clusterId: site.clusterId,
    nics: [{ name: 'nic1', vnic_profile: { id: site.vnicProfileId } }],
    disks: [{ sizeBytes: 65536, storageDomainId: site.storageDomains[0]?.id ?? '' }],
  })
  const [diskId] = vm.attachments.keys()
  const [nic] = (await client.get(`vms/${vm.id}/nics`)).json.nic
  const ovf = await ovfOf(client, vm.id)
  const exists = await importOvf(client, ovf, false)
  t.equal(exists.status, 409)
  await client.send('DELETE', `vms/${vm.id}?detach_only=true`)
  t.equal((await client.get(`disks/${diskId}`)).status, 200)
  const made = await importOvf(client, ovf, false, { name: 'renamed', memory: 5 * 1024 ** 3 })
  t.equal(made.status, 201)
  t.match(made.json, { id: vm.id, name: 'renamed', memory: String(5 * 1024 ** 3) })
  t.equal((await client.get(`vms/${vm.id}/nics`)).json.nic[0].mac.address, nic.mac.address)
  t.equal((await client.get(`vms/${vm.id}/nics`)).json.nic[0].vnic_profile.id, site.vnicProfileId)
  t.equal((await client.get(`vms/${vm.id}/diskattachments`)).json.disk_attachment[0].id, diskId)
})

test('§3.4 regenerate_ids: a new id and new MACs; disks that are not free are only an event', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const disks = [{ sizeBytes: 65536, storageDomainId: site.storageDomains[0]?.id ?? '' }]
  const vm = await inventory.addVm({ name: 'web', clusterId: site.clusterId, nics: [{ name: 'nic1' }], disks })
  const ovf = await ovfOf(client, vm.id)
  const made = await importOvf(client, ovf, true, { name: 'copy' })
  t.equal(made.status, 201)
  t.not(made.json.id, vm.id)
  const macs = await Promise.all(
    [vm.id, made.json.id].map(async id => (await client.get(`vms/${id}/nics`)).json.nic[0].mac.address),
  )
  t.not(macs[0], macs[1])
  t.same((await client.get(`vms/${made.json.id}/diskattachments`)).json, {})
  const [event] = (await client.get('events?max=1')).json.event
  t.match(event, { severity: 'warning', description: /disks could not be attached/ })
  t.equal((await importOvf(client, ovf, false, { name: 'again' })).status, 409, 'the id is taken')
  t.equal((await importOvf(client, '<broken', true, { name: 'bad' })).status, 400)
})

test('§3.4 a MAC in use: 409, nothing is made', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'web', clusterId: site.clusterId, status: 'down', nics: [{ name: 'nic1' }] })
  const ovf = await ovfOf(client, vm.id)
  const address = (await client.get(`vms/${vm.id}/nics`)).json.nic[0].mac.address
  await client.send('DELETE', `vms/${vm.id}`)
  await inventory.addVm({ name: 'thief', clusterId: site.clusterId, nics: [{ name: 'nic1', mac: { address } }] })
  const refused = await importOvf(client, ovf, false)
  t.equal(refused.status, 409)
  t.match(refused.json.detail, /already in use/)
  t.equal((await client.get(`vms/${vm.id}`)).status, 404)
})

test('§3.5 lifecycle: start, run once with a CD, pause, shutdown, delete protection, partial PUT', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client, { status: 'down' })
  const path = `vms/${vm.id}`
  const run = { vm: { cdroms: { cdrom: [{ file: { id: 'tools.iso' } }] } } }
  const start = await client.post(`${path}/start`, run)
  t.equal(start.status, 202)
  t.match(start.json, { async: 'true', status: 'in_progress', job: { id: String } })
  const seen = new Set<string>()
  await client.until(path, ({ json }) => seen.add(json.status) && json.status === 'up')
  t.same([...seen], ['wait_for_launch', 'powering_up', 'up'])
  t.equal((await client.get(`${path}/${CD}?current=true`)).json.file.id, 'tools.iso')
  t.equal((await client.send('DELETE', path)).status, 409)
  await client.post(`${path}/suspend`, {})
  t.equal((await client.get(path)).json.status, 'saving_state')
  const suspended = await client.until(path, ({ json }) => json.status === 'suspended')
  t.notOk('host' in suspended.json)
  await client.post(`${path}/start`, {})
  t.equal((await client.get(path)).json.status, 'restoring_state')
  await client.until(path, ({ json }) => json.status === 'up')
  await client.post(`${path}/shutdown`, {})
  t.equal((await client.get(path)).json.status, 'powering_down')
  await client.until(path, ({ json }) => json.status === 'down')
  await client.post(`${path}/start`, { pause: true })
  await client.until(path, ({ json }) => json.status === 'paused')
  await client.post(`${path}/stop`, {})
  const put = await client.send('PUT', path, { body: { delete_protected: true, cpu: { topology: { sockets: 4 } } } })
  t.match(put.json, {
    delete_protected: 'true',
    cpu: { topology: { sockets: '4', cores: '1' }, architecture: 'x86_64' },
  })
  t.equal((await client.send('DELETE', path)).status, 409)
  await client.send('PUT', path, { body: { delete_protected: false } })
  t.equal((await client.send('DELETE', path)).status, 200)
  t.same(client.simulator.state().floatingDisks, [], 'its disk went with it')
})

test('§7 freeze and thaw: only of a VM that is up, with an agent, not twice; failures are actions', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const path = `vms/${vm.id}`
  t.equal((await client.post(`${path}/freezefilesystems`, {})).status, 200)
  t.same(client.simulator.state().frozenVms, [vm.id])
  const twice = await client.post(`${path}/freezefilesystems`, {})
  t.equal(twice.status, 400)
  t.match(twice.json, { status: 'failed', fault: { detail: /frozen already/ } })
  t.equal((await client.post(`${path}/thawfilesystems`, {})).status, 200)
  vm.hasAgent = false
  t.equal((await client.post(`${path}/freezefilesystems`, {})).status, 400)
  vm.status = 'paused'
  t.equal((await client.post(`${path}/freezefilesystems`, {})).status, 409)
})

test('§9 CD-ROM: current and stored, eject, the forms of ids, a VM that does not run', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const { inventory, site } = client.simulator
  const iso = await addDisk(client, {
    alias: 'files.iso',
    content_type: 'iso',
    format: 'raw',
    sparse: false,
    backup: 'none',
  })
  inventory.addStorageDomain({ name: 'isos', dataCenterId: site.dataCenterId, kind: 'iso' }).files.push('tools.iso')
  const path = `vms/${vm.id}/${CD}`
  const put = async (id: string, query = ''): Promise<number> =>
    (await client.send('PUT', `${path}${query}`, { body: { file: { id } } })).status
  t.equal(await put(iso, '?current=true'), 200)
  t.equal((await client.get(`${path}?current=true`)).json.file.id, iso)
  t.notOk('file' in (await client.get(path)).json, 'the next start does not have it')
  t.equal(await put('tools.iso'), 200)
  t.equal((await client.get(path)).json.file.id, 'tools.iso')
  t.equal(await put('', '?current=true'), 200)
  t.notOk('file' in (await client.get(`${path}?current=true`)).json)
  t.equal(await put('nonsense'), 400)
  t.equal(await put('missing.iso'), 409)
  t.equal(await put((await addMachine(client, { name: 'n' })).diskIds[0] ?? ''), 409, 'no ISO')
  t.equal((await client.send('DELETE', path)).status, 200)
  t.notOk('file' in (await client.get(path)).json)
  t.equal((await client.get(`vms/${vm.id}/cdroms/${iso}`)).status, 404, 'there is exactly one')
  await client.post(`vms/${vm.id}/stop`, {})
  t.equal(await put(iso, '?current=true'), 409)
  t.equal(await put(iso), 200)
  await client.send('DELETE', `disks/${iso}`)
  t.equal((await client.post(`vms/${vm.id}/start`, {})).status, 409, 'its stored CD is gone')
})

test('§10 events: what is mandatory, unique for ever, and not from oVirt', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const event = {
    origin: 'granary',
    severity: 'warning',
    custom_id: 1,
    description: 'x'.repeat(20_000),
    vm: { id: vm.id },
  }
  const made = await client.post('events', event)
  t.equal(made.status, 201)
  t.match(made.json, { code: '9802', index: made.json.id, origin: 'granary', vm: { id: vm.id } })
  t.ok(made.json.description.length < 20_000, 'cut')
  t.equal((await client.post('events', event)).status, 400)
  t.equal((await client.post('events', { ...event, custom_id: 2, origin: 'OVIRT' })).status, 400)
  t.equal((await client.post('events', { ...event, custom_id: 2 ** 31 })).status, 400)
  t.equal((await client.post('events', { ...event, origin: undefined })).status, 400)
  t.equal((await client.post('events', { ...event, severity: 'bad', custom_id: 3 })).status, 400)
  const next = (await client.post('events', { ...event, custom_id: 4, severity: 'alert' })).json
  const newer = (await client.get(`events?from=${made.json.index}&max=10`)).json.event
  t.same(
    newer.map((one: any) => one.id),
    [next.id],
  )
  t.equal((await client.get('events?search=vm.name%3Dweb%20and%20severity%3Dalert')).json.event.length, 1)
  t.equal((await client.get(`events/${next.id}`)).json.description, next.description)
})

test('§11 jobs: finished ones go after ten minutes', async t => {
  const client = await setUp(t)
  const made = (await client.post('vms', { ...NEW, name: 'x' })).json
  const { json } = await client.send('DELETE', `vms/${made.id}`)
  const path = `jobs/${json.job.id}`
  t.match((await client.get(path)).json, { status: 'finished', description: /Removing VM x/, external: 'false' })
  t.same((await client.get(`${path}/steps`)).json, {})
  await client.simulator.clock.sleep(601_000)
  t.equal((await client.get(path)).status, 404)
})
