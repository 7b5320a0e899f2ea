import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parseXml, elements, attributeOf } from '../../src/ovf/xml.ts'
import { libvirtDomain } from '../../src/recover/libvirt-domain.ts'
import { sampleDisk, sampleRecord } from '../restore/sample-record.ts'

const run = promisify(execFile)

/** libvirt's own schema, where it is installed. */
const whyNoSchema = async (): Promise<string | false> => {
  try {
    await run('virt-xml-validate', ['--version'])
    await run('xmllint', ['--version'])
    return false
  } catch {
    return 'virt-xml-validate or xmllint is not installed'
  }
}

const served = (names: readonly string[]) =>
  names.map((name, i) => ({
    name,
    exportName: name,
    server: i === 0 ? { socketPath: "/run/it's <here>.sock" } : { host: '127.0.0.1', port: 10809 },
  }))

const record = sampleRecord()
const base = record.vm

const CASES = {
  bios: sampleRecord(),
  'i440fx, ide': sampleRecord({
    vm: { ...base, bios: { type: 'i440fx_sea_bios' } },
    disks: [sampleDisk({ attachment: { ...sampleDisk().attachment, interface: 'ide' } })],
  }),
  'UEFI, TPM, Windows': sampleRecord({
    vm: { ...base, bios: { type: 'q35_secure_boot' }, tpm_enabled: 'true', os: { type: 'windows_2022' } },
  }),
  'many disks': sampleRecord({
    disks: Array.from({ length: 30 }, (_, i) =>
      sampleDisk({
        name: `d${i}`,
        alias: `d${i}`,
        attachment: {
          ...sampleDisk().attachment,
          interface: i % 2 === 0 ? 'virtio' : 'virtio_scsi',
          isBootable: i === 0,
        },
      }),
    ),
  }),
}

t.test('a domain has the machine, and its disks over NBD', async t => {
  const xml = libvirtDomain(record, { disks: served(['web_Disk1', 'web & data']), snapshotId: 'abc' })
  const all = [...elements(parseXml(xml))]
  const named = (name: string) => all.filter(element => element.name === name)
  t.same(
    named('source').map(source => attributeOf(source, 'name')),
    ['web_Disk1', 'web & data'],
  )
  t.equal(attributeOf(named('host')[0]!, 'socket'), "/run/it's <here>.sock")
  t.same(
    named('target').map(target => attributeOf(target, 'dev')),
    ['sda', 'sdb'],
  )
  t.equal(named('boot').length, 1)
  t.equal(named('link').length, 1, 'the NIC that was not plugged is down')
  t.match(xml, "<memory unit='KiB'>4194304</memory>")
  t.match(xml, "<interface type='user'>", 'no network unless one is named')
  t.match(libvirtDomain(record, { disks: [], network: 'lab', snapshotId: 'abc' }), "<source network='lab'/>")
})

t.test('letters of drives go on after z', async t => {
  const disks = CASES['many disks'].disks.map(disk => ({
    ...disk,
    attachment: { ...disk.attachment, interface: 'virtio' },
  }))
  const xml = libvirtDomain({ ...record, disks }, { disks: served(disks.map(({ name }) => name)), snapshotId: 'abc' })
  const targets = [...elements(parseXml(xml))]
    .filter(({ name }) => name === 'target')
    .map(target => attributeOf(target, 'dev'))
  t.same([targets[25], targets[26], targets[29]], ['vdz', 'vdaa', 'vdad'])
})

t.test("libvirt's schema takes each", { skip: await whyNoSchema() }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-domain-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  for (const [name, machine] of Object.entries(CASES)) {
    const path = join(folder, 'domain.xml')
    await writeFile(
      path,
      libvirtDomain(machine, { disks: served(machine.disks.map(disk => disk.name)), snapshotId: 'abc' }),
    )
    await t.resolves(run('virt-xml-validate', [path, 'domain']), name)
  }
  await writeFile(join(folder, 'wrong.xml'), '<domain><name>a</name></domain>')
  await t.rejects(run('virt-xml-validate', [join(folder, 'wrong.xml'), 'domain']), 'the check can fail')
})
