import t from 'tap'
import { listSnapshots } from '@granary/dedup-store'
import { backupVms, chooseVms, machineOf } from '../../src/index.ts'
import type { OpenImage, VmResult } from '../../src/index.ts'
import { World, MIB, pattern } from './world.ts'

t.setTimeout(600_000)
const SLOW = { timeout: 120_000 }

t.test(
  'states: up and down go on, passing ones are waited for and named, others fail at once with a hint',
  SLOW,
  async t => {
    await using world = await World.open()
    const vmId = await world.addVm('web', [{ sizeBytes: MIB }], [65_536])
    const vm = world.simulator.vm(vmId)
    for (const status of ['paused', 'suspended', 'unknown', 'not_responding', 'unassigned']) {
      vm.status = status
      const startMs = world.simulator.clock.now()
      await t.rejects(
        world.backUp(vmId),
        { code: 'GRANARY_UNSUPPORTED', message: new RegExp(status), hint: /\w/ },
        status,
      )
      t.ok(world.simulator.clock.now() - startMs < 60_000, 'at once')
    }
    const passing = [
      'migrating',
      'powering_up',
      'powering_down',
      'wait_for_launch',
      'reboot_in_progress',
      'saving_state',
    ]
    for (const status of [...passing, 'restoring_state', 'image_locked']) {
      vm.status = status
      const startMs = world.simulator.clock.now()
      await t.rejects(world.backUp(vmId), { code: 'GRANARY_LOCKED', message: new RegExp(`web: ${status}`) }, status)
      t.ok(world.simulator.clock.now() - startMs >= 600_000, 'after vm_state_timeout')
    }
    vm.status = 'migrating'
    world.simulator.clock.schedule(30_000, () => void (vm.status = 'up'))
    t.equal((await world.backUp(vmId)).snapshot.backupKind, 'full')
    Object.assign(vm, { status: 'down', hostId: undefined })
    await t.rejects(world.backUp(vmId, { backsUpIfShutdown: false }), {
      code: 'GRANARY_UNSUPPORTED',
      hint: /backup_if_shutdown/,
    })
    t.equal((await world.backUp(vmId)).frozen, 'no')
    t.strictSame(world.leftovers(), {})
  },
)

t.test(
  'a requirement of consistency: kept by live engines, asked for in the older way of hybrid ones, else a failure',
  SLOW,
  async t => {
    for (const [clusterLevel, method] of [
      ['4.6', 'live'],
      ['4.7', 'live'],
    ] as const) {
      await using world = await World.open({ clusterLevel })
      const vmId = await world.addVm('web', [{ sizeBytes: MIB }], [65_536])
      const report = await world.backUp(vmId, { requireConsistency: true })
      t.match(report, { method, frozen: 'yes' }, clusterLevel)
      t.equal(machineOf(report.snapshot)?.frozen, 'yes')
      world.simulator.vm(vmId).hasAgent = false
      await t.rejects(world.backUp(vmId, { requireConsistency: true }), { code: 'GRANARY_REMOTE' }, 'no agent')
      t.equal((await world.backUp(vmId)).frozen, 'unknown')
      t.strictSame(world.leftovers(), {})
    }
  },
)

t.test('what is not in the copy is told everywhere, and an error where all disks are required', SLOW, async t => {
  await using world = await World.open({ clusterLevel: '4.6' })
  const vmId = await world.addVm(
    'web',
    [
      { sizeBytes: MIB },
      { sizeBytes: MIB, alias: 'lun', storageType: 'lun' },
      { sizeBytes: MIB, alias: 'shared', shareable: true, format: 'raw' },
      { sizeBytes: MIB, alias: 'unplugged', active: false },
      { sizeBytes: MIB, alias: 'out' },
    ],
    [65_536],
  )
  const unplugged = world.diskIds(vmId)[3] ?? ''
  await world.simulator.image(unplugged).write(0, pattern(70_000, 9))
  const report = await world.backUp(vmId, { excludeDisks: ['out'] })
  t.strictSame(
    report.notCopied.map(({ alias, reason }) => `${alias}: ${reason}`),
    ['lun: lun', 'shared: shareable', 'out: excluded'],
  )
  t.strictSame(
    report.snapshot.disks.map(({ name }) => name),
    ['web_Disk1', 'unplugged'],
    'a disk that is not active is read by a plain transfer',
  )
  t.equal(report.snapshot.disks[1]?.stats.dataBytes, 73_728)
  t.match(machineOf(report.snapshot)?.notCopied, [{ alias: 'lun' }, { alias: 'shared' }, { alias: 'out' }])
  t.match(machineOf(report.snapshot)?.disks, [{ diskProfile: { name: /\w/ } }], 'names another engine can look for')
  t.match(report.warnings, [/disk lun is not in the copy: lun/, /disk shared is not in the copy: shareable/])
  await t.rejects(world.backUp(vmId, { requireAllDisks: true }), {
    code: 'GRANARY_UNSUPPORTED',
    message: /lun \(lun\)/,
  })
  t.equal((await listSnapshots(world.repository.context)).length, 1)
  t.strictSame(world.leftovers(), {})
})

t.test('raw disks only: no checkpoint, still a success; a machine without disks: its configuration', SLOW, async t => {
  await using world = await World.open()
  const raw = await world.addVm('raw', [{ sizeBytes: MIB, format: 'raw' }], [65_536])
  const first = await world.backUp(raw)
  t.match(first, { checkpointId: undefined, warnings: [] })
  const second = await world.backUp(raw)
  t.strictSame(await world.differing(second), [])
  t.match(second.warnings, [/made no checkpoint/])
  const bare = await world.backUp(await world.addVm('bare', []))
  t.match(bare, { method: 'none', snapshot: { disks: [] } })
  t.equal(machineOf(bare.snapshot)?.vm['name'], 'bare')
})

t.test('only the disk that changed its ways is read in full: new, resized, without its flag', SLOW, async t => {
  await using world = await World.open()
  const vmId = await world.addVm(
    'web',
    [{ sizeBytes: 2 * MIB }, { sizeBytes: 2 * MIB }, { sizeBytes: 2 * MIB, backup: 'none' }],
    [MIB, MIB, MIB],
  )
  await world.backUp(vmId)
  const { inventory, site } = world.simulator
  const added = await inventory.addDisk({
    sizeBytes: 2 * MIB,
    storageDomainId: site.storageDomains[0]?.id ?? '',
    alias: 'added',
  })
  inventory.attach(world.simulator.vm(vmId), added)
  await world.simulator.image(added.id).write(0, pattern(MIB, 7))
  const [, resized = ''] = world.diskIds(vmId)
  await world.simulator.faults.resizeDisk(resized, 3 * MIB)
  const report = await world.backUp(vmId)
  t.equal(report.snapshot.backupKind, 'incremental')
  t.strictSame(await world.differing(report), [])
  t.strictSame(report.warnings.map(text => text.replace(/disk (\w+) is read in full: /, '$1: ')).toSorted(), [
    'added: it is new',
    'web_Disk2: its size has changed',
    'web_Disk3: incremental backup is not enabled for it',
  ])
  t.equal(report.snapshot.disks[0]?.stats.readBytes, 0)
})

t.test('checkpoints of others are left alone, unless a full backup is told to remove all', SLOW, async t => {
  await using world = await World.open({ config: ['remove_vm_checkpoints_at_full_backup yes'] })
  const vmId = await world.addVm('web', [{ sizeBytes: MIB }], [65_536])
  await world.backUp(vmId)
  const vm = world.simulator.vm(vmId)
  const foreign = await world.backUpForeign(vmId)
  const incremental = await world.backUp(vmId)
  t.equal(incremental.snapshot.backupKind, 'incremental')
  t.notOk(incremental.removedCheckpoints.includes(foreign))
  const full = await world.backUp(vmId, { kind: 'full' })
  t.ok(full.removedCheckpoints.includes(foreign))
  t.strictSame(
    vm.checkpoints.map(({ id }) => id),
    [full.checkpointId],
  )
})

t.test("the engine's own machine is left out of all, and refused by name", SLOW, async t => {
  await using world = await World.open()
  await world.addVm('web', [])
  const own = await world.addVm('HostedEngine', [])
  Object.assign(world.simulator.vm(own).config, { origin: 'managed_hosted_engine' })
  t.strictSame(
    (await chooseVms(world.engine, { all: true })).map(({ name }) => name),
    ['web'],
  )
  t.strictSame(
    (await chooseVms(world.engine, { names: ['w*'], exclude: ['x*'] })).map(({ name }) => name),
    ['web'],
  )
  await t.rejects(chooseVms(world.engine, { all: true, exclude: ['web'] }), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(chooseVms(world.engine, { names: ['nobody'] }), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(world.backUp(own), { code: 'GRANARY_UNSUPPORTED', hint: /engine-backup/ })
})

for (const how of ['refused', 'silent'] as const) {
  t.test(
    `many machines within bounds, a host out of reach (${how}): its machines fail, all others do not`,
    SLOW,
    async t => {
      const many = process.env['GRANARY_TEST_LONG'] === undefined ? 8 : 100
      t.comment(`${many} machines`)
      await using world = await World.open({ config: ['vms_at_once 4', 'vms_per_host 3'] })
      for (let i = 0; i < many; i++) await world.addVm(`vm${i}`, [{ sizeBytes: MIB }], [65_536])
      const [lost = '', good] = world.simulator.site.hostIds
      const vms = await chooseVms(world.engine, { all: true })
      const onLost = vms.filter((_, i) => i % 4 === 1).map(({ id }) => id)
      for (const { id } of vms) world.simulator.vm(id).hostId = onLost.includes(id) ? lost : good
      // The others must answer in that time, too, on a machine that does much else.
      if (how === 'silent') world.connectTimeoutMs = 3000
      await world.simulator.faults.cutHost(lost, how)
      const results: VmResult[] = []
      // The proxy beside the engine, which would reach it, is not offered.
      const openImage: OpenImage = async options => await world.openImage({ ...options, proxyUrl: undefined })
      const all = await backupVms(
        { ...world.context, openImage },
        {
          vms: await chooseVms(world.engine, { all: true }),
          workers: 0,
          onResult: result => results.push(result),
        },
      )
      t.equal(all.length, many)
      t.equal(results.length, many)
      const failed = all.filter(result => 'error' in result)
      t.strictSame(failed.map(({ vm }) => vm.id).toSorted(), onLost.toSorted())
      for (const { error } of failed) t.match(error, { code: 'GRANARY_IO' }, error.message)
      await world.simulator.faults.cutHost(lost, 'reachable')
      t.strictSame(world.leftovers(), {})
      t.strictSame(world.journal.pending, [])
    },
  )
}
