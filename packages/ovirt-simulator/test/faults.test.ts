import { test } from 'tap'
import { createSimulator, createVirtualClock } from '@granary/ovirt-simulator'
import { Client, setUp } from './client.ts'
import { MIB, addDisk, addMachine, downloadDisk, extentsOf, readImage, readyBackup } from './flows.ts'

const NEW_VM = { name: 'x', cluster: { name: 'Default' }, template: { name: 'Blank' } }

test('a request is applied and its answer lost, for POST, PUT, DELETE and actions', async t => {
  const client = await setUp(t)
  const { faults } = client.simulator
  faults.http.add({ kind: 'lose-answer', method: 'POST', path: '*/vms', times: 1 })
  await t.rejects(client.post('vms', NEW_VM))
  const [vm] = (await client.get('vms')).json.vm
  t.equal(vm.name, 'x')
  faults.http.add({ kind: 'lose-answer', method: 'PUT', times: 1 })
  await t.rejects(client.send('PUT', `vms/${vm.id}`, { body: { name: 'y' } }))
  t.equal((await client.get(`vms/${vm.id}`)).json.name, 'y')
  faults.http.add({ kind: 'lose-answer', path: '*/start', times: 1 })
  await t.rejects(client.post(`vms/${vm.id}/start`, {}))
  await client.until(`vms/${vm.id}`, ({ json }) => json.status === 'up')
  await client.post(`vms/${vm.id}/stop`, {})
  faults.http.add({ kind: 'lose-answer', method: 'DELETE', times: 1 })
  await t.rejects(client.send('DELETE', `vms/${vm.id}`))
  t.equal((await client.get(`vms/${vm.id}`)).status, 404)
})

test('a dropped connection: nothing is applied', async t => {
  const client = await setUp(t)
  client.simulator.faults.http.add({ kind: 'drop', method: 'POST', times: 2 })
  for (let n = 0; n < 2; n++) await t.rejects(client.post('vms', NEW_VM))
  t.same((await client.get('vms')).json, {})
  t.equal((await client.post('vms', NEW_VM)).status, 201)
})

test('§0.2 401 midway, 503 for a time, storms of 409, late answers', async t => {
  const client = await setUp(t)
  const { faults, clock } = client.simulator
  faults.http.add({ kind: 'status', status: 401, after: 1, times: 1 })
  t.same(
    [(await client.get('vms')).status, (await client.get('vms')).status, (await client.get('vms')).status],
    [200, 401, 200],
  )
  faults.http.add({ kind: 'status', status: 503, forMs: 60_000 })
  t.equal((await client.get('vms')).status, 503)
  await clock.sleep(59_000)
  t.equal((await client.get('vms')).status, 503)
  await clock.sleep(1_000)
  t.equal((await client.get('vms')).status, 200)
  faults.http.add({ kind: 'refuse', status: 409, detail: 'Related operation is currently in progress.', times: 3 })
  for (let n = 0; n < 3; n++) {
    const { status, json } = await client.get('vms')
    t.same(
      [status, json],
      [409, { detail: '[Related operation is currently in progress.]', reason: 'Operation Failed' }],
    )
  }
  faults.http.add({ kind: 'delay', ms: 90_000, times: 1 })
  const before = clock.now()
  t.equal((await client.get('vms')).status, 200)
  t.equal(clock.now() - before, 90_000)
})

for (const minutes of [1, 6, 40])
  test(`the engine is away for its clients for ${minutes} min: imageio goes on, tickets are renewed`, async t => {
    const client = await setUp(t)
    const { faults, clock } = client.simulator
    const transfer = await downloadDisk(client, await addDisk(client), { inactivity_timeout: 3600 })
    faults.engineAway(minutes * 60_000, 'network')
    await clock.sleep(minutes * 60_000 - 1000)
    await t.rejects(client.get('vms'))
    t.equal((await readImage(client, transfer.transfer_url, 0, 16)).length, 16)
    await clock.sleep(1000)
    t.equal((await client.get('vms')).status, minutes > 30 ? 401 : 200, 'idle sessions end after 30 min')
  })

test('faults of imageio: late extents, dropped and truncated bodies, an expired ticket', async t => {
  const client = await setUp(t)
  const { faults, clock } = client.simulator
  const diskId = await addDisk(client)
  const transfer = await downloadDisk(client, diskId, { inactivity_timeout: 3600 })
  const { id } = transfer.host
  await faults.imageio(id, { when: ({ resource }) => resource === 'extents', effect: { kind: 'delay', ms: 600_000 } })
  const before = clock.now()
  await extentsOf(client, transfer.transfer_url, 'zero')
  t.equal(clock.now() - before, 600_000)
  for (const kind of ['drop', 'truncate'] as const) {
    await faults.imageio(id, { effect: { kind, afterBytes: 1000 } })
    await t.rejects(readImage(client, transfer.transfer_url, 0, MIB), kind)
  }
  await faults.imageio(id, { effect: { kind: 'expire' } })
  await t.rejects(readImage(client, transfer.transfer_url, 0, 16), /403/)
})

test('§1.3 the certificate of imageio alone is of another authority, or expired', async t => {
  const client = await setUp(t)
  const { faults, site } = client.simulator
  const diskId = await addDisk(client)
  const transfer = await downloadDisk(client, diskId)
  for (const [kind, code] of [
    ['foreign', /CERT|VERIFY|ISSUER/],
    ['expired', /CERT_HAS_EXPIRED/],
  ] as const) {
    for (const hostId of site.hostIds) await faults.setImageioCertificate(hostId, kind)
    await t.rejects(readImage(client, transfer.transfer_url, 0, 16), { code })
    t.equal((await client.get('vms')).status, 200, 'the engine is as it was')
  }
  for (const hostId of site.hostIds) await faults.setImageioCertificate(hostId, 'right')
  t.equal((await readImage(client, transfer.transfer_url, 0, 16)).length, 16)
})

test('others change things midway: disks resized, removed, detached, checkpoints wiped, domains inactive', async t => {
  const client = await setUp(t, { clusterLevel: '4.6' })
  const { faults, site } = client.simulator
  const machine = await addMachine(client, { disks: 3 })
  const [resized = '', removed = '', detached = ''] = machine.diskIds
  const backup = await readyBackup(client, machine)
  await faults.resizeDisk(resized, 8 * MIB)
  t.equal((await client.get(`disks/${resized}`)).json.provisioned_size, String(8 * MIB))
  await faults.removeDisk(removed)
  t.equal((await client.get(`disks/${removed}`)).status, 404)
  faults.detachDisk(machine.vm.id, detached)
  t.equal((await client.get(`vms/${machine.vm.id}/diskattachments`)).json.disk_attachment.length, 1)
  faults.wipeCheckpoints(machine.vm.id)
  t.same((await client.get(`vms/${machine.vm.id}/checkpoints`)).json, {})
  faults.setStorageDomainStatus(site.storageDomains[0]?.id ?? '', 'inactive')
  const refused = await client.post('imagetransfers', {
    disk: { id: resized },
    backup: { id: backup.id },
    direction: 'download',
    format: 'raw',
  })
  t.equal(refused.status, 409)
  const domain = (await client.get(`storagedomains/${site.storageDomains[0]?.id}`)).json
  t.notOk('available' in domain, '§2.5 numbers of an inactive domain are absent')
})

test('a step that fails is no silence: the client sees what happened', async t => {
  const client = await setUp(t)
  client.simulator.moments.once('engine-request', () => {
    throw new Error('the scenario is wrong')
  })
  const { status, text } = await client.get('vms')
  t.equal(status, 500)
  t.match(text, /the simulator failed: Error: the scenario is wrong/)
  t.equal((await client.get('vms')).status, 200)
})

test('a name is taken between the check and the POST', async t => {
  const client = await setUp(t)
  const { simulator } = client
  const { inventory, site, moments } = simulator
  const end = moments.on('engine-request', async ({ request }) => {
    if (request !== 'POST /ovirt-engine/api/vms') return
    end()
    await inventory.addVm({ name: 'x', clusterId: site.clusterId })
  })
  t.same((await client.get('vms?search=name%3Dx')).json, {})
  t.equal((await client.post('vms', NEW_VM)).status, 409)
})

test('two installations and a foreign product on one clock', async t => {
  await using clock = createVirtualClock()
  const first = await createSimulator({ dir: t.testdir(), clock })
  await using second = await createSimulator({ dir: t.testdirName, clock, profile: 'zvirt-4.0' })
  const clients = [await new Client(first).signIn(), await new Client(second).signIn()]
  t.teardown(() => clients.forEach(client => client.close()))
  const machines = [await addMachine(clients[0] as Client), await addMachine(clients[1] as Client)]
  for (const [n, client] of clients.entries()) {
    const foreign = await readyBackup(client, machines[n] as never, { description: 'SomeOtherBackup 7.1' })
    t.equal(foreign.phase, 'ready')
    t.equal(foreign.description, 'SomeOtherBackup 7.1')
  }
  await first[Symbol.asyncDispose]()
  await clock.sleep(600_000)
  t.equal((await (clients[1] as Client).get('vms')).status, 200, 'the other goes on')
})
