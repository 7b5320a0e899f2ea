/** `granary ovirt restore` and `recover`, from the command line to a simulated engine and back. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { memoryDisk } from '@granary/core'
import { backup, openBackend, openRepository } from '@granary/dedup-store'
import { connectNbd } from '@granary/nbd'
import { createRealClock, createSimulator } from '@granary/ovirt-simulator'
import type { Simulator } from '@granary/ovirt-simulator'
import { parseJsonLines, projectPath, seededBytes, startGranary } from '@granary/testing'
import { readKeyFile } from '@granary/transform'
import { createRepository, granary } from './in-process.ts'

t.setTimeout(600_000)

const MIB = 1024 ** 2
const DISKS = { system: seededBytes(2 * MIB, 1), data: new Uint8Array(3 * MIB).fill(7, MIB, 2 * MIB) }

interface Site {
  readonly folder: string
  readonly env: Record<string, string>
  readonly simulator: Simulator
  readonly snapshot: string
}

/** A repository with one machine, and an engine that never saw it. */
const openSite = async (test: Test): Promise<Site> => {
  const { folder, repo, key, env } = await createRepository(test)
  const clock = createRealClock({ speed: 20 })
  const simulator = await createSimulator({ dir: join(folder, 'engine'), clock })
  test.teardown(async () => await simulator[Symbol.asyncDispose]())
  await writeFile(join(folder, 'ca.pem'), simulator.ca)
  const config = join(folder, 'ovirt.toml')
  const { username, password } = simulator.credentials
  const lines = {
    engine: simulator.url,
    username,
    password,
    ca_info: join(folder, 'ca.pem'),
    journal_folder: join(folder, 'journal'),
    imagetransfer_inactivity_timeout: '500', // The engine's clock runs fast, ours doesn't.
  }
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
  await writeFile(config, text.join(''), { mode: 0o600 })
  const secret = { kind: 'key-file', key: (await readKeyFile(key)).key } as const
  await using repository = await openRepository(await openBackend(repo), secret)
  const { id } = await backup(
    repository,
    Object.entries(DISKS).map(([name, bytes]) => ({ name, source: 'test', disk: memoryDisk(bytes) })),
    { name: 'web', machine: machine(), workers: 0 },
  )
  return { folder, env: { ...env, GRANARY_OVIRT_CONFIG: config }, simulator, snapshot: id }
}

/** As a backup records it; of an engine that is gone. */
const machine = (): object => ({
  platform: 'ovirt',
  version: 1,
  engine: { url: 'https://gone/ovirt-engine', product: 'oVirt Engine', vendor: 'ovirt.org', version: '4.4' },
  dataCenter: { id: 'a', name: 'Default' },
  cluster: { id: 'b', name: 'Default', level: '4.6' },
  vm: {
    id: 'a0000000-0000-0000-0000-000000000001',
    name: 'web',
    description: 'the web server',
    memory: '1073741824',
    os: { type: 'rhel_9x64' },
    initialization: { host_name: 'web' },
  },
  ovf: '<Envelope><Content><Name>web</Name><VmInit rootPassword=""/><Section xsi:type="ovf:OperatingSystemSection_Type" ovf:id="a"/></Content></Envelope>',
  secrets: {
    ovf: [{ element: 3, attribute: 'rootPassword', raw: 'hunter2' }],
    initialization: { root_password: 'hunter2' },
  },
  disks: Object.keys(DISKS).map((name, index) => ({
    name,
    id: `d0000000-0000-0000-0000-00000000000${index}`,
    alias: name,
    sizeBytes: DISKS[name as keyof typeof DISKS].length,
    format: 'cow',
    isSparse: true,
    isIncremental: true,
    wipesAfterDelete: false,
    propagatesErrors: false,
    storageDomain: { id: 'c', name: 'old-nfs' },
    attachment: {
      interface: 'virtio_scsi',
      isBootable: index === 0,
      isActive: true,
      isReadOnly: false,
      passesDiscard: false,
      usesScsiReservation: false,
    },
  })),
  notCopied: [{ id: 'e', alias: 'lun', reason: 'lun' }],
  nics: [
    {
      id: 'f',
      name: 'nic1',
      interface: 'virtio',
      mac: '56:6f:00:00:00:99',
      isLinked: true,
      isPlugged: true,
      profile: { name: 'prod', network: 'prod', dataCenter: 'Default' },
    },
  ],
  watchdogs: [],
  cdroms: [],
  hostDevices: [],
  numaNodes: [],
  tags: [],
  affinityLabels: [],
  affinityGroups: [],
  permissions: [],
  pinnedHosts: [],
  snapshotsNotKept: 0,
  frozen: 'yes',
})

const holds = async (simulator: Simulator, diskId: string, expected: Uint8Array): Promise<boolean> => {
  const bytes = new Uint8Array(expected.length)
  await simulator.image(diskId).read(0, bytes)
  return Buffer.from(bytes).equals(expected)
}

const oneOf = (text: string, type: string): Record<string, unknown> =>
  parseJsonLines(text).find(line => line['type'] === type) ?? {}

t.test('a plan, with all that stands against it; a map; a new machine; in place', async t => {
  const { folder, env, simulator } = await openSite(t)
  const refused = await granary(['ovirt', 'restore', 'latest', '--dry-run'], { env })
  t.equal(refused.code, 2)
  t.match(
    refused.stderr,
    /disk "system": storage domain "old-nfs" is not there; these fit: nfs-data \(nfs – available \d+ GB\)/,
  )
  t.match(refused.stderr, /disk "data": storage domain "old-nfs"/)
  const map = join(folder, 'map.toml')
  await writeFile(map, '[storage_domains]\n"old-nfs" = "nfs-data"\n[networks]\nprod = "ovirtmgmt"\n')
  const planned = await granary(['ovirt', 'restore', 'latest', '--dry-run', '--map', map, '--json'], { env })
  t.match(oneOf(planned.text, 'restore-plan'), {
    machine: { name: 'web' },
    nics: [{ profile: { name: 'ovirtmgmt/ovirtmgmt' } }],
  })
  t.notMatch(planned.text, 'hunter2')
  t.match(
    (await granary(['ovirt', 'restore', 'latest', '--dry-run', '--map', map], { env })).text,
    /system +2.00 MiB +cow, thin +nfs-data/,
  )

  const restored = await granary(['ovirt', 'restore', 'latest', '--map', map, '--keep-mac', '--json'], { env })
  t.equal(restored.code, 0, restored.stderr)
  const report = oneOf(restored.text, 'machine-restored') as {
    vm: { id: string }
    disks: { id: string; alias: keyof typeof DISKS }[]
    notRestored: string[]
  }
  t.match(report.notRestored, [/disk "lun": it is not in the copy \(lun\)/, /initialization/])
  for (const { id, alias } of report.disks) t.ok(await holds(simulator, id, DISKS[alias]), alias)
  t.match([...simulator.vm(report.vm.id).nics.values()], [{ mac: { address: '56:6f:00:00:00:99' } }])
  t.notMatch(restored.text + restored.stderr, 'hunter2')

  await simulator.image(report.disks[0]?.id ?? '').write(4096, new Uint8Array(512).fill(1))
  const unasked = await granary(['ovirt', 'restore', 'latest', '--in-place', 'web'], { env })
  t.equal(unasked.code, 2)
  t.match(unasked.stderr, /What these disks of "web" hold now is lost. Nobody is there to ask/)
  const again = await granary(['ovirt', 'restore', 'latest', '--in-place', 'web', '--yes', '--json'], { env })
  t.equal(again.code, 0, again.stderr)
  t.match(oneOf(again.text, 'restored-in-place'), { disks: [{ alias: 'system' }, { alias: 'data', writtenBytes: 0 }] })
  for (const { id, alias } of report.disks) t.ok(await holds(simulator, id, DISKS[alias]), alias)
  t.match(simulator.state(), { lockedDisks: [], openTransfers: [], floatingDisks: [] })
  t.match((await granary(['ovirt', 'clean'], { env })).text, /nothing is left/)
  t.equal((await granary(['ovirt', 'restore', '--resume', 'ffff'], { env })).code, 10)
})

t.test('to a folder: disks and configuration, secrets only when asked for', async t => {
  const { folder, env } = await openSite(t)
  const target = join(folder, 'out')
  t.equal((await granary(['ovirt', 'restore', 'latest', '--to-folder', target], { env })).code, 0)
  t.same((await readdir(target)).toSorted(), ['data.raw', 'machine.json', 'machine.ovf', 'system.raw'])
  t.ok((await readFile(join(target, 'system.raw'))).equals(DISKS.system))
  for (const name of ['machine.json', 'machine.ovf'])
    t.notMatch(await readFile(join(target, name), 'utf8'), 'hunter2', name)
  const secret = join(folder, 'secret')
  const words = [
    'ovirt',
    'restore',
    'latest',
    '--to-folder',
    secret,
    '--with-secrets',
    '--disk',
    'data',
    '--format',
    'qcow2',
  ]
  t.equal((await granary(words, { env })).code, 0)
  t.same((await readdir(secret)).toSorted(), ['data.qcow2', 'machine.json', 'machine.ovf'])
  t.match(await readFile(join(secret, 'machine.ovf'), 'utf8'), 'rootPassword="hunter2"')
  t.equal(
    (await granary(['ovirt', 'restore', 'latest', '--to-folder', secret], { env })).code,
    11,
    'nothing is overwritten',
  )
})

t.test('recovered at once, written to, and brought back with what was written', async t => {
  const { folder, env, simulator, snapshot } = await openSite(t)
  const place = join(folder, 'recovered')
  await mkdir(place)
  const running = startGranary(['ovirt', 'recover', 'latest', place, '--json'], { env })
  t.teardown(() => running.child.kill('SIGKILL'))
  const socket = join(place, 'nbd.sock')
  const domain = async (): Promise<string> => await readFile(join(place, 'domain.xml'), 'utf8').catch(() => '')
  while (!(await domain()).includes('</domain>')) {
    if (running.child.exitCode !== null) throw new Error(`recover ended with ${running.child.exitCode}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const written = new Uint8Array(8192).fill(9)
  {
    await using disk = await connectNbd(`nbd+unix:///system?socket=${encodeURIComponent(socket)}`)
    t.equal(disk.sizeBytes, DISKS.system.length)
    await disk.write(65_536, written)
    await disk.flush()
  }
  t.match(await domain(), /<source protocol='nbd' name='system'>/)
  running.child.kill('SIGTERM')
  const { code, text } = await running.done
  t.equal(code, 0)
  t.match(oneOf(text, 'recovering'), { snapshot, domain: join(place, 'domain.xml') })
  const words = ['ovirt', 'restore', snapshot, '--overlay', place, '--storage-domain', 'nfs-data', '--json']
  const restored = await granary(words, { env })
  t.equal(restored.code, 3, 'the missing vNIC profile is a warning')
  const report = oneOf(restored.text, 'machine-restored') as { disks: { id: string; alias: keyof typeof DISKS }[] }
  const expected = { ...DISKS, system: DISKS.system.slice() }
  expected.system.set(written, 65_536)
  for (const { id, alias } of report.disks) t.ok(await holds(simulator, id, expected[alias]), alias)
})

t.test('the example of the SDK does the same', async t => {
  const { env, simulator, snapshot } = await openSite(t)
  const { GRANARY_OVIRT_CONFIG: config = '', GRANARY_REPO: repo = '', GRANARY_KEY_FILE: key = '' } = env
  const words = [projectPath('examples', 'restore-machine.mjs'), config, repo, key, snapshot, 'nfs-data']
  const { stdout } = await promisify(execFile)(process.execPath, words)
  t.match(stdout, /system goes to nfs-data\n/)
  const [, vmId = ''] = /restored as web, (\S+)/.exec(stdout) ?? []
  const disks = [...simulator.vm(vmId).attachments.keys()]
  t.ok(await holds(simulator, disks[0] ?? '', DISKS.system))
  t.ok(await holds(simulator, disks[1] ?? '', DISKS.data))
})
