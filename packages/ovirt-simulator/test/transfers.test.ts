import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { test } from 'tap'
import { setUp } from './client.ts'
import {
  KIB64,
  MIB,
  NOTHING_LEFT,
  addDisk,
  addMachine,
  downloadBackup,
  downloadDisk,
  endBackup,
  extentsOf,
  finish,
  image,
  patch,
  phase,
  put,
  readImage,
  readyBackup,
  startTransfer,
  upload,
} from './flows.ts'

test('§5.1 the object: image instead of disk, no backup, numbers as strings, URLs while there is a ticket', async t => {
  const client = await setUp(t, { clusterLevel: '4.6' })
  const machine = await addMachine(client)
  const backup = await readyBackup(client, machine)
  const body = {
    disk: { id: machine.diskIds[0] },
    backup: { id: backup.id },
    direction: 'download',
    format: 'raw',
    timeout_policy: 'cancel',
  }
  const posted = await client.post('imagetransfers', body)
  t.equal(posted.status, 201)
  t.notOk('transfer_url' in posted.json)
  t.equal(posted.json.phase, 'initializing')
  const shown = await phase(client, `imagetransfers/${posted.json.id}`, 'transferring')
  t.equal(shown.image.id, machine.diskIds[0])
  t.notOk('disk' in shown)
  t.notOk('backup' in shown)
  t.match(shown, {
    active: 'false',
    inactivity_timeout: '60',
    timeout_policy: 'cancel',
    shallow: 'false',
    direction: 'download',
  })
  t.equal(shown.host.id, machine.vm.hostId, 'a live backup goes by the host of its VM')
  t.match(shown.transfer_url, /^https:\/\/127\.\d+\.\d+\.1:54322\/images\/[0-9a-f-]{36}$/)
  t.match(shown.proxy_url, /\/images\//)
  t.not(shown.proxy_url, shown.transfer_url)
  for (const action of ['finalize', 'cancel', 'pause', 'resume', 'extend'])
    t.ok(shown.actions.link.some((link: any) => link.rel === action))
  await finish(client, shown.id)
  t.notOk('transfer_url' in (await client.get(`imagetransfers/${shown.id}`)).json)
})

test('§5.1 what is refused: cow for a backup, a backup that is not ready, plugged, locked and unknown disks', async t => {
  const client = await setUp(t, { clusterLevel: '4.6' })
  const machine = await addMachine(client)
  const disk = { id: machine.diskIds[0] }
  const post = async (body: object): Promise<number> => (await client.post('imagetransfers', body)).status
  t.equal(await post({ disk, direction: 'download', format: 'raw' }), 409, 'plugged to a VM that is not down')
  t.equal(await post({ disk: { id: '123e4567-e89b-42d3-a456-426614174000' }, direction: 'download' }), 404)
  t.equal(await post({ direction: 'download' }), 400)
  const path = `vms/${machine.vm.id}/backups`
  const early = (await client.post(path, { disks: { disk: [disk] } })).json
  t.equal(await post({ disk, backup: { id: early.id }, direction: 'download', format: 'raw' }), 409, 'not ready')
  await phase(client, `${path}/${early.id}`, 'ready')
  t.equal(await post({ disk, backup: { id: early.id }, direction: 'download', format: 'cow' }), 400)
  const floating = await addDisk(client)
  await upload(client, floating)
  t.equal(await post({ disk: { id: floating }, direction: 'upload', format: 'raw' }), 409, 'locked')
  t.equal(await post({ disk: { id: floating }, direction: 'upload', format: 'raw', shallow: true }), 400)
})

test('§5.1 uploads lock their disk; downloads share it', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  const body = { disk: { id: diskId }, direction: 'download', format: 'raw' }
  const first = await startTransfer(client, body)
  const second = await startTransfer(client, body)
  t.equal((await client.get(`disks/${diskId}`)).json.status, 'locked')
  t.equal((await client.post('imagetransfers', { disk: { id: diskId }, direction: 'upload' })).status, 409)
  await finish(client, first.id)
  t.equal((await client.get(`disks/${diskId}`)).json.status, 'locked')
  await finish(client, second.id)
  t.equal((await client.get(`disks/${diskId}`)).json.status, 'ok')
})

test('§5.1 an upload, there and back: PUT, zero, flush, finalize, verified', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  const transfer = await upload(client, diskId)
  const bytes = new Uint8Array(MIB).map((_, n) => n % 251)
  t.equal(await put(client, transfer.transfer_url, KIB64, bytes), 200)
  t.equal(await patch(client, transfer.transfer_url, { op: 'zero', offset: 2 * KIB64, size: KIB64, flush: false }), 200)
  t.equal(await patch(client, transfer.transfer_url, { op: 'flush' }), 200)
  t.equal((await finish(client, transfer.id)).phase, 'finished_success')
  const stored = new Uint8Array(4 * MIB)
  await client.simulator.image(diskId).read(0, stored)
  const wanted = new Uint8Array(4 * MIB)
  wanted.set(bytes, KIB64)
  wanted.fill(0, 2 * KIB64, 3 * KIB64)
  t.ok(Buffer.compare(stored, wanted) === 0)
  t.match(client.simulator.state(), NOTHING_LEFT)
})

test('§5.1 without format raw the bytes of the volume are moved: qcow2 out, and in again', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  await client.simulator.image(diskId).write(MIB, new Uint8Array(KIB64).fill(7))
  const down = await startTransfer(client, { disk: { id: diskId }, direction: 'download' })
  t.equal(down.format, 'cow')
  const whole = await image(client, 'GET', down.transfer_url)
  t.equal(whole.bytes.subarray(0, 4).toString('latin1'), 'QFI\xfb')
  const [only, ...more] = await extentsOf(client, down.transfer_url, 'zero')
  t.same([only.zero, more.length], [false, 0], 'one extent of data')
  await finish(client, down.id)
  const target = await addDisk(client)
  const up = await startTransfer(client, { disk: { id: target }, direction: 'upload' })
  t.equal(await put(client, up.transfer_url, 0, whole.bytes), 200)
  t.equal((await finish(client, up.id)).phase, 'finished_success')
  const stored = new Uint8Array(KIB64)
  await client.simulator.image(target).read(MIB, stored)
  t.ok(stored.every(byte => byte === 7))
})

test('§5.1 a layer alone (shallow) and a layer with all below it', async t => {
  const client = await setUp(t)
  const machine = await addMachine(client, { status: 'down' })
  const [diskId = ''] = machine.diskIds
  const path = `vms/${machine.vm.id}/snapshots`
  const snapshot = (await client.post(path, { description: 'x' })).json
  await client.until(`${path}/${snapshot.id}`, ({ json }) => json.snapshot_status === 'ok')
  await client.simulator.image(diskId).write(2 * MIB, new Uint8Array(KIB64).fill(5))
  const layers = (await client.get(`disks/${diskId}/disksnapshots`)).json.disk_snapshot
  t.equal(layers.length, 2)
  const [base, top] = layers
  t.equal(top.parent.id, base.id)
  t.equal(base.snapshot.id, snapshot.id)
  const body = { direction: 'download', format: 'raw' }
  const old = await startTransfer(client, { ...body, snapshot: { id: base.id } })
  t.ok((await readImage(client, old.transfer_url, 2 * MIB, KIB64)).every(byte => byte === 0))
  const alone = await startTransfer(client, { ...body, snapshot: { id: top.id }, shallow: true })
  const extents = await extentsOf(client, alone.transfer_url, 'zero')
  t.same(
    extents.filter(extent => !extent.hole).map(extent => extent.start),
    [2 * MIB],
  )
  for (const { id } of [old, alone]) await finish(client, id)
})

test('§5.4 finalize, cancel and extend of what does not exist are answered with 200', async t => {
  const client = await setUp(t)
  const path = 'imagetransfers/123e4567-e89b-42d3-a456-426614174000'
  for (const action of ['finalize', 'cancel', 'extend'])
    t.equal((await client.post(`${path}/${action}`, {})).status, 200)
  t.equal((await client.get(path)).status, 404)
})

test('§5.4 a request that still runs keeps the engine in finalizing_success', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client, { provisioned_size: 64 * MIB })
  const transfer = await downloadDisk(client, diskId)
  const agent = new Agent({ ca: client.simulator.ca })
  const unread = request(transfer.transfer_url, { agent }).end()
  unread.on('error', () => undefined)
  const [response] = (await once(unread, 'response')) as [IncomingMessage]
  const path = `imagetransfers/${transfer.id}`
  await client.until(path, ({ json }) => json.active === 'true')
  await client.post(`${path}/finalize`, {})
  await client.simulator.clock.sleep(45_000)
  t.equal((await client.get(path)).json.phase, 'finalizing_success')
  response.destroy()
  t.equal((await phase(client, path, 'finished_success')).phase, 'finished_success')
})

test('§5.5 a ticket lives 300 s, renewed by the engine; while the engine is down it expires', async t => {
  const client = await setUp(t)
  const { simulator } = client
  const diskId = await addDisk(client)
  const transfer = await downloadDisk(client, diskId, { inactivity_timeout: 3600 })
  await simulator.clock.sleep(900_000)
  t.equal((await readImage(client, transfer.transfer_url, 0, 16)).length, 16, 'renewed')
  simulator.faults.engineAway(3_600_000, 'down')
  await simulator.clock.sleep(240_000)
  t.equal((await readImage(client, transfer.transfer_url, 16, 16)).length, 16, 'imageio goes on')
  await t.rejects(client.get('vms'))
  await simulator.clock.sleep(360_000)
  const expired = await image(client, 'GET', transfer.transfer_url, { headers: { range: 'bytes=0-15' } })
  t.equal(expired.status, 403)
  t.match(expired.bytes.toString(), /expired/)
  await simulator.clock.sleep(3_600_000)
  t.equal((await client.get('vms')).status, 401, 'the session is forgotten')
})

test('§5.6 to start a transfer needs rights on the disk, to end it needs them on the system', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  client.simulator.inventory.addAccount('user@internal', 'x', [`EDIT_DISK_PROPERTIES@${diskId}`])
  await client.signIn('user@internal', 'x')
  const transfer = await downloadDisk(client, diskId)
  for (const action of ['finalize', 'cancel', 'extend', 'pause', 'resume'])
    t.equal((await client.post(`imagetransfers/${transfer.id}/${action}`, {})).status, 403)
})

test('§5.7 the proxy serves the same image, also where the host cannot be reached', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  await client.simulator.image(diskId).write(0, new Uint8Array(KIB64).fill(8))
  for (const hostId of client.simulator.site.hostIds) await client.simulator.faults.hideHost(hostId)
  const transfer = await downloadDisk(client, diskId)
  t.ok((await readImage(client, transfer.proxy_url, 0, KIB64)).every(byte => byte === 8))
  await finish(client, transfer.id)
})

test('§5.7 a plain transfer goes by the host that was asked for, and fails without one', async t => {
  const client = await setUp(t)
  const { site } = client.simulator
  const diskId = await addDisk(client)
  const [, second] = site.hostIds
  const transfer = await downloadDisk(client, diskId, { host: { id: second } })
  t.equal(transfer.host.id, second)
  await finish(client, transfer.id)
  for (const id of site.hostIds) await client.simulator.crashHost(id)
  t.equal((await client.post('imagetransfers', { disk: { id: diskId }, direction: 'download' })).status, 409)
})

test('§3.3 on block storage nobody extends a volume during an upload: beyond initial_size it fails with 500', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client, { provisioned_size: 8 * MIB, initial_size: 2 * MIB }, 1)
  const transfer = await upload(client, diskId)
  t.equal(await put(client, transfer.transfer_url, 0, new Uint8Array(MIB).fill(1)), 200)
  const statuses = [
    await put(client, transfer.transfer_url, MIB, new Uint8Array(4 * MIB).fill(1)),
    await patch(client, transfer.transfer_url, { op: 'flush' }),
  ]
  t.ok(statuses.includes(500), String(statuses))
})

test('§6.3 a host that crashes loses what imageio had not flushed, and keeps what it had', async t => {
  const client = await setUp(t)
  const { simulator } = client
  const diskId = await addDisk(client)
  const transfer = await upload(client, diskId)
  await put(client, transfer.transfer_url, 0, new Uint8Array(KIB64).fill(1))
  await patch(client, transfer.transfer_url, { op: 'flush' })
  await put(client, transfer.transfer_url, KIB64, new Uint8Array(KIB64).fill(2))
  await simulator.crashHost(transfer.host.id)
  simulator.recoverHost(transfer.host.id)
  await phase(client, `imagetransfers/${transfer.id}`, 'paused_system')
  const stored = new Uint8Array(2 * KIB64)
  await simulator.image(diskId).read(0, stored)
  t.same([stored[0], stored[KIB64]], [1, 0])
})

test('§2.2 §5.1 a backup of a raw disk on block storage is read like any other', async t => {
  const client = await setUp(t, { clusterLevel: '4.6' })
  const machine = await addMachine(client, { domain: 1, disk: { format: 'raw' } })
  const backup = await readyBackup(client, machine)
  const transfer = await downloadBackup(client, backup.id, machine.diskIds[0])
  t.ok((await readImage(client, transfer.transfer_url, 0, KIB64)).every(byte => byte === 1))
  const dirty = await image(client, 'GET', `${transfer.transfer_url}/extents?context=dirty`)
  t.equal(dirty.status, 404, '§6.5 not enabled for dirty extents')
  await finish(client, transfer.id)
  await endBackup(client, machine, backup.id)
  t.match(client.simulator.state(), NOTHING_LEFT)
})
