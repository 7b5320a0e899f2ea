/** The whole backup on the host: a simulated engine knows the machine, a real libvirt runs it. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyDisk, createRawDisk } from '@granary/core'
import { initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import { createRealClock, createSimulator } from '@granary/ovirt-simulator'
import t from 'tap'
import { Engine, Journal, backupVms, chooseVms, openImageDisk, parseOvirtConfig } from '../../src/index.ts'
import type { BackupKind } from '@granary/dedup-store'
import type { BackupContext, GuestScripts, HostPath, ScriptReport, VmBackupReport } from '../../src/index.ts'
import { createGuest, run, whyNoGuest } from './private-libvirt.ts'

t.setTimeout(600_000)
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
  const host: HostPath = { isPreferred: true, ...config, libvirt: guest.libvirt, storageRoot }
  const context: BackupContext = { engine, repository, journal, openImage: openImageDisk, settings: config, host }
  const scripts: GuestScripts = { before: '/root/hook-one', after: '/root/hook-two' }
  const told: ScriptReport[] = []
  const backUp = async (kind: BackupKind, more: { scripts?: GuestScripts } = {}): Promise<VmBackupReport> => {
    const vms = await chooseVms(engine, { names: ['web'] })
    const onScript = (_vm: unknown, report: ScriptReport): void => void told.push(report)
    const [result] = await backupVms(context, { vms, kind, requireConsistency: true, workers: 0, onScript, ...more })
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

  // Down: its volume lies where the platform mounts it.
  const three = await write('/root/three')
  await guest.shell('sync')
  await guest.kill()
  vm.status = 'down'
  const images = join(storageRoot, 'mnt', 'nas:_data', domain.id, 'images', disk.id)
  mkdirSync(images, { recursive: true })
  mkdirSync(join(images, '..', '..', 'dom_md'))
  await run('cp', [guest.image, join(images, disk.imageId)])
  const stopped = await backUp('incremental')
  t.match(stopped, { method: 'host', snapshot: { backupKind: 'incremental', parent: /./ } })
  t.equal(md5(await fileIn(stopped.snapshot.id, '/root/three')), three)

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
