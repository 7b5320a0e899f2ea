// The main job, from beginning to end, with the SDK: a machine with two disks on an engine is backed up, goes on writing, is
// backed up again, and restored as a new machine, which is compared byte by byte with what the old one held. The engine is a
// simulated one with a clock of its own, so that nothing waits. Run it with `npm start`; read it to learn the calls.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatBytes } from '@granary/core'
import { check, fileBackend, initRepository, openRepository } from '@granary/dedup-store'
import {
  Engine,
  Journal,
  backupVms,
  chooseVms,
  openImageDisk,
  openImageUpload,
  parseOvirtConfig,
  planRestore,
  readRestoreTarget,
  recover,
  requirePlan,
  restoreMachine,
  storedSource,
} from '@granary/ovirt-adapter'
import { createSimulator } from '@granary/ovirt-simulator'
import { createSteps, folderBytes } from './steps.mjs'

const MIB = 1024 * 1024

const { step, print } = createSteps()

/** An engine with one machine: a root disk of 256 MiB on NFS, 64 of them used, and a data disk of 128 MiB on iSCSI. */
const startPlatform = async folder => {
  const simulator = await createSimulator({ dir: join(folder, 'platform'), profile: 'ovirt-4.5' })
  const { clusterId, storageDomains, vnicProfileId } = simulator.site
  const [nfs, iscsi] = storageDomains
  const vm = await simulator.inventory.addVm({
    name: 'web',
    clusterId,
    disks: [
      { alias: 'web_root', sizeBytes: 256 * MIB, storageDomainId: nfs.id },
      { alias: 'web_data', sizeBytes: 128 * MIB, storageDomainId: iscsi.id, interface: 'virtio' },
    ],
    nics: [{ name: 'nic1', interface: 'virtio', vnic_profile: { id: vnicProfileId } }],
  })
  const [root, data] = [...vm.attachments.keys()]
  await simulator.image(root).write(MIB, new Uint8Array(randomBytes(64 * MIB)))
  await simulator.image(data).write(0, new Uint8Array(randomBytes(8 * MIB)))
  return { simulator, vm, root, data }
}

/** Engine, journal and settings, as an administrator's file says. */
const connect = async (simulator, folder) => {
  const { username, password } = simulator.credentials
  const text = `
engine ${simulator.url}
username ${username}
password ${password}
backup_using_ovirt_api yes
journal_folder ${join(folder, 'journal')}`
  const { config } = await parseOvirtConfig(text, { path: 'example', format: 'conf' })
  const { clock } = simulator
  const engine = new Engine({ url: config.engineUrl, username, password, apiCa: simulator.ca, clock })
  const journal = await Journal.open({ folder: config.journalFolder, clock })
  return { config, engine, journal, clock }
}

const main = async folder => {
  const { simulator, vm, root, data } = await startPlatform(folder)
  const { config, engine, journal, clock } = await connect(simulator, folder)
  const secret = { kind: 'key-file', key: new Uint8Array(randomBytes(32)) }
  const backend = fileBackend(join(folder, 'repository'))
  await initRepository(backend, secret, { compression: 'zstd:3' })
  const repository = await openRepository(backend, secret)

  // Whatever an earlier run left on the engine is put away first. Here there is nothing.
  await recover({ engine, journal })

  /** One of the machines; `backupVms` takes any number, and gives one result for each. */
  const backUp = async () => {
    const vms = await chooseVms(engine, { names: ['web'] })
    const openImage = options => openImageDisk({ ...options, clock })
    const [result] = await backupVms({ engine, repository, journal, openImage, settings: config }, { vms, workers: 1 })
    if (result.error !== undefined) throw result.error
    return result.report
  }

  await step('back the machine up', backUp, describeBackup)
  await step(
    'the guest goes on writing',
    async () => {
      await simulator.guest(vm.id, root).write(40 * MIB + 5000, new Uint8Array(randomBytes(MIB)))
      await simulator.guest(vm.id, data).write(3 * MIB, new Uint8Array(randomBytes(100_000)))
    },
    () => ({ text: `${formatBytes(MIB + 100_000)} on two disks` }),
  )

  // What the disks hold at the moment of the second backup, by a witness of the simulator's own.
  const frozen = new Map()
  simulator.moments.once('backup-ready', ({ backupId }) => {
    frozen.set('web_root', simulator.frozen(backupId, root))
    frozen.set('web_data', simulator.frozen(backupId, data))
  })
  const second = await step('back up what has changed', backUp, describeBackup)
  await simulator.guest(vm.id, root).write(0, new Uint8Array(randomBytes(MIB))) // It goes on, of no matter to the copy.

  await restoreAndCompare({ engine, journal, config, clock, repository, simulator }, second.snapshot, frozen)
  await step(
    'check the repository, reading all of it',
    async () => await check(repository, { readData: 1 }),
    ({ packs, readBytes, damages }) => ({ text: `${packs} packs, ${damages.length} damages`, bytes: readBytes }),
  )

  const left = Object.entries(simulator.state()).filter(([, ids]) => ids.length > 0)
  for (const open of [journal, engine, repository, simulator]) await open[Symbol.asyncDispose]()
  print()
  const stored = await folderBytes(join(folder, 'repository'))
  console.log(
    `\n2 backups of ${formatBytes(384 * MIB)} of disks take ${formatBytes(stored)}. On the engine ${
      left.length === 0 ? 'nothing is locked, open or left behind.' : `is left: ${JSON.stringify(left)}`
    }`,
  )
  if (left.length > 0) process.exitCode = 1
}

/** A new machine from a snapshot; each of its disks must be what the old one's held at that moment. */
const restoreAndCompare = async (opened, snapshot, frozen) => {
  const { engine, journal, config, clock, repository, simulator } = opened
  const restored = await step(
    'restore it as a new machine',
    async () => {
      const source = await storedSource(repository, snapshot.id)
      const plan = requirePlan(planRestore(source, await readRestoreTarget(engine, { name: 'web' }), {}))
      const openUpload = options => openImageUpload({ ...options, clock })
      return await restoreMachine({ engine, journal, settings: config, openUpload }, source, plan)
    },
    ({ name, disks, nics }) => ({
      text: `${name}: ${disks.length} disks, ${nics.length} NIC, not started`,
      bytes: sizeOf(disks),
    }),
  )
  await step(
    'compare every byte of its disks',
    async () => {
      for (const { id, alias } of restored.disks) {
        const differences = await simulator.differences(frozen.get(alias), readerOf(simulator.image(id)))
        if (differences.length > 0) throw new Error(`${alias} differs at ${differences[0].offset}`)
      }
      return sizeOf(restored.disks)
    },
    bytes => ({ text: `${formatBytes(bytes)} are equal`, bytes }),
  )
}

const describeBackup = ({ snapshot, method }) => {
  const sum = field => snapshot.disks.reduce((total, disk) => total + disk.stats[field], 0)
  const text = `${snapshot.backupKind} (${method}): ${formatBytes(sum('newBytes'))} new, ${formatBytes(sum('storedBytes'))} stored`
  return { text, bytes: sum('readBytes') }
}

const sizeOf = disks => disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

/** What a disk of the platform holds now, as a disk to compare with. */
const readerOf = image => ({
  sizeBytes: image.sizeBytes,
  blockBytes: 512,
  read: async (offset, target) => await image.read(offset, target),
  async *extents({ offset = 0, length = image.sizeBytes - offset } = {}) {
    yield { offset, length, kind: 'data' }
  },
  [Symbol.asyncDispose]: async () => undefined,
})

const folder = await mkdtemp(join(tmpdir(), 'granary-start-'))
try {
  await main(folder)
} finally {
  await rm(folder, { recursive: true, force: true })
}
