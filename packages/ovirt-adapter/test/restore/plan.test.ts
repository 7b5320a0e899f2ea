import fc from 'fast-check'
import t from 'tap'
import { diskShape } from '../../src/restore/disk-shape.ts'
import { dropOne, machineBody } from '../../src/restore/machine-body.ts'
import { planRestore, requirePlan } from '../../src/restore/plan.ts'
import type { RestoreChoices, RestorePlan, RestoreSource } from '../../src/restore/plan.ts'
import { parseRestoreMap } from '../../src/restore/restore-map.ts'
import type { RestoreTarget } from '../../src/restore/target.ts'
import { sampleDisk } from './sample-record.ts'
import { cluster, domain, sampleSource, sampleTarget } from './sample-target.ts'

const GIB = 1024 ** 3

const plan = ({
  source = sampleSource(),
  target = sampleTarget(),
  ...choices
}: RestoreChoices & { source?: RestoreSource; target?: RestoreTarget } = {}): RestorePlan =>
  requirePlan(planRestore(source, target, choices))

const problems = (options: Parameters<typeof plan>[0] = {}): readonly string[] => {
  const { source = sampleSource(), target = sampleTarget(), ...choices } = options
  const result = planRestore(source, target, choices)
  return result.kind === 'plan' ? [] : result.problems
}

t.test('the same engine: everything where it was', async t => {
  const made = plan({ withoutOvf: true })
  t.match(made.machine, { name: 'web', cluster: { name: 'Default' }, way: 'object' })
  t.match(made.disks, [
    {
      alias: 'web_Disk1',
      storageDomain: { name: 'nfs1' },
      format: 'cow',
      isSparse: true,
      isIncremental: true,
      attachment: { bootable: true, interface: 'virtio_scsi' },
    },
    { alias: 'web & data', sizeBytes: 2 * GIB, attachment: { bootable: false } },
  ])
  t.match(made.nics, [
    { name: 'nic1', profile: { id: 'p1' } },
    { name: 'nic2', profile: undefined },
  ])
  t.same(
    made.nics.map(nic => nic.mac),
    [undefined, undefined],
    'new MACs are the default',
  )
  t.match(made.machine.finish.body, { high_availability: { enabled: 'true', priority: '50' }, delete_protected: true })
  t.notOk('high_availability' in made.machine.body || 'delete_protected' in made.machine.body)
  t.notMatch(JSON.stringify(made), 'hunter2')
  t.match(made.notRestored, [/initialization/])
})

t.test('what an engine only says is not sent back', async t => {
  const body = machineBody({
    ...sampleSource().record.vm,
    cpu: { topology: { sockets: '2' }, architecture: 'x86_64', type: 'x' },
    os: { type: 'rhel_9x64', version: { full_version: '9' } },
    placement_policy: { affinity: 'migratable', hosts: { host: [{ id: 'old' }] } },
    custom_properties: { custom_property: [{ name: 'a', value: 'b', regexp: '^b$' }] },
    cpu_profile: { id: 'old', href: '/x' },
  })
  t.match(body, {
    cpu: { topology: { sockets: '2' } },
    os: { type: 'rhel_9x64' },
    custom_properties: { custom_property: [{ name: 'a', value: 'b' }] },
  })
  for (const gone of [
    'status',
    'creation_time',
    'origin',
    'initialization',
    'stateless',
    'architecture',
    'regexp',
    'href',
    'old',
    'version',
  ])
    t.notMatch(JSON.stringify(body), `"${gone}"`, gone)
})

t.test('attributes the target refuses go one by one, the one it names first', async t => {
  let body = machineBody({ ...sampleSource().record.vm, tpm_enabled: 'false', cpu_pinning_policy: 'none' })
  const first = dropOne(body, '[Unrecognized field "time_zone" (class Vm)]')
  t.equal(first?.name, 'time_zone')
  t.equal(
    dropOne(
      { ...body, display: { type: 'vnc', copy_paste_enabled: 'true' } },
      'Unrecognized field "copy_paste_enabled"',
    )?.name,
    'display.copy_paste_enabled',
  )
  const names: string[] = []
  for (let next = dropOne(body, 'no'); next !== undefined; next = dropOne(body, 'no')) {
    names.push(next.name)
    body = next.body
  }
  t.equal(names[0], 'cpu_pinning_policy')
  t.same(Object.keys(body).toSorted(), ['description', 'memory', 'os'])
})

t.test('the name, when it is taken', async t => {
  const made = plan({ target: sampleTarget({ vmNames: ['web', 'web_1', 'web_3'] }) })
  t.equal(made.machine.name, 'web_2')
  t.match(made.warnings, [/"web" is taken: the machine is called "web_2"/])
  t.equal(plan({ name: 'other' }).machine.name, 'other')
})

t.test('storage domains: original, chosen, mapped; and all that is wrong with one', async t => {
  t.match(plan({ storageDomain: 'iscsi1' }).disks, [
    { storageDomain: { id: 'sd-iscsi' } },
    { storageDomain: { id: 'sd-iscsi' } },
  ])
  t.match(plan({ map: { storage_domains: { nfs1: 'iscsi1' } } }).disks[0]?.storageDomain, { name: 'iscsi1' })
  t.match(
    plan({ map: { disks: { 'web & data': 'iscsi1' } } }).disks.map(d => d.storageDomain.name),
    ['nfs1', 'iscsi1'],
  )
  const on = (name: string) => sampleSource({ disks: [sampleDisk({ storageDomain: { id: 'x', name } })] })
  for (const [name, reason] of [
    ['gone', 'is not there'],
    ['backup1', 'is a backup domain'],
    ['down1', 'is maintenance'],
    ['nfs-other', 'is not in data center "Default"'],
    ['iso1', 'is of type iso'],
  ] as const) {
    const [problem = '', ...more] = problems({ source: on(name) })
    t.same(more, [])
    t.match(problem, `storage domain "${name}" ${reason}`)
    t.match(problem, 'these fit: nfs1 (nfs – available 500 GB), iscsi1 (iscsi – available 500 GB)')
  }
})

t.test('a chosen domain of another data center brings its cluster along, and that is said', async t => {
  const made = plan({
    storageDomain: 'nfs-other',
    source: sampleSource({ disks: [sampleDisk({ quota: { id: 'q', name: 'big' } })] }),
  })
  t.equal(made.machine.cluster.name, 'Other')
  t.match(made.warnings.join(), /does not belong to cluster "Default": cluster "Other" is used/)
  t.match(made.disks[0]?.quota, { name: 'big' })
  t.equal(made.nics[0]?.profile?.id, 'p4')
})

t.test('clusters: by name, by map, missing, in a data center that is down, of another architecture', async t => {
  t.equal(plan({ cluster: 'Other', storageDomain: 'nfs-other' }).machine.cluster.id, 'c2')
  t.equal(
    plan({ map: { clusters: { Default: 'Other' }, storage_domains: { nfs1: 'nfs-other' } } }).machine.cluster.id,
    'c2',
  )
  t.match(problems({ cluster: 'Nowhere' }), [/no cluster "Nowhere"; there are Default, Other/])
  t.match(
    problems({
      target: sampleTarget({
        dataCenters: [{ id: 'dc-1', name: 'Default', status: 'maintenance', quotaMode: 'disabled' }],
      }),
    }),
    [/is maintenance, not up/],
  )
  t.match(problems({ target: sampleTarget({ clusters: [cluster({ json: { cpu: { architecture: 'ppc64' } } })] }) }), [
    /for x86_64, cluster "Default" is ppc64/,
  ])
})

t.test('free space is counted per domain, less what the domain keeps back', async t => {
  const tight = (availableBytes: number) =>
    sampleTarget({ storageDomains: [domain({ availableBytes, blockedBytes: 5 * GIB })] })
  const preallocated = sampleSource({
    disks: [
      sampleDisk({ format: 'raw', isSparse: false, isIncremental: false }),
      sampleDisk({ name: 'b', alias: 'b', format: 'raw', isSparse: false, isIncremental: false }),
    ],
  })
  t.same(problems({ source: preallocated, target: tight(25 * GIB) }), [])
  t.match(problems({ source: preallocated, target: tight(25 * GIB - 1) }), [
    /"nfs1" has 20.0 GiB to give, 20.0 GiB are needed/,
  ])
  t.same(problems({ target: tight(7 * GIB) }), [], 'thin disks need what they hold')
  t.equal(problems({ target: tight(6 * GIB) }).length, 1)
  t.match(
    plan({ target: sampleTarget({ storageDomains: [domain({ availableBytes: undefined })] }) }).warnings.join(),
    /does not say how much is free/,
  )
})

t.test('shapes of disks', async t => {
  const flags = [true, false]
  const cases = flags.flatMap(isBlock =>
    flags.flatMap(preallocates =>
      flags.flatMap(isSparse =>
        flags.flatMap(isIncremental =>
          (['cow', 'raw'] as const).map(format => ({ isBlock, preallocates, format, isSparse, isIncremental })),
        ),
      ),
    ),
  )
  for (const given of cases) {
    const { shape, note } = diskShape(given, given)
    const label = JSON.stringify(given)
    const { format, isSparse, isIncremental } = shape
    t.notOk(format === 'raw' && isIncremental, `raw is never incremental: ${label}`)
    t.notOk(format === 'raw' && isSparse && given.isBlock, `no thin raw on block storage: ${label}`)
    t.notOk(format === 'cow' && !isSparse && !isIncremental, `preallocated qcow2 is incremental: ${label}`)
    t.ok(!given.isSparse || isSparse || given.preallocates, `thin stays thin: ${label}`)
    t.equal(note !== undefined, format !== given.format || isSparse !== given.isSparse, `a change is told: ${label}`)
  }
})

t.test('initial sizes and odd sizes', async t => {
  const source = sampleSource()
  const [disk] = plan({ source, storageDomain: 'iscsi1' }).disks
  t.equal(disk?.initialBytes, Math.ceil((GIB * 1.1) / 4096) * 4096)
  t.equal(plan({ source }).disks[0]?.initialBytes, undefined, 'files grow')
  const full: RestoreSource = { ...source, disks: source.disks.map(d => ({ ...d, requiredBytes: d.sizeBytes })) }
  t.equal(plan({ source: full, storageDomain: 'iscsi1' }).disks[0]?.initialBytes, 10 * GIB, 'at most the whole')
  const odd: RestoreSource = { ...source, disks: source.disks.map(d => ({ ...d, sizeBytes: d.sizeBytes + 513 })) }
  t.match(plan({ source: odd }).disks[0], { sizeBytes: 10 * GIB + 4096, storedBytes: 10 * GIB + 513 })
})

t.test('NICs: original, chosen, mapped, missing', async t => {
  t.match(
    plan({ vnicProfile: 'lan/slow' }).nics.map(n => n.profile?.id),
    ['p3', 'p3'],
  )
  t.match(
    plan({ vnicProfile: '' }).nics.map(n => n.profile),
    [undefined, undefined],
  )
  t.match(plan({ map: { networks: { ovirtmgmt: 'lan' } } }).nics[0]?.profile, { id: 'p2' })
  t.match(plan({ map: { networks: { 'ovirtmgmt/ovirtmgmt': 'lan/slow' } } }).nics[0]?.profile, { id: 'p3' })
  t.match(
    plan({ map: { nics: { nic2: 'lan/lan', nic1: '' } } }).nics.map(n => n.profile?.id),
    [undefined, 'p2'],
  )
  const gone = plan({ target: sampleTarget({ vnicProfiles: [] }) })
  t.equal(gone.nics[0]?.profile, undefined)
  t.match(
    gone.warnings.join(),
    /NIC "nic1": there is no vNIC profile "ovirtmgmt\/ovirtmgmt" in "Default"; it gets an empty one/,
  )
  t.equal(plan({ vnicProfile: 'lan' }).nics[0]?.profile?.id, 'p2', 'a name that only one profile has')
  t.match(
    problems({ vnicProfile: 'nowhere' })[0],
    /no vNIC profile "nowhere"; there are ovirtmgmt\/ovirtmgmt, lan\/lan, lan\/slow/,
  )
  t.match(
    plan({ keepsMac: true }).nics.map(n => n.mac),
    ['56:6f:00:00:00:01', '56:6f:00:00:00:02'],
  )
})

t.test('profiles and quotas by name, else the default with a warning', async t => {
  const disk = (overrides: object) => sampleSource({ disks: [sampleDisk(overrides)] })
  t.match(
    plan({ source: disk({ diskProfile: { id: 'x', name: 'gold' } }), storageDomain: 'iscsi1' }).disks[0]?.diskProfile,
    { id: 'dp2' },
  )
  const other = plan({ source: disk({ diskProfile: { id: 'x', name: 'silver' } }) })
  t.equal(other.disks[0]?.diskProfile, undefined)
  t.match(other.warnings, [/no disk profile "silver"; the default is used/])
  const quota = plan({ source: disk({ quota: { id: 'x', name: 'none' } }), storageDomain: 'nfs-other' })
  t.match(quota.disks[0]?.quota, { name: 'Default' })
  t.match(quota.warnings.join(), /has no quota "none"; "Default" is used/)
  t.match(
    problems({ storageDomain: 'nfs-other', target: sampleTarget({ quotas: [] }) }).join(),
    /demands a quota, and has none/,
  )
})

t.test('NVRAM, TPM, lease and levels', async t => {
  t.equal(plan().machine.way, 'ovf', 'the sample has both in its OVF')
  const uefi = { ...sampleSource().record.vm, bios: { type: 'q35_secure_boot' }, tpm_enabled: 'true' }
  const without = plan({ source: sampleSource({ vm: uefi }), withoutOvf: true })
  t.match(without.notRestored.join(), /NVRAM.*TPM/)
  t.match(without.warnings.join(), /BitLocker asks for its recovery key/)
  t.notMatch(plan({ source: sampleSource({ vm: uefi }) }).warnings.join(), /BitLocker/)
  const lease = (name: string) =>
    plan({ source: sampleSource({ leaseDomain: { id: 'x', name } }), map: { storage_domains: { old: 'iscsi1' } } })
  t.match(lease('nfs1').machine.finish.leaseDomain, { id: 'sd-nfs1' })
  t.match(lease('old').machine.finish.leaseDomain, { id: 'sd-iscsi' })
  t.match(lease('gone'), { warnings: [/cannot hold the lease/], machine: { finish: { leaseDomain: undefined } } })
  const level = plan({
    source: sampleSource({
      vm: { ...sampleSource().record.vm, custom_compatibility_version: { major: '4', minor: '8' } },
    }),
  })
  t.match(level.notRestored.join(), /compatibility level 4.8/)
  t.notOk('custom_compatibility_version' in level.machine.body)
})

t.test('what does not come back is named', async t => {
  const record = sampleSource({
    vm: { ...sampleSource().record.vm, stateless: 'true', vm_pool: { id: 'p' } },
    notCopied: [{ id: 'l', alias: 'lun1', reason: 'lun' }],
    hostDevices: [{ name: 'pci_0000_00_1f' }],
    numaNodes: [{ index: '0' }],
    cdroms: [{ file: { id: 'install.iso' } }],
    pinnedHosts: ['host1', 'host9'],
    snapshotsNotKept: 3,
  })
  const { notRestored, machine } = plan({ source: record, disks: ['web_Disk1'] })
  for (const part of [
    'disk "lun1": it is not in the copy (lun)',
    'disk "web & data": it was not asked for',
    'statelessness',
    'pool',
    'host device "pci_0000_00_1f"',
    'NUMA node 0',
    'CD-ROM "install.iso"',
    'host "host9"',
    '3 snapshots',
  ])
    t.ok(
      notRestored.some(text => text.includes(part)),
      part,
    )
  t.notMatch(JSON.stringify(machine), 'host9')
})

t.test('everything that is wrong is told at once', async t => {
  const found = problems({ storageDomain: 'gone', vnicProfile: 'gone', disks: ['web_Disk1', 'nope'] })
  t.equal(found.length, 4)
  t.throws(() => requirePlan({ kind: 'problems', problems: found }), {
    code: 'GRANARY_INVALID_ARGUMENT',
    detail: { problems: 4 },
  })
})

t.test('before 4.5, nbd takes only thin disks to block storage', async t => {
  const source = sampleSource({ disks: [sampleDisk({ format: 'raw', isSparse: false, isIncremental: false })] })
  const target = sampleTarget({ engineVersion: { major: 4, minor: 4 } })
  t.match(problems({ source, target, storageDomain: 'iscsi1', uploadMechanism: 'nbd' }), [
    /set disk_upload_mechanism to file/,
  ])
  t.same(problems({ source, target, storageDomain: 'iscsi1' }), [])
  t.equal(plan({ source, target }).uploadMechanism, 'file')
  t.equal(plan({ source }).uploadMechanism, 'nbd')
})

t.test('the mapping file', async t => {
  t.same(parseRestoreMap('[storage_domains]\n"old 1" = "new"\n[nics]\nnic1 = ""\n', 'map.toml'), {
    storage_domains: { 'old 1': 'new' },
    nics: { nic1: '' },
  })
  t.throws(() => parseRestoreMap('[domains]\na = "b"\n', 'map.toml'), {
    code: 'GRANARY_INVALID_ARGUMENT',
    message: /no table "domains"/,
  })
  t.throws(() => parseRestoreMap('[nics]\na = 1\n', 'map.toml'), { message: /\[nics\] holds pairs/ })
  t.throws(() => parseRestoreMap('[nics\n', 'map.toml'), { message: /line 1/ })
  t.throws(() => parseRestoreMap('# '.repeat(600_000), 'map.toml'), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('whatever the choices, a plan or problems; and a plan is plain data', async t => {
  const name = fc.constantFrom('nfs1', 'iscsi1', 'nfs-other', 'backup1', 'Default', 'Other', 'lan/lan', '', 'x')
  const choices = fc.record(
    {
      name,
      cluster: name,
      storageDomain: name,
      vnicProfile: name,
      keepsMac: fc.boolean(),
      preallocates: fc.boolean(),
      disks: fc.array(fc.constantFrom('web_Disk1', 'y')),
    },
    { requiredKeys: [] },
  )
  await t.resolves(
    fc.assert(
      fc.asyncProperty(choices, async given => {
        const result = planRestore(sampleSource(), sampleTarget(), given)
        t.same(JSON.parse(JSON.stringify(result)), result)
        t.equal(result.kind === 'problems', result.kind === 'problems' && result.problems.length > 0)
      }),
      { seed: 7, numRuns: 300 },
    ),
  )
})
