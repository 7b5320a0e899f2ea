import { test } from 'tap'
import { operationFailed, requireAll } from '../src/http/api-error.ts'
import { setUp } from './client.ts'
import { addDisk, idsOf, setUpMachine, startBackup, wholeBackup } from './flows.ts'

const MIB = 1024 ** 2

test('§0.1 booleans and integers are strings, dates epoch milliseconds', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const [domain] = site.storageDomains
  const vm = await inventory.addVm({
    name: 'web',
    clusterId: site.clusterId,
    disks: [{ sizeBytes: MIB, storageDomainId: domain?.id ?? '' }],
  })
  const shown = (await client.get(`vms/${vm.id}`)).json
  t.equal(shown.delete_protected, 'false')
  t.equal(shown.memory, String(1024 * MIB))
  t.equal(shown.creation_time, client.simulator.clock.now())
  t.equal(shown.status, 'up')
  t.equal(shown.bios.type, 'q35_sea_bios')
  const [diskId] = vm.attachments.keys()
  const disk = (await client.get(`disks/${diskId}`)).json
  t.equal(disk.provisioned_size, String(MIB))
  t.equal(disk.sparse, 'true')
})

test('§0.1 no root wrapper, id and href last, pretty printed, links as arrays, null absent, empty strings present', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'web', clusterId: site.clusterId, status: 'down' })
  const { text, json } = await client.get(`vms/${vm.id}`)
  t.match(text, /^\{\n {2}"/)
  t.match(text, /\n {2}"name" : "web",\n/)
  t.same(Object.keys(json).slice(-2), ['href', 'id'])
  t.equal(json.comment, '')
  t.notOk('host' in json)
  t.ok(json.link.some((link: any) => link.rel === 'nics' && link.href === `/ovirt-engine/api/vms/${vm.id}/nics`))
  t.ok(json.actions.link.some((link: any) => link.rel === 'start'))
  t.same(json.cluster, { href: `/ovirt-engine/api/clusters/${site.clusterId}`, id: site.clusterId })
  t.same(json.os.boot.devices, { device: ['hd'] }, 'lists of scalars are wrapped, too')
})

test('§0.1 collections are keyed by the type; empty ones are { }', async t => {
  const client = await setUp(t)
  const empty = await client.get('vms')
  t.equal(empty.text, '{ }')
  const hosts = (await client.get('hosts')).json
  t.same(Object.keys(hosts), ['host'])
  t.equal(hosts.host.length, 2)
})

test('§0.1 unknown properties and lone objects in lists are refused with a usage_message', async t => {
  const client = await setUp(t)
  const { site } = client.simulator
  for (const body of [
    { name: 'x', surprise: 1 },
    { disk: { id: 'x' }, surprise: {} },
    { name: 'x', storage_domains: { storage_domain: { id: 'x' } } },
    { storage_domains: { disk: [] } },
    'no json',
    '[]',
  ]) {
    const { status, json } = await client.post('disks', body)
    t.equal(status, 400)
    t.match(json.message, /syntactically incorrect/)
    t.notOk('reason' in json)
  }
  const good = { alias: 'a', provisioned_size: '1048576', format: 'cow', sparse: true, backup: 'incremental' }
  const domains = { storage_domains: { storage_domain: [{ id: site.storageDomains[0]?.id }] } }
  const made = await client.post('disks', { ...good, ...domains })
  t.equal(made.status, 202, 'numbers as strings and booleans as such are read')
})

test('§0.1 values in bodies: booleans, enumerations, integers', async t => {
  const client = await setUp(t)
  const body = { alias: 'a', provisioned_size: 1 }
  const wrong = await client.post('disks', { ...body, sparse: 'maybe' })
  t.equal(wrong.status, 400)
  t.equal(wrong.json.reason, 'Invalid value')
  const word = await client.post('disks', { ...body, format: 'vmdk' })
  t.equal(word.status, 400)
  t.equal(word.json.reason, 'Invalid Enum value')
  t.equal((await client.post('disks', { ...body, provisioned_size: '1.5' })).status, 400)
})

test('§0.1 without Accept, or with any, the answer is XML', async t => {
  const client = await setUp(t)
  for (const accept of [undefined, '*/*', 'application/xml']) {
    const { headers, text } = await client.get('clusters', { accept })
    t.match(headers['content-type'], /application\/xml/)
    t.match(text, /<clusters>\s*<cluster href="\/ovirt-engine\/api\/clusters\/.*" id=/)
  }
})

test('§0.2 an id that does not exist: 404 with an empty body; a malformed one: 400', async t => {
  const client = await setUp(t)
  const missing = await client.get('vms/123e4567-e89b-12d3-a456-426614174000')
  t.equal(missing.status, 404)
  t.equal(missing.text, '')
  const malformed = await client.get('vms/nonsense')
  t.equal(malformed.status, 400)
  t.match(malformed.json, { reason: 'Operation failed', detail: /Invalid UUID string/ })
})

test('§0.2 missing mandatory attributes, and names in bodies that are not found', async t => {
  const client = await setUp(t)
  const incomplete = await client.post('vms', { name: 'x' })
  t.equal(incomplete.status, 400)
  t.same(incomplete.json, { detail: 'Vm [cluster.id|name] required for add', reason: 'Incomplete parameters' })
  const unknown = await client.post('vms', { name: 'x', cluster: { name: 'nowhere' }, template: { name: 'Blank' } })
  t.equal(unknown.status, 404)
  t.match(unknown.json.detail, /Entity not found: nowhere/)
})

test('§0.2 create 201 with Location, create with tasks 202, Expect 201-created blocks, DELETE 200', async t => {
  const client = await setUp(t)
  const { simulator } = client
  const vm = await client.post('vms', { name: 'x', cluster: { name: 'Default' }, template: { name: 'Blank' } })
  t.equal(vm.status, 201)
  t.equal(vm.headers['location'], vm.json.href)
  const domain = { storage_domains: { storage_domain: [{ id: simulator.site.storageDomains[0]?.id }] } }
  const disk = { alias: 'a', provisioned_size: MIB, format: 'cow', sparse: true, ...domain }
  const accepted = await client.post('disks', disk)
  t.equal(accepted.status, 202)
  t.equal(accepted.json.creation_status, 'in_progress')
  t.equal(accepted.json.status, 'locked')
  t.ok(accepted.json.link.some((link: any) => link.rel === 'creation_status'))
  await client.until(`disks/${accepted.json.id}`, ({ json }) => json.status === 'ok')
  const begin = simulator.clock.now()
  const blocking = await client.post('disks', disk, { expect: '201-created' })
  t.equal(blocking.status, 201)
  t.equal(blocking.json.status, 'ok')
  t.ok(simulator.clock.now() > begin)
  const removed = await client.send('DELETE', `vms/${vm.json.id}`)
  t.equal(removed.status, 200)
  t.equal(removed.json.status, 'complete')
  t.equal((await client.get(`jobs/${removed.json.job.id}`)).json.status, 'finished')
})

test('§0.2 doAction endpoints fail as an action with a fault in it, others with a fault', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'web', clusterId: site.clusterId })
  const action = await client.post(`vms/${vm.id}/start`, {})
  t.equal(action.status, 409)
  t.match(action.json, { status: 'failed', fault: { reason: 'Operation Failed', detail: /^\[Cannot run VM/ } })
  const fault = await client.send('DELETE', `vms/${vm.id}`)
  t.equal(fault.status, 409)
  t.match(fault.json, { reason: 'Operation Failed', detail: /^\[Cannot remove VM/ })
})

test('§0.2 not authenticated: 401, Basic, an HTML page', async t => {
  const client = await setUp(t)
  client.token = 'nobody'
  const { status, headers, text } = await client.get('vms')
  t.equal(status, 401)
  t.equal(headers['www-authenticate'], 'Basic realm="RESTAPI"')
  t.match(headers['content-type'], /text\/html/)
  t.match(text, /<html>/)
})

test('§0.2 matrix parameters are accepted as well', async t => {
  const client = await setUp(t)
  t.equal((await client.get('hosts;max=1')).json.host.length, 1)
  t.equal((await client.get('hosts?max=1')).json.host.length, 1)
})

test('§0.2 async=true, and Expect: 202-accepted: an action is answered before it is done', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  for (const [query, headers] of [
    ['?async=true', {}],
    [';async=true', {}],
    ['', { expect: '202-accepted' }],
  ] as const) {
    const vm = await inventory.addVm({ name: `x${query}`, clusterId: site.clusterId, status: 'down' })
    const { status, json } = await client.send('DELETE', `vms/${vm.id}${query}`, { headers })
    t.equal(status, 202)
    t.match(json, { status: 'in_progress', async: 'true' })
  }
})

test('§0.1 what only newer engines know breaks older ones, in JSON and XML', async t => {
  const body = { name: 'x', cluster: { name: 'Default' }, template: { name: 'Blank' } }
  for (const [profile, attribute, status] of [
    ['ovirt-4.5', { cpu_pinning_policy: 'manual' }, 201],
    ['ovirt-4.4', { cpu_pinning_policy: 'manual' }, 400],
    ['ovirt-4.4', { virtio_scsi_multi_queues: 2 }, 201],
    ['ovirt-4.4.6', { virtio_scsi_multi_queues: 2 }, 400],
  ] as const) {
    const client = await setUp(t, { profile })
    const refused = await client.post('vms', { ...body, ...attribute })
    t.equal(refused.status, status, `${profile} ${JSON.stringify(attribute)}`)
    if (status === 400) t.match(refused.json.message, /Unrecognized field/)
    const [[name, value]] = Object.entries(attribute) as [[string, string | number]]
    const xml = `<vm><name>y</name><cluster><name>Default</name></cluster><template><name>Blank</name></template><${name}>${value}</${name}></vm>`
    t.equal((await client.post('vms', xml, { 'content-type': 'application/xml' })).status, status)
  }
})

test('§0.2 the status of a creation is where its link says', async t => {
  const client = await setUp(t)
  const domains = { storage_domain: [{ id: client.simulator.site.storageDomains[0]?.id }] }
  const { json } = await client.post('disks', { provisioned_size: MIB, format: 'cow', storage_domains: domains })
  const { href } = json.link.find((link: any) => link.rel === 'creation_status')
  t.same((await client.get(href)).json, { status: 'in_progress' })
  await client.until(href, reply => reply.json.status === 'complete')
  t.equal((await client.get(`disks/${json.id}`)).json.status, 'ok')
})

test('§0.1 decimals are numbers; in bodies numbers may be strings, and dates ISO 8601', async t => {
  const client = await setUp(t)
  const { inventory, site } = client.simulator
  const vm = await inventory.addVm({ name: 'web', clusterId: site.clusterId })
  const { statistic } = (await client.get(`vms/${vm.id}/statistics`)).json
  t.same(
    statistic.map((one: any) => one.values.value),
    [[{ datum: 1024 * MIB }], [{ datum: 2.5 }]],
  )
  const post = async (body: object): Promise<number> =>
    (await client.post('vms', { cluster: { name: 'Default' }, template: { name: 'Blank' }, ...body })).status
  t.equal(await post({ name: 'a', cpu: { speed: '2.5' }, creation_time: '2026-01-05T08:00:00Z' }), 201)
  t.equal(await post({ name: 'b', cpu: { speed: 2.5 }, creation_time: 1_795_370_095_330 }), 201)
  t.equal(await post({ name: 'c', cpu: { speed: 'fast' } }), 400)
  t.equal(await post({ name: 'd', creation_time: 'yesterday' }), 400)
})

test('§0.1 each collection has the name of its type', async t => {
  const { client, machine, path } = await setUpMachine(t)
  await client.post(`${path}/nics`, { name: 'nic1' })
  await client.post(`${path}/permissions`, {})
  client.simulator.inventory
    .addStorageDomain({ name: 'isos', dataCenterId: client.simulator.site.dataCenterId, kind: 'iso' })
    .files.push('tools.iso')
  await wholeBackup(client, machine)
  await client.post('imagetransfers', { disk: { id: await addDisk(client) }, direction: 'download', format: 'raw' })
  const isos = client.simulator.site.storageDomains.length
  const [iso] = (await client.get('storagedomains')).json.storage_domain.slice(isos)
  for (const [collection, key] of [
    ['vms', 'vm'],
    ['disks', 'disk'],
    [`${path}/diskattachments`, 'disk_attachment'],
    [`${path}/nics`, 'nic'],
    [`${path}/snapshots`, 'snapshot'],
    [`${path}/backups`, 'backup'],
    [`${path}/checkpoints`, 'checkpoint'],
    ['imagetransfers', 'image_transfer'],
    ['storagedomains', 'storage_domain'],
    ['hosts', 'host'],
    ['clusters', 'cluster'],
    ['datacenters', 'data_center'],
    ['vnicprofiles', 'vnic_profile'],
    ['events', 'event'],
    ['jobs', 'job'],
    [`${path}/cdroms`, 'cdrom'],
    [`${path}/permissions`, 'permission'],
    [`${path}/applications`, 'application'],
    [`${path}/reporteddevices`, 'reported_device'],
    ['macpools', 'mac_pool'],
    [`disks/${machine.diskIds[0]}/disksnapshots`, 'disk_snapshot'],
    [`storagedomains/${iso.id}/files`, 'file'],
  ] as const) {
    const { json } = await client.get(collection)
    t.same(Object.keys(json), [key], collection)
    t.ok(json[key].length > 0, collection)
  }
})

test('§0.1 an empty list that the code of the engine has touched is there, empty', async t => {
  const { client, machine, simulator, path } = await setUpMachine(t)
  const storageDomainId = simulator.site.storageDomains[0]?.id ?? ''
  const shared = await simulator.inventory.addDisk({ sizeBytes: MIB, storageDomainId, format: 'raw', shareable: true })
  simulator.inventory.attach(machine.vm, shared)
  const backup = await startBackup(client, { vm: machine.vm, diskIds: [shared.id] })
  t.equal((await client.get(`${path}/backups/${backup.id}/disks`)).text, '{\n  "disk" : [ ]\n}')
})

test('§0.1 POST and PUT need a body, actions too: {} or <action/>', async t => {
  const { client, machine, path } = await setUpMachine(t)
  for (const [method, target] of [
    ['POST', 'vms'],
    ['PUT', path],
    ['POST', `${path}/freezefilesystems`],
  ] as const) {
    const refused = await client.send(method, target, { headers: { 'content-type': 'application/json' } })
    t.equal(refused.status, 400, `${method} ${target}`)
    t.match(refused.json.message, /body is missing/)
  }
  t.equal((await client.post(`${path}/freezefilesystems`, {})).status, 200)
  t.ok(machine.vm.isFrozen)
  const xml = { 'content-type': 'application/xml' }
  t.equal((await client.post(`${path}/thawfilesystems`, '<action/>', xml)).status, 200)
  t.notOk(machine.vm.isFrozen)
})

test('§0.2 an action is answered with its status, its job, and the fields of the request', async t => {
  const { client, path } = await setUpMachine(t)
  const { status, json } = await client.post(`${path}/freezefilesystems`, { reason: 'a test' })
  t.equal(status, 200)
  t.match(json, { status: 'complete', reason: 'a test', job: { href: /^\/ovirt-engine\/api\/jobs\//, id: String } })
  t.equal((await client.get(json.job.href)).json.status, 'finished')
})

test('§0.2 an action whose tasks still run: 202, where they are, and how to repeat it', async t => {
  const { client, path } = await setUpMachine(t, {}, { status: 'down' })
  const { status, json } = await client.post(`${path}/start`, { pause: true })
  t.equal(status, 202)
  const href = `/ovirt-engine/api/${path}/start`
  t.match(json, { async: 'true', status: 'in_progress', pause: 'true', id: 'taskids', href: `${href}/taskids` })
  t.same(json.link, [
    { href: `/ovirt-engine/api/${path}`, rel: 'parent' },
    { href, rel: 'replay' },
  ])
})

test('§0.2 several messages come in one fault, as a Java list; the gravest of them gives the status', async t => {
  const { client, machine, simulator, path } = await setUpMachine(t, {}, { disks: 2 })
  const [inactive = '', locked = ''] = machine.diskIds
  const attachment = machine.vm.attachments.get(inactive)
  if (attachment !== undefined) attachment.isActive = false
  simulator.disk(locked).locks.add('create')
  const { status, json } = await client.post(`${path}/backups`, { disks: idsOf(machine.diskIds) })
  t.equal(status, 409)
  t.match(json.detail, /^\[Cannot backup VM\. .*not active: .*\., Cannot backup VM\. Disk .* is locked\. .*\]$/)
  for (const [statuses, together] of [
    [[403, 500, 409, 400], 400],
    [[500, 409, 403], 409],
    [[403, 500], 500],
    [[403], 403],
  ] as const)
    t.match(refusalOf(statuses), { status: together, detail: `[${statuses.join(', ')}]` })
  t.doesNotThrow(() => requireAll(() => undefined))
})

/** What checks that fail with these come to together. */
const refusalOf = (statuses: readonly number[]): unknown => {
  const refuse = (status: number) => (): never => {
    throw operationFailed(status, String(status))
  }
  try {
    return requireAll(...statuses.map(refuse))
  } catch (error) {
    return error
  }
}

test('§0.2 a boolean parameter without a value is true; filter and all-content are headers, too', async t => {
  const { client, path } = await setUpMachine(t, {}, { status: 'down' })
  t.ok('initialization' in (await client.get(`${path}?all_content`)).json)
  t.ok('initialization' in (await client.get(path, { 'all-content': 'true' })).json)
  t.notOk('initialization' in (await client.get(`${path}?all_content=false`)).json)
  t.equal((await client.get('vms', { filter: 'true' })).text, '{ }')
  t.equal((await client.send('DELETE', `${path}?async`)).status, 202)
})
