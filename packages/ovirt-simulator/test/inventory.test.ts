import { test } from 'tap'
import { setUp } from './client.ts'
import { MIB, addDisk, addMachine } from './flows.ts'

const BLANK = '00000000-0000-0000-0000-000000000000'

test('§0.1 ids: GUIDs in lower case; the blank template, the root tag and every CD-ROM have the one of zeros', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  t.match(vm.id, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  t.equal((await client.get(`templates/${BLANK}`)).json.name, 'Blank')
  t.equal((await client.get(`tags/${BLANK}`)).json.name, 'root')
  t.equal((await client.get(`vms/${vm.id}/cdroms`)).json.cdrom[0].id, BLANK)
  t.equal((await client.get(`vms/${vm.id.toUpperCase()}`)).status, 200)
})

test('§2.1 a VM: its host only while it runs, what the agent tells, its sub-collections', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const path = `vms/${vm.id}`
  const nic = (await client.post(`${path}/nics`, { name: 'nic1' })).json
  const up = (await client.get(path)).json
  t.equal(up.host.id, vm.hostId)
  t.equal(up.fqdn, 'web.example.com')
  t.equal(up.has_illegal_images, 'false')
  t.equal(up.origin, 'ovirt')
  for (const rel of ['backups', 'checkpoints', 'diskattachments', 'nics', 'snapshots'])
    t.equal((await client.get(up.link.find((link: any) => link.rel === rel).href)).status, 200, rel)
  const applications = (await client.get(`${path}/applications`)).json.application
  t.ok(applications.some((one: any) => one.name.startsWith('qemu-guest-agent')))
  t.equal((await client.get(`${path}/nics/${nic.id}/reporteddevices`)).json.reported_device[0].ips.ip[0].version, 'v4')
  for (const name of ['sessions', 'watchdogs', 'permissions', 'numanodes', 'hostdevices'])
    t.equal((await client.get(`${path}/${name}`)).text, '{ }', name)
  for (const name of ['applications', 'statistics', 'reporteddevices', 'snapshots', 'nics'])
    for (const [one] of Object.values((await client.get(`${path}/${name}`)).json) as any[])
      t.same((await client.get(one.href)).json, one, `each of the ${name} is where it says`)
  await client.post(`${path}/stop`, {})
  const down = (await client.get(path)).json
  t.notOk('host' in down)
  t.notOk('fqdn' in down)
})

test('§2.2 attachments and disks: the same id, sizes, volumes', async t => {
  const client = await setUp(t)
  const { vm, diskIds } = await addMachine(client)
  const [attachment] = (await client.get(`vms/${vm.id}/diskattachments`)).json.disk_attachment
  t.equal(attachment.id, diskIds[0])
  t.equal(attachment.disk.id, diskIds[0])
  t.match(attachment, {
    active: 'true',
    bootable: 'true',
    interface: 'virtio_scsi',
    read_only: 'false',
    pass_discard: 'false',
  })
  const disk = (await client.get(`disks/${diskIds[0]}`)).json
  t.equal(disk.alias, disk.name)
  t.match(disk, {
    format: 'cow',
    sparse: 'true',
    qcow_version: 'qcow2_v3',
    status: 'ok',
    storage_type: 'image',
    content_type: 'data',
    backup: 'incremental',
  })
  t.ok(Number(disk.actual_size) >= MIB)
  t.equal(disk.storage_domains.storage_domain.length, 1)
  t.notOk('backup_mode' in disk, 'only within a backup')
  t.match(disk.image_id, /^[0-9a-f-]{36}$/)
})

test('§2.2 the shapes that a disk may have, on file and on block storage', async t => {
  const client = await setUp(t)
  const { site } = client.simulator
  const status = async (domain: number, format: string, sparse: boolean, backup: string): Promise<number> => {
    const domains = { storage_domain: [{ id: site.storageDomains[domain]?.id }] }
    const body = { alias: 'x', provisioned_size: MIB, format, sparse, backup, storage_domains: domains }
    return (await client.post('disks', body)).status
  }
  for (const domain of [0, 1]) {
    t.equal(await status(domain, 'cow', true, 'incremental'), 202)
    t.equal(await status(domain, 'cow', true, 'none'), 202)
    t.equal(await status(domain, 'cow', false, 'incremental'), 202)
    t.equal(await status(domain, 'cow', false, 'none'), 400)
    t.equal(await status(domain, 'raw', false, 'none'), 202)
    t.equal(await status(domain, 'raw', false, 'incremental'), 400)
    t.equal(await status(domain, 'raw', true, 'none'), domain === 0 ? 202 : 400)
  }
})

test('§2.2 a raw disk cannot become incremental; disks grow, and never shrink', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client, { format: 'raw', sparse: false, backup: 'none' })
  const put = async (body: object): Promise<number> => (await client.send('PUT', `disks/${diskId}`, { body })).status
  t.equal(await put({ backup: 'incremental' }), 409)
  t.equal(await put({ provisioned_size: 8 * MIB, alias: 'larger' }), 200)
  t.match((await client.get(`disks/${diskId}`)).json, { provisioned_size: String(8 * MIB), alias: 'larger' })
  t.equal(await put({ provisioned_size: MIB }), 409)
})

test('§2.3 snapshots: description mandatory, locked and then ok, image_id changes, deleted by a merge', async t => {
  const client = await setUp(t)
  const { vm, diskIds } = await addMachine(client)
  const path = `vms/${vm.id}/snapshots`
  const before = (await client.get(`disks/${diskIds[0]}`)).json.image_id
  t.equal((await client.post(path, {})).status, 400)
  const posted = await client.post(path, { description: 'before', persist_memorystate: 'false' })
  t.equal(posted.status, 202)
  t.equal(posted.json.snapshot_status, 'locked')
  t.equal((await client.get(`disks/${diskIds[0]}`)).json.status, 'locked')
  await client.until(`${path}/${posted.json.id}`, ({ json }) => json.snapshot_status === 'ok')
  const all = (await client.get(path)).json.snapshot
  t.same(all.map((one: any) => one.snapshot_type).toSorted(), ['active', 'regular'])
  t.not((await client.get(`disks/${diskIds[0]}`)).json.image_id, before)
  t.equal((await client.get(`${path}/${posted.json.id}/disks`)).json.disk[0].image_id, before)
  await client.simulator.guest(vm.id, diskIds[0] ?? '').write(0, new Uint8Array(100).fill(9))
  t.equal((await client.send('DELETE', `${path}/${posted.json.id}`)).status, 200)
  await client.until(`${path}/${posted.json.id}`, ({ status }) => status === 404)
  const bytes = new Uint8Array(1)
  await client.simulator.image(diskIds[0] ?? '').read(0, bytes)
  t.equal(bytes[0], 9)
})

test('§2.3 a snapshot without room disappears', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client, { domain: 1 })
  const domain = client.simulator.site.storageDomains[1]
  if (domain !== undefined) domain.space.capacityBytes = domain.space.usedBytes
  const path = `vms/${vm.id}/snapshots`
  const { json } = await client.post(path, { description: 'x', persist_memorystate: false })
  await client.until(`${path}/${json.id}`, ({ status }) => status === 404)
  t.same(client.simulator.state().lockedDisks, [])
})

test('§2.4 NICs: the next free MAC, conflicts also with snapshots of others, empty profiles', async t => {
  const client = await setUp(t)
  const { site } = client.simulator
  const first = (await addMachine(client, { name: 'first' })).vm
  const second = (await addMachine(client, { name: 'second' })).vm
  const profile = { vnic_profile: { id: site.vnicProfileId } }
  const nic = (await client.post(`vms/${first.id}/nics`, { name: 'nic1', ...profile })).json
  t.match(nic, { interface: 'virtio', linked: 'true', plugged: 'true', vnic_profile: { id: site.vnicProfileId } })
  const address = nic.mac.address
  const conflict = await client.post(`vms/${second.id}/nics`, { name: 'nic1', mac: { address } })
  t.equal(conflict.status, 409)
  t.match(conflict.json.detail, `MAC Address ${address} is already in use by VM or snapshot: first`)
  const snapshots = `vms/${first.id}/snapshots`
  const { json } = await client.post(snapshots, { description: 'x', persist_memorystate: false })
  await client.until(`${snapshots}/${json.id}`, reply => reply.json.snapshot_status === 'ok')
  await client.send('DELETE', `vms/${first.id}/nics/${nic.id}`)
  t.equal(
    (await client.post(`vms/${second.id}/nics`, { name: 'nic1', mac: { address } })).status,
    409,
    'the snapshot holds it',
  )
  const outside = await client.post(`vms/${second.id}/nics`, { name: 'nic1', mac: { address: '02:00:00:00:00:01' } })
  t.equal(outside.status, 201, 'an address outside of all ranges is allowed')
  t.notOk('vnic_profile' in outside.json)
  t.equal((await client.post(`vms/${second.id}/nics`, { name: 'nic1' })).status, 409, 'the name')
  t.equal((await client.post(`vms/${second.id}/nics`, { name: 'n', mac: { address: 'x' } })).status, 400)
  t.equal((await client.post(`vms/${second.id}/nics`, {})).status, 400)
  t.equal((await client.post(`vms/${second.id}/nics`, { name: 'n', vnic_profile: { id: BLANK } })).status, 404)
  const changed = await client.send('PUT', `vms/${second.id}/nics/${outside.json.id}`, { body: { mac: { address } } })
  t.equal(changed.status, 409)
})

test('§2.4 networks, profiles and pools are found from each other', async t => {
  const client = await setUp(t)
  const [profile] = (await client.get('vnicprofiles')).json.vnic_profile
  const network = (await client.get(profile.network.href)).json
  t.equal(network.name, 'ovirtmgmt')
  t.equal((await client.get(`networks/${network.id}/vnicprofiles`)).json.vnic_profile[0].id, profile.id)
  const [cluster] = (await client.get('clusters')).json.cluster
  const pool = (await client.get(cluster.mac_pool.href)).json
  t.equal(pool.allow_duplicates, 'false')
  t.match(pool.ranges.range[0], { from: /^56:6f/, to: /ff:ff$/ })
  t.equal((await client.get(`clusters/${cluster.id}/networks`)).json.network.length, 1)
})

test('§2.5 the status of a storage domain is told below its data center; space comes in whole GiB', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  inventory.addStorageDomain({ name: 'backup', dataCenterId: site.dataCenterId, isBackup: true })
  const [nfs, iscsi, backup] = (await client.get('storagedomains')).json.storage_domain
  t.notOk('status' in nfs)
  t.match(nfs, {
    type: 'data',
    storage: { type: 'nfs', address: String, path: String },
    critical_space_action_blocker: '5',
    backup: 'false',
  })
  t.match(iscsi, { storage: { type: 'iscsi', volume_group: { id: String } } })
  t.equal(backup.backup, 'true')
  t.equal(Number(nfs.available) % 1024 ** 3, 0)
  t.same(
    nfs.data_centers.data_center.map((one: any) => one.id),
    [site.dataCenterId],
  )
  const below = (await client.get(`datacenters/${site.dataCenterId}/storagedomains`)).json.storage_domain
  t.same(
    below.map((one: any) => one.status),
    ['active', 'active', 'active'],
  )
  t.match((await client.get(`datacenters/${site.dataCenterId}`)).json, {
    status: 'up',
    local: 'false',
    quota_mode: 'disabled',
  })
})

test('§2.5 FCP where the profile has it; an ISO domain lists its files', async t => {
  const client = await setUp(t, { profile: 'rosa-3.1' })
  const { inventory, site } = client.simulator
  t.same(
    site.storageDomains.map(({ kind }) => kind),
    ['nfs', 'iscsi', 'fcp'],
  )
  const iso = inventory.addStorageDomain({ name: 'isos', dataCenterId: site.dataCenterId, kind: 'iso' })
  iso.files.push('tools.iso')
  t.same(
    (await client.get(`storagedomains/${iso.id}/files`)).json.file.map((file: any) => file.id),
    ['tools.iso'],
  )
  t.equal((await client.get(`storagedomains/${iso.id}`)).json.type, 'iso')
})

test('§2.5 a VM with a disk on a backup domain does not start; critical space refuses disks', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client, { status: 'down' })
  const [domain] = client.simulator.site.storageDomains
  if (domain === undefined) return
  domain.isBackup = true
  t.equal((await client.post(`vms/${vm.id}/start`, {})).status, 409)
  domain.isBackup = false
  domain.space.capacityBytes = domain.space.usedBytes + 1024 ** 3
  const body = { provisioned_size: MIB, format: 'cow', storage_domains: { storage_domain: [{ id: domain.id }] } }
  const refused = await client.post('disks', body)
  t.equal(refused.status, 409)
  t.match(refused.json.detail, /Low disk space/)
})

test('§2.6 hosts: hardware id, cluster, one of them SPM', async t => {
  const client = await setUp(t)
  const hosts = (await client.get('hosts')).json.host
  for (const host of hosts)
    t.match(host, { status: 'up', address: String, hardware_information: { uuid: String }, cluster: { id: String } })
  t.same(
    hosts.map((host: any) => host.spm.status),
    ['spm', 'none'],
  )
})

test('§1.5 quotas are asked for where they are enforced', async t => {
  const client = await setUp(t)
  const { inventory } = client.simulator
  const dataCenterId = inventory.addDataCenter('strict', { quotaMode: 'enabled' })
  const domain = inventory.addStorageDomain({ name: 'strict', dataCenterId })
  const quota = inventory.addQuota('some', dataCenterId)
  const body = { provisioned_size: MIB, format: 'cow', storage_domains: { storage_domain: [{ id: domain.id }] } }
  t.equal((await client.post('disks', body)).status, 409)
  t.equal((await client.post('disks', { ...body, quota: { id: quota } })).status, 202)
  t.equal((await client.get(`datacenters/${dataCenterId}/quotas`)).json.quota[0].name, 'some')
})

test('tags of VMs', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  t.equal((await client.post('tags', { name: 'gold' })).status, 201)
  const tag = await client.post(`vms/${vm.id}/tags`, { name: 'gold' })
  t.equal(tag.status, 201)
  t.equal((await client.get('vms?search=tag%3Dgold')).json.vm.length, 1)
  t.equal((await client.send('DELETE', `vms/${vm.id}/tags/${tag.json.id}`)).status, 200)
  t.equal((await client.send('DELETE', `vms/${vm.id}/tags/${tag.json.id}`)).status, 404)
  t.equal((await client.post(`vms/${vm.id}/tags`, { name: 'nothing' })).status, 404)
})

test('§2.3 §4.4 reverting to a snapshot brings its content back', async t => {
  const client = await setUp(t)
  const { vm, diskIds } = await addMachine(client, { status: 'down' })
  const [diskId = ''] = diskIds
  const path = `vms/${vm.id}/snapshots`
  const { json } = await client.post(path, { description: 'good' })
  await client.until(`${path}/${json.id}`, reply => reply.json.snapshot_status === 'ok')
  await client.simulator.image(diskId).write(0, new Uint8Array(MIB).fill(99))
  t.equal((await client.post(`${path}/${json.id}/restore`, {})).status, 200)
  const bytes = new Uint8Array(MIB)
  await client.simulator.image(diskId).read(0, bytes)
  t.ok(bytes.every(byte => byte === 1))
})
