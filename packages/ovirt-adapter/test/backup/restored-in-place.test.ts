import t from 'tap'
import {
  BACKUP_UNDO,
  openImageUpload,
  planInPlace,
  readInPlaceTarget,
  recover,
  requirePlan,
  restoreInPlace,
  restoreUndo,
  storedSource,
} from '../../src/index.ts'
import type { InPlaceReport, Recovered } from '../../src/index.ts'
import { readVm } from '../../src/engine/resources/vms.ts'
import { World, MIB, pattern } from './world.ts'

const restoreOver = async (world: World, vmId: string, snapshotId: string): Promise<InPlaceReport> => {
  const { engine, journal, config: settings, simulator } = world
  const source = await storedSource(world.repository, snapshotId)
  const target = await readInPlaceTarget(engine, await readVm(engine, vmId), {})
  const openUpload = async (options: Parameters<Parameters<typeof restoreInPlace>[0]['openUpload']>[0]) =>
    await openImageUpload({
      ...options,
      clock: simulator.clock,
      isLocalAllowed: false,
      connectTimeoutMs: world.connectTimeoutMs,
    })
  return await restoreInPlace(
    { engine, journal, settings, openUpload },
    source,
    requirePlan(planInPlace(source, target)),
  )
}

const recoverAll = async ({ engine, journal, config: settings }: World): Promise<readonly Recovered[]> => {
  const undo = { ...BACKUP_UNDO, ...restoreUndo({ journal, settings, ageLimitMs: settings.restoreAgeLimitMs }) }
  return await recover({ engine, journal, undo })
}

t.test('after a restore in place the next backup is a full one, in every repository', async t => {
  await using world = await World.open()
  const vmId = await world.addVm('web', [{ sizeBytes: 8 * MIB }], [2 * MIB])
  const [disk = ''] = world.diskIds(vmId)
  Object.assign(world.simulator.vm(vmId), { status: 'down', hostId: undefined })
  const first = await world.backUp(vmId)
  await world.simulator.image(disk).write(MIB, pattern(100_000, 7))
  await world.backUp(vmId)
  // Of this installation, for another repository.
  const [one] = world.simulator.vm(vmId).checkpoints
  const description = `granary ${world.journal.installation} cafebabe run x`
  world.simulator.vm(vmId).checkpoints.push({ ...one!, id: 'c0000000-0000-0000-0000-000000000001', description })
  const report = await restoreOver(world, vmId, first.snapshot.id)
  t.equal(report.removedCheckpoints.length, 3)
  t.strictSame(world.simulator.vm(vmId).checkpoints, [])
  t.strictSame(world.journal.pending, [])
  const next = await world.backUp(vmId)
  t.equal(next.snapshot.backupKind, 'full')
  t.strictSame(await world.differing(next), [])
})

t.test('where checkpoints can not be removed, no backup starts from them, until they are', async t => {
  await using world = await World.open()
  const vmId = await world.addVm('web', [{ sizeBytes: 8 * MIB }], [2 * MIB])
  const [disk = ''] = world.diskIds(vmId)
  Object.assign(world.simulator.vm(vmId), { status: 'down', hostId: undefined })
  const first = await world.backUp(vmId)
  await world.simulator.image(disk).write(MIB, pattern(100_000, 7))
  const stale = world.simulator.vm(vmId).checkpoints.map(({ id }) => id)
  world.simulator.faults.http.add({
    kind: 'refuse',
    status: 409,
    detail: '[Related operation is in progress.]',
    method: 'DELETE',
    path: '*/checkpoints/*',
  })
  const report = await restoreOver(world, vmId, first.snapshot.id)
  t.match(report.warnings, [/checkpoints from before the restore are still there/])
  t.equal(world.journal.pending.length, 1)

  await world.restart()
  t.match(await recoverAll(world), [{ outcome: { kind: 'left', text: /no backup starts from them/ } }])
  const full = await world.backUp(vmId)
  t.equal(full.snapshot.backupKind, 'full')
  t.match(full.warnings, [/was restored in place since its last backup: a full backup/])
  t.strictSame(await world.differing(full), [])
  await world.simulator.image(disk).write(3 * MIB, pattern(100_000, 8))
  const next = await world.backUp(vmId)
  t.equal(next.snapshot.backupKind, 'incremental', 'from the checkpoint that was made after the restore')
  t.strictSame(await world.differing(next), [])

  world.simulator.faults.http.clear()
  await world.restart()
  t.match(await recoverAll(world), [{ outcome: { kind: 'undone' } }])
  const left = world.simulator.vm(vmId).checkpoints.map(({ id }) => id)
  t.ok(left.length > 0 && stale.every(id => !left.includes(id)), 'only those from before the restore are gone')
  const last = await world.backUp(vmId)
  t.equal(last.snapshot.backupKind, 'incremental')
  t.strictSame(await world.differing(last), [])
  t.strictSame(await world.journal.allPending(), [])
  t.strictSame(world.leftovers(), {})
})

t.test('an engine before 4.4.7 removes no checkpoint of a machine that is down: refused beforehand', async t => {
  await using world = await World.open({ profile: 'ovirt-4.4.6', clusterLevel: '4.6' })
  const vmId = await world.addVm('web', [{ sizeBytes: 4 * MIB }], [MIB])
  const { snapshot } = await world.backUp(vmId)
  Object.assign(world.simulator.vm(vmId), { status: 'down', hostId: undefined })
  const before = world.simulator.requests.length
  await t.rejects(restoreOver(world, vmId, snapshot.id), {
    code: 'GRANARY_INVALID_ARGUMENT',
    message: /engine before 4\.4\.7 removes none of a machine that is down: restore to new disks/,
  })
  t.ok(
    world.simulator.requests.slice(before).every(({ method }) => method === 'GET'),
    'nothing was begun',
  )
})

t.test('a disk that was away for a backup is read in full, whatever the checkpoint says', async t => {
  await using world = await World.open()
  const vmId = await world.addVm('web', [{ sizeBytes: 4 * MIB }, { sizeBytes: 4 * MIB }], [MIB, MIB])
  const [, data = ''] = world.diskIds(vmId)
  await world.backUp(vmId, { kind: 'full' })
  const vm = world.simulator.vm(vmId)
  const attached = vm.attachments.get(data)!
  vm.attachments.delete(data) // As an engine before 2026-04 does it: its bitmaps stay.
  await world.backUp(vmId, { kind: 'incremental' })
  vm.attachments.set(data, attached)
  const back = await world.backUp(vmId, { kind: 'differential' })
  t.match(back.warnings, [/is read in full: a copy since the last full one lacks it/])
  t.strictSame(await world.differing(back), [])
})
