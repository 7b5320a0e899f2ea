import { test } from 'tap'
import { setUp } from './client.ts'
import { MIB, addMachine } from './flows.ts'

test('§2.5 what is in a storage domain: disks, layers, machines, profiles', async t => {
  const client = await setUp(t)
  const { vm, diskIds } = await addMachine(client)
  const path = `storagedomains/${client.simulator.site.storageDomains[0]?.id}`
  t.same(
    (await client.get(`${path}/disks`)).json.disk.map((one: any) => one.id),
    diskIds,
  )
  t.equal((await client.get(`${path}/disksnapshots`)).json.disk_snapshot[0].disk.id, diskIds[0])
  t.same(
    (await client.get(`${path}/vms`)).json.vm.map((one: any) => one.id),
    [vm.id],
  )
  t.equal((await client.get(`${path}/diskprofiles`)).json.disk_profile[0].name, 'nfs-data')
  t.equal((await client.get(`storagedomains/${vm.id}/disks`)).status, 404)
})

test('§1.5 disks, storage domains, networks, templates, users and events are searched by their own fields', async t => {
  const client = await setUp(t)
  const { diskIds } = await addMachine(client)
  const count = async (name: string, type: string, search: string): Promise<number> =>
    ((await client.get(`${name}?search=${encodeURIComponent(search)}`)).json[type] ?? []).length
  t.equal(await count('disks', 'disk', 'alias=web_Disk1 and vm.name=web and storage.name=nfs-data'), 1)
  t.equal(await count('disks', 'disk', `id=${diskIds[0]} and bootable=true and provisioned_size>=${MIB}`), 1)
  t.equal(await count('disks', 'disk', 'provisioned_size<1024'), 0)
  t.equal(await count('storagedomains', 'storage_domain', 'status=active and type=data'), 2)
  t.equal(await count('networks', 'network', 'name=ovirtmgmt and datacenter=Default'), 1)
  t.equal(await count('clusters', 'cluster', 'datacenter=Default'), 1)
  t.equal(await count('templates', 'template', 'name=Blank'), 1)
  t.equal(await count('users', 'user', 'usrname=admin*'), 1)
  t.equal(await count('vnicprofiles', 'vnic_profile', 'name=ovirtmgmt'), 1)
  t.equal(await count('vms', 'vm', 'host=host1 and storage.name=nfs-data and template=Blank'), 1)
  t.equal(await count('datacenters', 'data_center', 'clusters.name=Default'), 1)
})

test('§3.1 watchdogs, permissions and other parts of a VM are added and shown', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  for (const [name, type, body] of [
    ['watchdogs', 'watchdog', { model: 'i6300esb', action: 'reset' }],
    ['affinitylabels', 'affinity_label', { name: 'gold' }],
    ['graphicsconsoles', 'graphics_console', { protocol: 'vnc' }],
  ] as const) {
    const made = await client.post(`vms/${vm.id}/${name}`, body)
    t.equal(made.status, 201)
    const [shown] = (await client.get(`vms/${vm.id}/${name}`)).json[type]
    t.match(shown, { ...body, id: made.json.id, href: `/ovirt-engine/api/vms/${vm.id}/${name}/${made.json.id}` })
  }
})

test('§2.4 one NIC: shown, changed, removed', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const { json } = await client.post(`vms/${vm.id}/nics`, { name: 'nic1' })
  const path = `vms/${vm.id}/nics/${json.id}`
  t.equal((await client.get(path)).json.name, 'nic1')
  const changed = await client.send('PUT', path, { body: { plugged: false, interface: 'e1000' } })
  t.match(changed.json, { plugged: 'false', interface: 'e1000', mac: json.mac, name: 'nic1' })
  t.equal((await client.send('DELETE', path)).status, 200)
  t.equal((await client.get(path)).status, 404)
})

test('§2.3 the NICs of a snapshot, and the active snapshot, which cannot be removed', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  await client.post(`vms/${vm.id}/nics`, { name: 'nic1' })
  const path = `vms/${vm.id}/snapshots`
  const [active] = (await client.get(path)).json.snapshot
  t.equal((await client.get(`${path}/${active.id}/nics`)).json.nic[0].name, 'nic1')
  t.equal((await client.get(`${path}/${active.id}/disks`)).json.disk.length, 1)
  t.equal((await client.send('DELETE', `${path}/${active.id}`)).status, 409)
})

test('§1.5 follow: links of links, lists that are there already, what cannot be followed', async t => {
  const client = await setUp(t)
  const { vm, diskIds } = await addMachine(client)
  const disk = (await client.get(`disks/${diskIds[0]}?follow=storage_domains,disk_profile`)).json
  t.equal(disk.storage_domains.storage_domain[0].name, 'nfs-data')
  t.equal(disk.disk_profile.name, 'nfs-data')
  const host = (await client.get(`vms/${vm.id}?follow=host.cluster.data_center`)).json.host
  t.equal(host.cluster.data_center.name, 'Default')
  t.equal((await client.get(`vms/${vm.id}?follow=name`)).status, 400)
  const deep = Array.from({ length: 20 }, () => 'snapshots.vm').join('.')
  t.equal((await client.get(`vms/${vm.id}?follow=${deep}`)).status, 400, 'each list multiplies what is looked up')
  t.equal((await client.get(`vms/${vm.id}?follow=quota`)).status, 200, 'a link that is absent')
})

test('§2.2 a direct LUN: no domain, no volume, its logical unit', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const lun = await inventory.addDisk({
    sizeBytes: MIB,
    storageDomainId: site.storageDomains[1]?.id ?? '',
    storageType: 'lun',
  })
  const shown = (await client.get(`disks/${lun.id}`)).json
  t.match(shown, { storage_type: 'lun', lun_storage: { logical_units: { logical_unit: [{ size: String(MIB) }] } } })
  for (const name of ['image_id', 'storage_domains', 'provisioned_size', 'format']) t.notOk(name in shown, name)
  t.equal((await client.post('imagetransfers', { disk: { id: lun.id }, direction: 'download' })).status, 409)
})

test('§5.6 what an account may do: permissions name an object or, for the system, none; permits are those of their roles', async t => {
  const client = await setUp(t)
  const { vm } = await addMachine(client)
  const { clusterId } = client.simulator.site
  const permits = [`BACKUP_DISK@${vm.id}`, `RUN_VM@${vm.id}`, `CREATE_VM@${clusterId}`, 'CREATE_DISK']
  const { id } = client.simulator.inventory.addAccount('user@internal', 'x', permits)
  const shown = (await client.get(`users/${id}/permissions`)).json.permission
  t.equal(shown.length, 3)
  const names = async (permission: any): Promise<string[]> =>
    (await client.get(`roles/${permission.role.id}/permits`)).json.permit.map((one: any) => one.name)
  t.same(await names(shown.find((one: any) => one.vm?.id === vm.id)), ['backup_disk', 'run_vm'])
  t.same(await names(shown.find((one: any) => one.cluster?.id === clusterId)), ['create_vm'])
  const onSystem = shown.find((one: any) => one.vm === undefined && one.cluster === undefined)
  t.same(Object.keys(onSystem).toSorted(), ['href', 'id', 'role', 'user'])
  t.same(await names(onSystem), ['create_disk'])
  const { authenticated_user: admin } = (await client.get('')).json
  const [all] = (await client.get(`users/${admin.id}/permissions`)).json.permission
  t.ok((await names(all)).includes('create_disk'), 'administrators may do all')
  t.equal((await client.get(`users/${vm.id}/permissions`)).status, 404)
  t.equal((await client.get(`roles/${vm.id}/permits`)).status, 404)
})
