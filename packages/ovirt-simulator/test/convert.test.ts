import { test } from 'tap'
import type { Reply } from './client.ts'
import { HYBRID, setUpMachine, wholeBackup } from './flows.ts'

test('§2.2 convert: another shape with the same content, and no bitmaps; from level 4.7 of newer engines on', async t => {
  const { client, machine, simulator } = await setUpMachine(t, HYBRID, { status: 'down', disk: { format: 'raw' } })
  const [diskId = ''] = machine.diskIds
  const path = `disks/${diskId}`
  const before = await simulator.record(diskId)
  const { image_id: oldImage, actions } = (await client.get(path)).json
  t.same(actions.link, [{ href: `/ovirt-engine/api/${path}/convert`, rel: 'convert' }])
  const convert = async (disk: object): Promise<Reply> => await client.post(`${path}/convert`, { disk })
  t.equal((await client.post(`${path}/convert`, {})).status, 400)
  t.equal((await convert({ format: 'cow', sparse: false, backup: 'none' })).status, 400, 'no such shape')
  const asked = await convert({ format: 'cow', sparse: true, backup: 'incremental' })
  t.equal(asked.status, 202)
  t.equal((await client.get(path)).json.status, 'locked')
  t.equal((await convert({ format: 'raw', sparse: false })).status, 409)
  await client.until(path, ({ json }) => json.status === 'ok')
  const { image_id: newImage, ...converted } = (await client.get(path)).json
  t.match(converted, { format: 'cow', sparse: 'true', backup: 'incremental', qcow_version: 'qcow2_v3' })
  t.not(newImage, oldImage)
  t.same(await simulator.differences(before, simulator.disk(diskId).volume!.open()), [])
  await client.until(`jobs/${asked.json.job.id}`, ({ json }) => json.status === 'finished')
  const backup = await wholeBackup(client, machine)
  await convert({ format: 'raw', sparse: false, backup: 'none' })
  await client.until(path, ({ json }) => json.status === 'ok')
  t.equal((await client.get(`vms/${machine.vm.id}/checkpoints/${backup.to_checkpoint_id}`)).status, 404)
  t.equal((await simulator.record(diskId)).sizeBytes, before.sizeBytes)
  t.same(simulator.state().lockedDisks, [])
})

test('§2.2 convert is refused where it cannot be: plugged, with snapshots, below the level, by old engines, without room', async t => {
  const wanted = { disk: { format: 'raw', sparse: false, backup: 'none' } }
  const { client, machine, simulator, path } = await setUpMachine(t, HYBRID, { domain: 1 })
  const target = `disks/${machine.diskIds[0]}/convert`
  t.equal((await client.post(target, wanted)).status, 409, 'plugged')
  machine.vm.status = 'down'
  const domain = simulator.site.storageDomains[1]
  if (domain !== undefined) domain.space.capacityBytes = domain.space.usedBytes
  const { json } = await client.post(target, wanted)
  await client.until(`jobs/${json.job.id}`, reply => reply.json.status === 'failed')
  t.match((await client.get(`disks/${machine.diskIds[0]}`)).json, { format: 'cow', status: 'ok' })
  if (domain !== undefined) domain.space.capacityBytes *= 2
  const snapshot = (await client.post(`${path}/snapshots`, { description: 'x' })).json
  await client.until(`${path}/snapshots/${snapshot.id}`, reply => reply.json.snapshot_status === 'ok')
  t.match(await client.post(target, wanted), { status: 409, json: { fault: { detail: /snapshots/ } } })
  const old = await setUpMachine(t, { clusterLevel: '4.6' }, { status: 'down' })
  t.equal((await old.client.post(`disks/${old.machine.diskIds[0]}/convert`, wanted)).status, 400)
  const older = await setUpMachine(t, { profile: 'ovirt-4.4' }, { status: 'down' })
  t.equal((await older.client.post(`disks/${older.machine.diskIds[0]}/convert`, wanted)).status, 404)
})
