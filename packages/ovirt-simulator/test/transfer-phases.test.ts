import { test } from 'tap'
import { setUp } from './client.ts'
import {
  KIB64,
  MIB,
  NOTHING_LEFT,
  addDisk,
  downloadDisk,
  finish,
  image,
  phase,
  put,
  readImage,
  startTransfer,
  upload,
} from './flows.ts'

test('§5.2 cancel: an upload takes its disk with it, a download leaves it', async t => {
  const client = await setUp(t)
  const kept = await addDisk(client)
  const gone = await addDisk(client)
  const down = await downloadDisk(client, kept)
  const up = await upload(client, gone)
  t.equal((await finish(client, down.id, 'cancel')).phase, 'finished_failure')
  t.equal((await finish(client, up.id, 'cancel')).phase, 'finished_failure')
  t.equal((await client.get(`disks/${kept}`)).json.status, 'ok')
  t.equal((await client.get(`disks/${gone}`)).status, 404)
})

test('§5.2 pause and resume of an upload: the ticket goes and another comes, what was written stays', async t => {
  const client = await setUp(t)
  const diskId = await addDisk(client)
  const transfer = await upload(client, diskId)
  const path = `imagetransfers/${transfer.id}`
  await put(client, transfer.transfer_url, 0, new Uint8Array(KIB64).fill(1))
  t.equal((await client.post(`${path}/resume`, {})).status, 409, 'not paused')
  t.equal((await client.post(`${path}/pause`, {})).status, 200)
  await client.until(path, ({ json }) => json.phase === 'paused_user' && json.transfer_url === undefined)
  t.equal(await put(client, transfer.transfer_url, 0, new Uint8Array(KIB64)), 403)
  t.equal((await client.post(`${path}/resume`, {})).status, 200)
  const resumed = await phase(client, path, 'transferring')
  t.not(resumed.transfer_url, transfer.transfer_url)
  await put(client, resumed.transfer_url, KIB64, new Uint8Array(KIB64).fill(2))
  t.equal((await finish(client, transfer.id)).phase, 'finished_success')
  const stored = new Uint8Array(2 * KIB64)
  await client.simulator.image(diskId).read(0, stored)
  t.same([stored[0], stored[KIB64]], [1, 2])
})

test('§5.2 §0.3 pausing a download is refused with 400', async t => {
  const client = await setUp(t)
  const transfer = await downloadDisk(client, await addDisk(client))
  t.equal((await client.post(`imagetransfers/${transfer.id}/pause`, {})).status, 400)
})

test('§5.2 an upload that is found bad fails, and its disk is removed', async t => {
  const client = await setUp(t)
  const asked = await addDisk(client)
  client.simulator.faults.failVerification(asked)
  const raw = await upload(client, asked)
  t.equal((await finish(client, raw.id)).phase, 'finished_failure')
  t.equal((await client.get(`disks/${asked}`)).status, 404)
  const noImage = await addDisk(client)
  const cow = await startTransfer(client, { disk: { id: noImage }, direction: 'upload' })
  await put(client, cow.transfer_url, 0, new Uint8Array(KIB64).fill(1))
  t.equal((await finish(client, cow.id)).phase, 'finished_failure', 'no qcow2 image')
  t.equal((await client.get(`disks/${noImage}`)).status, 404)
  t.match(client.simulator.state(), NOTHING_LEFT)
})

for (const { direction, policy, ends } of [
  { direction: 'download', policy: 'legacy', ends: 'finished_failure' },
  { direction: 'upload', policy: 'legacy', ends: 'paused_system' },
  { direction: 'upload', policy: 'pause', ends: 'paused_system' },
  { direction: 'download', policy: 'pause', ends: 'paused_system' },
  { direction: 'upload', policy: 'cancel', ends: 'finished_failure' },
])
  test(`§5.2 inactivity, ${direction} with policy ${policy}: ${ends}`, async t => {
    const client = await setUp(t)
    const { clock } = client.simulator
    const diskId = await addDisk(client)
    const body = { disk: { id: diskId }, direction, format: 'raw', timeout_policy: policy, inactivity_timeout: 120 }
    const transfer = await startTransfer(client, body)
    const path = `imagetransfers/${transfer.id}`
    for (let n = 0; n < 5; n++) {
      await clock.sleep(90_000)
      await image(client, 'OPTIONS', transfer.transfer_url)
    }
    t.equal((await client.get(path)).json.phase, 'transferring', '§5.5 OPTIONS keeps it alive')
    await client.post(`${path}/extend`, {})
    const before = clock.now()
    t.equal((await phase(client, path, ends)).phase, ends, '§5.5 extend does not')
    t.ok(clock.now() - before >= 110_000)
    const disk = await client.get(`disks/${diskId}`)
    t.equal(disk.status, ends === 'finished_failure' && direction === 'upload' ? 404 : 200)
  })

test('§5.2 a ticket that is lost: uploads pause, downloads are cancelled', async t => {
  const client = await setUp(t)
  const [first, second] = [await addDisk(client), await addDisk(client)]
  const up = await upload(client, first)
  const down = await downloadDisk(client, second)
  await put(client, up.transfer_url, 0, new Uint8Array(KIB64).fill(3))
  for (const { id } of [up.host, down.host]) await client.simulator.faults.restartImageio(id)
  t.equal((await phase(client, `imagetransfers/${up.id}`, 'paused_system')).phase, 'paused_system')
  await phase(client, `imagetransfers/${down.id}`, 'finished_failure')
  await client.post(`imagetransfers/${up.id}/resume`, {})
  const resumed = await phase(client, `imagetransfers/${up.id}`, 'transferring')
  t.equal((await readImage(client, resumed.transfer_url, 0, 1))[0], 3)
  await finish(client, up.id)
})

test('§5.2 the entity stays 15 minutes after a success, then 404; before 4.4.7 it goes at once', async t => {
  const client = await setUp(t)
  const { clock } = client.simulator
  const transfer = await downloadDisk(client, await addDisk(client))
  await finish(client, transfer.id)
  await clock.sleep(14 * 60_000)
  t.equal((await client.get(`imagetransfers/${transfer.id}`)).status, 200)
  await clock.sleep(12 * 60_000)
  t.equal((await client.get(`imagetransfers/${transfer.id}`)).status, 404)
  const old = await setUp(t, { profile: 'ovirt-4.4.6' })
  const diskId = await addDisk(old)
  const early = await downloadDisk(old, diskId)
  t.equal((await finish(old, early.id)).phase, 'gone')
  t.equal((await old.get(`disks/${diskId}`)).json.status, 'ok')
})

test('§5.3 a download that was read to the last byte is finalized by the engine; one with gaps is not', async t => {
  const client = await setUp(t)
  const whole = await downloadDisk(client, await addDisk(client), { inactivity_timeout: 3600 })
  const gaps = await downloadDisk(client, await addDisk(client), { inactivity_timeout: 3600 })
  await readImage(client, whole.transfer_url, 0, 4 * MIB)
  await readImage(client, gaps.transfer_url, 0, 3 * MIB)
  await phase(client, `imagetransfers/${whole.id}`, 'finished_success')
  t.equal((await client.post(`imagetransfers/${whole.id}/finalize`, {})).status, 200)
  const open = (await client.get(`imagetransfers/${gaps.id}`)).json
  t.equal(open.phase, 'transferring')
  t.equal(open.transferred, String(3 * MIB))
})
