import t from 'tap'
import type { Test } from 'tap'
import { restoreMachine, splitOvfSecrets } from '../../src/index.ts'
import type { ReadableSource, RestoreChoices, RestoreReport } from '../../src/index.ts'
import { MIB, NOTHING_LEFT, addMachine, compare, differencesOf, openSite, sourceOf } from './restore-site.ts'
import { sampleOvf } from '../ovf/sample-ovf.ts'
import type { RestoreSite } from './restore-site.ts'

/** Restores, and holds every disk against what it should be. */
const restoreAndCompare = async (
  t: Test,
  site: RestoreSite,
  source: ReadableSource,
  choices: RestoreChoices = {},
): Promise<RestoreReport> => {
  await using journal = await site.openJournal()
  const report = await restoreMachine(site.context(journal), source, await site.plan(source, choices))
  await compare(t, site, source, report)
  t.match(site.simulator.state(), NOTHING_LEFT)
  t.same(journal.pending, [])
  return report
}

t.test('a machine is restored beside its original', async t => {
  await using site = await openSite()
  await using journal = await site.openJournal()
  const source = await sourceOf(site, await addMachine(site))
  const steps: string[] = []
  const context = site.context(journal, { onEvent: event => event.type === 'step' && steps.push(event.step) })
  const report = await restoreMachine(context, source, await site.plan(source))
  await compare(t, site, source, report)
  const vm = site.simulator.vm(report.vmId ?? '')
  t.equal(report.name, 'web_1')
  t.match(vm.config, { description: 'the web server', comment: 'kept' })
  t.same(
    [...vm.attachments.keys()],
    report.disks.map(({ id }) => id),
    'in their order',
  )
  t.match([...vm.attachments.values()], [{ isBootable: true, isActive: true }, { isBootable: false }])
  t.match(
    [...vm.nics.values()],
    [
      { name: 'nic1', interface: 'virtio' },
      { name: 'nic2', interface: 'e1000', linked: false },
    ],
  )
  t.match(site.simulator.disk(report.disks[0]?.id ?? '').config, { description: '', alias: 'web_Disk1' })
  t.match(site.simulator.state(), NOTHING_LEFT)
  t.same(journal.pending, [])
  t.same(steps, ['machine', 'nics', 'disk', 'disk', 'attach', 'finish'])
  t.equal(vm.status, 'down', 'not started unasked')
})

t.test('from oVirt 4.5 to zVirt 4.0 and back, from NFS to iSCSI and back', async t => {
  await using ovirt = await openSite({ profile: 'ovirt-4.5' })
  await using zvirt = await openSite({ profile: 'zvirt-4.0' })
  for (const site of [ovirt, zvirt]) {
    const { inventory, site: start } = site.simulator
    for (const kind of ['nfs', 'iscsi'] as const)
      inventory.addStorageDomain({ name: `other-${kind}`, kind, dataCenterId: start.dataCenterId })
  }
  const map = (kind: string) => ({
    storage_domains: { 'nfs-data': `other-${kind}`, 'other-iscsi': 'other-nfs', 'other-nfs': 'other-iscsi' },
  })
  const source = await sourceOf(ovirt, await addMachine(ovirt))
  const there = await restoreAndCompare(t, zvirt, source, { map: map('iscsi') })
  t.equal(there.name, 'web')
  const moved = await sourceOf(zvirt, there.vmId ?? '')
  t.equal(moved.record.disks[0]?.storageDomain.name, 'other-iscsi')
  const back = await restoreAndCompare(t, ovirt, moved, { map: map('nfs'), name: 'web-back' })
  t.equal(back.name, 'web-back')
  for (const disk of source.record.disks) {
    const { id = '' } = back.disks.find(({ alias }) => alias === disk.alias) ?? {}
    t.equal(await differencesOf(ovirt, source, disk.name, id), 0, 'the same after both ways')
  }
})

t.test('disks of every shape, to file and block storage', async t => {
  await using site = await openSite({ profile: 'olvm-4.5' })
  const shapes = [
    { alias: 'thin', format: 'cow' },
    { alias: 'raw-thin', format: 'raw', sparse: true },
    { alias: 'raw-thick', format: 'raw', sparse: false },
    { alias: 'cow-thick', format: 'cow', sparse: false, backup: 'incremental' },
    { alias: 'odd', format: 'cow', sizeBytes: 3 * MIB + 512 },
  ] as const
  const source = await sourceOf(site, await addMachine(site, { disks: shapes }))
  for (const storageDomain of ['nfs-data', 'iscsi-data', 'fcp-data']) {
    const { disks } = await restoreAndCompare(t, site, source, { storageDomain })
    const config = (alias: string) => site.simulator.disk(disks.find(disk => disk.alias === alias)?.id ?? '').config
    t.match(
      config('raw-thin'),
      storageDomain === 'nfs-data' ? { format: 'raw', sparse: true } : { format: 'cow', sparse: true },
    )
    t.match(config('raw-thick'), { format: 'raw', sparse: false })
    t.match(config('cow-thick'), { format: 'cow', sparse: false, backup: 'incremental' })
  }
})

t.test('by file, volumes are written as they are stored', async t => {
  await using site = await openSite({ profile: 'ovirt-4.4' })
  const source = await sourceOf(
    site,
    await addMachine(site, {
      disks: [
        { alias: 'a', format: 'cow' },
        { alias: 'b', format: 'raw' },
      ],
    }),
  )
  await restoreAndCompare(t, site, source)
  await restoreAndCompare(t, site, source, { storageDomain: 'iscsi-data' })
  await restoreAndCompare(t, site, source, { uploadMechanism: 'nbd' })
})

t.test('twenty disks, in two data centers', async t => {
  await using site = await openSite()
  const { inventory } = site.simulator
  const dataCenterId = inventory.addDataCenter('Second')
  const clusterId = inventory.addCluster({ name: 'Second', dataCenterId })
  inventory.addHost({ name: 'host3', clusterId })
  inventory.addStorageDomain({ name: 'second-nfs', dataCenterId })
  const disks = Array.from({ length: 20 }, (_, i) => ({ alias: `disk${i}`, sizeBytes: MIB, bootable: i === 0 }))
  const source = await sourceOf(site, await addMachine(site, { disks }))
  const report = await restoreAndCompare(t, site, source, { storageDomain: 'second-nfs' })
  t.equal(report.cluster, 'Second')
  t.match(report.warnings.join(), /cluster "Second" is used/)
  t.same(
    [...site.simulator.vm(report.vmId ?? '').attachments.keys()],
    report.disks.map(({ id }) => id),
  )
})

t.test('a name that is taken between the plan and the machine', async t => {
  await using site = await openSite()
  await using journal = await site.openJournal()
  const source = await sourceOf(site, await addMachine(site, { disks: [] }))
  const plan = await site.plan(source)
  t.equal(plan.machine.name, 'web_1')
  await addMachine(site, { name: 'web_1', disks: [], nics: [] })
  t.equal((await restoreMachine(site.context(journal), source, plan)).name, 'web_2')
})

t.test('a MAC that is taken: skip, new, fail', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site, { disks: [] }))
  const macs = source.record.nics.map(({ mac }) => mac)
  const skipped = await restoreAndCompare(t, site, source, { keepsMac: true })
  t.same(skipped.nics, [])
  t.match(skipped.warnings.join(), /NIC "nic1": MAC .* is taken: the NIC is left out/)
  t.match(skipped.notRestored.join(), /NIC "nic2"/)
  const renewed = await restoreAndCompare(t, site, source, { keepsMac: true, macConflict: 'new' })
  t.same(renewed.nics, ['nic1', 'nic2'])
  for (const nic of site.simulator.vm(renewed.vmId ?? '').nics.values())
    t.notOk(macs.includes((nic['mac'] as { address: string }).address))
  const before = new Set(site.simulator.requests.filter(({ method }) => method === 'POST').map(({ url }) => url))
  t.ok(before.size > 0)
  await using journal = await site.openJournal()
  const plan = await site.plan(source, { keepsMac: true, macConflict: 'fail', name: 'fails' })
  await t.rejects(restoreMachine(site.context(journal), source, plan), {
    code: 'GRANARY_LOCKED',
    detail: { nic: 'nic1' },
  })
  t.same(journal.pending, [], 'what it had made is removed')
  t.equal((await site.plan(source, { name: 'fails' })).machine.name, 'fails')
  await site.engine.remove(`/vms/${String(source.record.vm['id'])}`)
  const kept = await restoreAndCompare(t, site, source, { keepsMac: true, name: 'kept' })
  t.same(
    [...site.simulator.vm(kept.vmId ?? '').nics.values()].map(nic => (nic['mac'] as { address: string }).address),
    macs,
  )
})

t.test('a disk that the engine rejects is made anew once; twice is a failure that names it', async t => {
  await using site = await openSite()
  await using journal = await site.openJournal()
  const source = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'only' }] }))
  let rejections = 1
  site.simulator.moments.on('transfer-ready', ({ diskId = '' }) => {
    if (rejections-- > 0) site.simulator.faults.failVerification(diskId)
  })
  await compare(t, site, source, await restoreMachine(site.context(journal), source, await site.plan(source)))
  rejections = 2
  await t.rejects(restoreMachine(site.context(journal), source, await site.plan(source)), {
    code: 'GRANARY_REMOTE',
    message: /rejected disk "only"/,
    hint: /--resume/,
  })
})

t.test('quota, disk profile and start', async t => {
  await using site = await openSite()
  const { inventory } = site.simulator
  const dataCenterId = inventory.addDataCenter('Metered', { quotaMode: 'enabled' })
  const clusterId = inventory.addCluster({ name: 'Metered', dataCenterId })
  inventory.addHost({ name: 'host3', clusterId })
  inventory.addStorageDomain({ name: 'metered-nfs', dataCenterId })
  const source = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'a' }] }))
  await t.rejects(site.plan(source, { storageDomain: 'metered-nfs' }), { message: /demands a quota, and has none/ })
  inventory.addQuota('Default', dataCenterId)
  await using journal = await site.openJournal()
  const plan = await site.plan(source, { storageDomain: 'metered-nfs' })
  const report = await restoreMachine(site.context(journal), source, plan, { start: true })
  t.equal(report.isStarted, true)
  t.not(site.simulator.vm(report.vmId ?? '').status, 'down')
})

t.test('attributes the target does not know are left out one by one, and listed', async t => {
  await using site = await openSite({ clusterLevel: '4.3' })
  const source = await sourceOf(site, await addMachine(site, { disks: [] }))
  const vm = {
    ...source.record.vm,
    bios: { type: 'q35_ovmf', boot_menu: { enabled: 'false' } },
    tpm_enabled: 'true',
    not_yet_invented: 'x',
  }
  const report = await restoreAndCompare(t, site, { ...source, record: { ...source.record, vm } }, { withoutOvf: true })
  t.match(report.notRestored.join('\n'), /tpm_enabled: the target does not know it/)
  t.match(report.notRestored.join('\n'), /bios: the target does not know it/)
  t.match(report.warnings.join('\n'), /BitLocker/)
  t.match(site.simulator.vm(report.vmId ?? '').config, { comment: 'kept' }, 'the rest is as it was')
})

t.test('what was asked for is all that is made: single disks, and disks without a machine', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site))
  const one = await restoreAndCompare(t, site, source, { disks: ['web_Disk2'] })
  t.same(
    one.disks.map(({ alias }) => alias),
    ['web_Disk2'],
  )
  await using journal = await site.openJournal()
  const report = await restoreMachine(
    site.context(journal),
    source,
    await site.plan(source, { disksOnly: true, excludedDisks: ['web_Disk2'] }),
  )
  t.equal(await differencesOf(site, source, 'web_Disk1', report.disks[0]?.id ?? ''), 0)
  t.equal(report.vmId, undefined)
  t.same(
    site.simulator.state().floatingDisks,
    report.disks.map(({ id }) => id),
  )
})

t.test('a damaged copy fails, and is no reason to try for long', async t => {
  await using site = await openSite()
  await using journal = await site.openJournal()
  const good = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'a' }] }))
  const { GranaryError } = await import('@granary/core')
  const source: ReadableSource = {
    ...good,
    async openDisk(name, options) {
      const disk = await good.openDisk(name, options)
      return {
        ...disk,
        read: async () => {
          throw new GranaryError('GRANARY_CORRUPT', 'a chunk is damaged')
        },
      }
    },
  }
  const before = site.simulator.clock.now()
  await t.rejects(restoreMachine(site.context(journal), source, await site.plan(good)), { code: 'GRANARY_CORRUPT' })
  t.ok(site.simulator.clock.now() - before < 120_000)
})

t.test('the bandwidth is kept to', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'a' }] }))
  const timeOf = async (bandwidthBytesPerSecond?: number): Promise<number> => {
    await using journal = await site.openJournal()
    const context = site.context(journal)
    const limits = {
      ...context.settings.limits,
      ...(bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond }),
    }
    const startMs = site.simulator.clock.now()
    const limited = { ...context, settings: { ...context.settings, limits } }
    await compare(t, site, source, await restoreMachine(limited, source, await site.plan(source)))
    return site.simulator.clock.now() - startMs
  }
  const quickMs = await timeOf()
  t.ok((await timeOf(16_384)) - quickMs > 30_000, 'a mebibyte at 16 KiB/s')
})

t.test(
  'NVRAM and TPM come by the OVF; where the target refuses it, the machine comes without them, and that is said',
  async t => {
    await using site = await openSite()
    const plain = await sourceOf(site, await addMachine(site))
    const { xml: ovf, secrets } = splitOvfSecrets(sampleOvf())
    const vm = { ...plain.record.vm, tpm_enabled: 'true', bios: { type: 'q35_ovmf' } }
    const source = { ...plain, record: { ...plain.record, vm, ovf, secrets: { ovf: secrets, initialization: {} } } }
    const whole = await restoreAndCompare(t, site, source)
    t.notMatch(whole.notRestored.join(), /NVRAM|TPM/)
    const made = site.simulator.vm(whole.vmId ?? '')
    t.match(made.config, { name: 'web_1', bios: { type: 'q35_ovmf' }, high_availability: { enabled: false } })
    t.not(made.id, 'a0000000-0000-0000-0000-000000000001', 'an id of its own')
    t.same(
      [...made.nics.values()].map(nic => nic['name']),
      ['nic1', 'nic2'],
      'the NICs of the plan, not those of the OVF',
    )
    site.simulator.faults.http.add({
      kind: 'refuse',
      status: 400,
      detail: 'the OVF is not for us',
      method: 'POST',
      path: '*/vms',
      times: 1,
    })
    const without = await restoreAndCompare(t, site, source)
    t.match(without.notRestored.join(), /NVRAM and TPM: the target does not take the OVF/)
    t.match(without.warnings.join(), /BitLocker/)
  },
)
