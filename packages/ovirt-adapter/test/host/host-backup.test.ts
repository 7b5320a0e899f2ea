/** The whole backup on the host: a simulated engine knows the machine, a real libvirt runs it. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyDisk, createRawDisk } from '@granary/core'
import type { GranaryError } from '@granary/core'
import { initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import { createRealClock, createSimulator } from '@granary/ovirt-simulator'
import t from 'tap'
import {
  Engine,
  Journal,
  Libvirt,
  backupVms,
  checkPlatform,
  chooseVms,
  openImageDisk,
  parseOvirtConfig,
  recover,
} from '../../src/index.ts'
import type { BackupKind } from '@granary/dedup-store'
import type {
  BackupContext,
  BackupVmsOptions,
  GuestScripts,
  HostPath,
  ScriptReport,
  VmBackupReport,
} from '../../src/index.ts'
import { createGuest, run, whyNoGuest } from './private-libvirt.ts'

t.setTimeout(900_000)
const SIZE = 256 * 1024 * 1024

t.test('a machine is backed up on its host, incrementally, and when it is down', { skip: whyNoGuest() }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-host-backup-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  await using simulator = await createSimulator({ dir: join(folder, 'engine'), clock: createRealClock({ speed: 20 }) })
  const { inventory, site } = simulator
  const domain = inventory.addStorageDomain({ name: 'nas', dataCenterId: site.dataCenterId })
  const vm = await inventory.addVm({
    name: 'web',
    clusterId: site.clusterId,
    disks: [{ sizeBytes: SIZE, storageDomainId: domain.id, alias: 'root' }],
  })
  const disk = simulator.disk([...vm.attachments.keys()][0] as string)
  const guest = await createGuest(t, { domain: vm.id, disk: disk.id })
  await guest.start({ isFresh: true })
  const script = (word: string): string => `printf '#!/bin/sh\\necho ${word} >> /root/scripts\\n' > /root/hook-${word}`
  await guest.shell(`${script('one')}; ${script('two')}; chmod +x /root/hook-*; sync`)

  await using engine = new Engine({ url: simulator.url, apiCa: simulator.ca, ...simulator.credentials })
  const secret = { kind: 'passphrase', passphrase: 'a guest of its own' } as const
  const backend = memoryBackend()
  await initRepository(backend, secret)
  await using repository = await openRepository(backend, secret)
  await using journal = await Journal.open({ folder: join(folder, 'journal') })
  const scratch = join(folder, 'scratch')
  const storageRoot = join(folder, 'rhev')
  mkdirSync(scratch)
  const { config } = await parseOvirtConfig(
    `engine ${simulator.url}\nusername ${simulator.credentials.username}\npassword x\nscratch_folder ${scratch}\n`,
    { path: 'test.conf', format: 'conf', resolveSecret: async () => 'unused' },
  )
  const hosts = (await engine.get('/hosts'))['host'] as { id: string; hardware_information: { uuid: string } }[]
  const vdsmIdOf = (isOwn: boolean): string => {
    const path = join(folder, `vdsm-${isOwn}.id`)
    writeFileSync(path, hosts.find(({ id }) => (id === vm.hostId) === isOwn)?.hardware_information.uuid ?? '')
    return path
  }
  const uris: string[] = []
  const openLibvirt = (uri: string): Libvirt => (uris.push(uri), guest.libvirt)
  const host: HostPath = { isPreferred: true, ...config, openLibvirt, storageRoot, vdsmIdPath: vdsmIdOf(true) }
  const context: BackupContext = { engine, repository, journal, openImage: openImageDisk, settings: config, host }
  const scripts: GuestScripts = { before: '/root/hook-one', after: '/root/hook-two' }
  const told: ScriptReport[] = []
  const backUp = async (
    kind: BackupKind,
    more: Partial<BackupVmsOptions> = {},
    within: BackupContext = context,
  ): Promise<VmBackupReport> => {
    const vms = await chooseVms(engine, { names: ['web'] })
    const onScript = (_vm: unknown, report: ScriptReport): void => void told.push(report)
    const [result] = await backupVms(within, { vms, kind, requireConsistency: true, workers: 0, onScript, ...more })
    if (result === undefined || 'error' in result) throw result?.error ?? new Error('no result')
    return result.report
  }
  const fileIn = async (snapshot: string, path: string): Promise<Buffer> => {
    const file = join(folder, 'restored.raw')
    rmSync(file, { force: true })
    await using stored = await openDisk(repository, snapshot, { disk: 'root' })
    await using target = await createRawDisk(file, stored.sizeBytes)
    await copyDisk(stored, target)
    const { stdout } = await run('debugfs', ['-R', `cat ${path}`, file], { encoding: 'buffer', maxBuffer: 1 << 26 })
    return stdout
  }
  const write = async (path: string): Promise<string> =>
    (await guest.shell(`dd if=/dev/urandom of=${path} bs=64k count=16 2>/dev/null; sync; md5sum < ${path}`)).slice(
      0,
      32,
    )

  await t.test('as the check says', async t => {
    const found = async (path: HostPath): Promise<Record<string, string>> => {
      const findings: Record<string, string> = {}
      const checking = { ...config, ...path }
      for await (const { name, status, text } of checkPlatform({ engine, journal, config: checking, access: path }))
        findings[name] = `${status}: ${text}`
      return findings
    }
    const own = site.hostIds.indexOf(vm.hostId as string)
    const here = site.hostNames[own] as string
    const there = site.hostNames[1 - own] as string
    t.match(await found({ ...host, scratchFolder: '/tmp' }), {
      [`libvirt on ${here}`]: 'ok: it answers here',
      [`libvirt on ${there}`]: /^skipped: another host/,
      'this machine': `ok: it is the host ${here}`,
      programs: 'ok: virsh, flock, qemu-img are there',
      scratch_folder: 'ok: there is room in /tmp',
    })
    const dead = new Libvirt({ uri: `qemu:///system?socket=${folder}/none` })
    const broken = await found({
      ...host,
      libvirtSshUser: 'vdsm',
      openLibvirt: () => dead,
      scratchFolder: join(folder, 'x'.repeat(80)),
    })
    t.match(broken, {
      [`libvirt on ${here}`]: /^failed: libvirt: /,
      [`libvirt on ${there}`]: /^warning: libvirt: /,
      scratch_folder: /^failed: looking at the scratch folder/,
    })
    const long = join(folder, 'x'.repeat(80))
    mkdirSync(long)
    t.match(await found({ ...host, scratchFolder: long }), {
      scratch_folder: /^failed: the path of a socket has at most 107 bytes/,
    })
    const elsewhere = await found({ ...host, vdsmIdPath: join(folder, 'no.id') })
    t.match(elsewhere, { 'this machine': /^warning: it is no host of this engine/ })
    t.notOk(Object.keys(elsewhere).includes('scratch_folder'))
  })

  const one = await write('/root/one')
  const first = await backUp('incremental', { scripts })
  t.match(first, { method: 'host', frozen: 'yes', warnings: [], snapshot: { backupKind: 'full' } })
  t.equal(md5(await fileIn(first.snapshot.id, '/root/one')), one)
  t.strictSame(
    told.map(({ script, exitCode }) => [script, exitCode]),
    [
      ['before', 0],
      ['after', 0],
    ],
  )
  t.equal(await guest.shell('cat /root/scripts'), 'one\ntwo\n')

  const two = await write('/root/two')
  const second = await backUp('incremental')
  t.match(second.snapshot, { backupKind: 'incremental', parent: first.snapshot.id })
  t.ok((second.snapshot.disks[0]?.stats.newBytes ?? SIZE) < 16 * 1024 * 1024, 'only what changed is stored')
  t.equal(md5(await fileIn(second.snapshot.id, '/root/two')), two)
  t.equal(md5(await fileIn(second.snapshot.id, '/root/one')), one)
  t.match((await backUp('differential')).snapshot, { backupKind: 'differential', parent: first.snapshot.id })
  t.strictSame(readdirSync(scratch), [])

  // Paused midway: kept, not trusted, and no base.
  const suspend = (): void => {
    vm.status = 'paused'
    void guest.libvirt.run(['suspend', vm.id])
  }
  const paused = await backUp('incremental', { onStep: (_vm, step) => void (step === 'reading' && suspend()) })
  t.match(paused, { snapshot: { labels: { inconsistent: /paused/ } }, warnings: [/no backup starts from it/] })
  await guest.libvirt.run(['resume', vm.id])
  vm.status = 'up'
  t.strictSame(readdirSync(scratch), [])

  await t.test('by overlays, and dies with them', async t => {
    const overlaid = { ...context, host: { ...host, hostPathMethod: 'snapshot' as const } }
    const whole = await backUp('incremental', {}, overlaid)
    t.match(whole, { frozen: 'yes', warnings: [], snapshot: { backupKind: 'incremental' } })
    t.not(whole.snapshot.parent, paused.snapshot.id)
    t.strictSame(readdirSync(scratch), [])

    const folderOfRun = join(folder, 'journal-overlays')
    const kill = (): void => void process.kill(guest.pid(), 'SIGKILL')
    const failure = await Journal.open({ folder: folderOfRun }).then(async run => {
      await using mine = run
      const onStep = (_vm: unknown, step: string): void => void (step === 'reading' && kill())
      return await backUp('incremental', { onStep }, { ...overlaid, journal: mine }).then(
        () => undefined,
        (error: unknown) => error as GranaryError,
      )
    })
    t.match(failure, { code: 'GRANARY_REMOTE', message: /Nothing was deleted/, hint: /qemu-img commit -d/ })
    const overlay = String(failure?.detail['overlays'])
    t.equal(failure?.detail['bases'], guest.image)
    await using next = await Journal.open({ folder: folderOfRun })
    for (const isDry of [true, false])
      t.match(await recover({ engine, journal: next, isDry }), [
        { entry: { kind: 'host-overlay' }, outcome: { kind: 'failed', text: /Nothing was deleted/, hint: /qemu-img/ } },
      ])
    t.ok(existsSync(overlay))
    await run('qemu-img', ['commit', '-q', '-d', overlay])
    t.match(await recover({ engine, journal: next }), [{ outcome: { kind: 'failed' } }], 'the domain still names it')
    await guest.define()
    t.match(await recover({ engine, journal: next }), [{ outcome: { kind: 'undone' } }])
    t.strictSame(readdirSync(scratch), [])
    await guest.start()
  })

  const images = join(storageRoot, 'mnt', 'nas:_data', domain.id, 'images', disk.id)
  await t.test('on another host than ours', async t => {
    const elsewhere: HostPath = {
      ...host,
      vdsmIdPath: vdsmIdOf(false),
      hostPathMethod: 'snapshot',
      libvirtSshUser: 'root',
    }
    const from = async (path: HostPath): Promise<VmBackupReport> =>
      await backUp('full', { requireConsistency: false }, { ...context, host: path })
    const throughEngine = { method: 'hybrid', warnings: [/runs on another host.*backup API/] }
    t.match(await from(elsewhere), throughEngine, 'a backup from the native host, or through the engine')
    const driven = { ...elsewhere, backsUpFromNativeHost: false }
    t.match(await from(driven), throughEngine, 'its storage domain is not mounted here')
    mkdirSync(images, { recursive: true })
    mkdirSync(join(images, '..', '..', 'dom_md'))
    symlinkSync(guest.image, join(images, disk.imageId))
    t.match(await from({ ...driven, hostPathMethod: 'backup' }), throughEngine, 'sockets are not at hand')
    const { libvirtSshUser: _, ...unreached } = driven
    t.match(await from(unreached), throughEngine, 'libvirt there is out of reach')
    uris.length = 0
    const read = await from(driven)
    t.match(read, { method: 'host', frozen: 'yes', warnings: [] })
    t.match(uris, [/^qemu\+ssh:\/\/root@[\w.]+\/system/], 'libvirt is driven there')
    t.equal(md5(await fileIn(read.snapshot.id, '/root/two')), two, 'volumes are read here')
    t.strictSame(readdirSync(scratch), [])
    t.equal((await guest.libvirt.domain(vm.id)).disks[0]?.path, guest.image)
    rmSync(join(images, disk.imageId))
  })

  // Down: its volume lies where the platform mounts it.
  const three = await write('/root/three')
  await guest.shell('sync')
  await guest.kill()
  vm.status = 'down'
  await run('cp', [guest.image, join(images, disk.imageId)])
  const stopped = await backUp('incremental')
  t.match(stopped, { method: 'host', snapshot: { backupKind: 'incremental', parent: /./ } })
  t.equal(md5(await fileIn(stopped.snapshot.id, '/root/three')), three)

  // What was copied from the running guest runs.
  t.equal(md5(await fileIn(second.snapshot.id, '/root/two')), two)
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'restored.raw'), guest.image])
  await guest.start()
  t.equal((await guest.shell('md5sum < /root/two')).slice(0, 32), two, 'a restored guest starts, and has its files')
  t.notOk((await guest.shell('ls /root')).includes('three'), 'as they were at that moment')
  await guest.kill()

  // The chain does not go from one way to the other.
  const { host: _, ...plain } = context
  const [through] = await backupVms(plain, { vms: await chooseVms(engine, { names: ['web'] }), workers: 0 })
  t.match(through, {
    report: { method: 'hybrid', snapshot: { backupKind: 'full', warnings: [/the chain starts again/] } },
  })
  t.match(simulator.state(), { lockedDisks: [], openBackups: [], openTransfers: [], lockedVms: [] })
  t.strictSame(journal.pending, [])
})

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')
