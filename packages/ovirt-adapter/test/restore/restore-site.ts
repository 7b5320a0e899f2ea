/** A simulated platform, and all that a restore to it needs. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { createSimulator } from '@granary/ovirt-simulator'
import type { AttachedDiskOptions, Simulator, SimulatorOptions, VmOptions } from '@granary/ovirt-simulator'
import { measureQcow2 } from '@granary/qcow2'
import { seededBytes } from '@granary/testing'
import { gatherMachine } from '../../src/backup/gather-machine.ts'
import { listAttachments } from '../../src/engine/resources/disks.ts'
import { readVm } from '../../src/engine/resources/vms.ts'
import {
  BACKUP_UNDO,
  Engine,
  Journal,
  openImageUpload,
  planRestore,
  readRestoreTarget,
  recover,
  requirePlan,
  restoreUndo,
} from '../../src/index.ts'
import type {
  MachineRecord,
  ReadableSource,
  Recovered,
  RestoreChoices,
  RestoreContext,
  RestorePlan,
  RestoreReport,
} from '../../src/index.ts'
import type { Test } from 'tap'

export const MIB = 1024 ** 2

export interface RestoreSite extends AsyncDisposable {
  readonly simulator: Simulator
  readonly engine: Engine
  /** Where journals are: a later "start" opens another one there. */
  readonly journalFolder: string
  /** For hosts to answer in: short where they are made silent, and only there. A busy machine needs its time. */
  connectTimeoutMs: number
  context(journal: Journal, overrides?: Partial<RestoreContext>): RestoreContext
  openJournal(): Promise<Journal>
  plan(source: ReadableSource, choices?: RestoreChoices): Promise<RestorePlan>
}

export const SETTINGS: RestoreContext['settings'] = {
  transferStartMs: 300_000,
  transferInactivitySeconds: 60,
  transferFinalizeMs: 300_000,
  uploadStallMs: 25 * 60_000,
  vmStateMs: 600_000,
  limits: { vmsAtOnce: 4, vmsPerHost: 2, vmsPerStorageDomain: 4, transfersPerVm: 4, connectionsPerTransfer: 4 },
}

export const openSite = async (options: Omit<SimulatorOptions, 'dir'> = {}): Promise<RestoreSite> => {
  const folder = join(tmpdir(), `granary-restore-${randomBytes(6).toString('hex')}`)
  const simulator = await createSimulator({ dir: join(folder, 'site'), ...options })
  const { clock } = simulator
  const engine = new Engine({ url: simulator.url, apiCa: simulator.ca, ...simulator.credentials, clock })
  const journalFolder = join(folder, 'journal')
  const site: RestoreSite = {
    simulator,
    engine,
    journalFolder,
    connectTimeoutMs: 10_000,
    openJournal: async () => await Journal.open({ folder: journalFolder, clock }),
    context: (journal, overrides) => ({
      engine,
      journal,
      settings: SETTINGS,
      openUpload: async upload =>
        await openImageUpload({
          ...upload,
          clock,
          isLocalAllowed: false,
          connectTimeoutMs: site.connectTimeoutMs,
        }),
      ...overrides,
    }),
    async plan(source, choices = {}) {
      const name = choices.name ?? String(source.record.vm['name'])
      return requirePlan(planRestore(source, await readRestoreTarget(engine, { name }), choices))
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]()
      await simulator[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return site
}

/** A machine whose disks hold something, stopped. */
export const addMachine = async (
  { simulator }: RestoreSite,
  {
    seed = 1,
    disks,
    ...options
  }: Omit<Partial<VmOptions>, 'disks'> & { seed?: number; disks?: readonly Partial<AttachedDiskOptions>[] } = {},
): Promise<string> => {
  const { site, inventory } = simulator
  const shapes = disks ?? [{ alias: 'web_Disk1', bootable: true }, { alias: 'web_Disk2' }]
  const vm = await inventory.addVm({
    name: 'web',
    clusterId: site.clusterId,
    status: 'down',
    nics: [
      { name: 'nic1', interface: 'virtio', vnic_profile: { id: site.vnicProfileId } },
      { name: 'nic2', interface: 'e1000', linked: false, plugged: true },
    ],
    config: { description: 'the web server', comment: 'kept' },
    ...options,
    disks: shapes.map(disk => ({ sizeBytes: 4 * MIB, storageDomainId: site.storageDomains[0]?.id ?? '', ...disk })),
  })
  for (const [index, disk] of [...simulator.vm(vm.id).attachments.keys()].entries()) {
    const image = simulator.image(disk)
    await image.write(0, seededBytes(Math.min(MIB + 4096, image.sizeBytes), seed * 100 + index))
    await image.write(image.sizeBytes - 8192, seededBytes(8192, seed * 100 + index + 50))
  }
  return vm.id
}

/** What a backup of the machine would give: its record, and what its disks hold now. */
export const sourceOf = async (
  site: RestoreSite,
  vmId: string,
  overrides: Partial<MachineRecord> = {},
): Promise<ReadableSource> => {
  const { engine, simulator } = site
  const attachments = (await listAttachments(engine, vmId)).filter(({ disk }) => disk.storageType === 'image')
  const names = new Map(attachments.map(({ id, disk }) => [id, disk.alias]))
  const { machine } = await gatherMachine(engine, await readVm(engine, vmId), { attachments, names })
  const contents = new Map<string, Bytes>()
  for (const { id, disk } of attachments) {
    const bytes = new Uint8Array(disk.sizeBytes)
    await simulator.image(id).read(0, bytes)
    contents.set(disk.alias, bytes)
  }
  return sourceFrom({ ...machine, notCopied: [], frozen: 'unknown', ...overrides }, contents)
}

export const sourceFrom = async (
  record: MachineRecord,
  contents: ReadonlyMap<string, Bytes>,
): Promise<ReadableSource> => {
  const disks = []
  for (const [name, bytes] of contents) {
    const { requiredBytes } = await measureQcow2({ sizeBytes: bytes.length, extents: memoryDisk(bytes).extents() })
    disks.push({ name, sizeBytes: bytes.length, requiredBytes })
  }
  return {
    snapshotId: 'snapshot-1',
    record,
    disks,
    openDisk: async name => memoryDisk((contents.get(name) ?? new Uint8Array()).slice()),
  }
}

/** Where a restored disk differs from its source, as the simulator's own witness sees it. */
export const differencesOf = async (
  site: RestoreSite,
  source: ReadableSource,
  name: string,
  diskId: string,
): Promise<number> => {
  await using disk = await source.openDisk(name, {})
  const bytes = new Uint8Array(site.simulator.disk(diskId).volume?.sizeBytes ?? 0)
  await disk.read(0, bytes.subarray(0, disk.sizeBytes))
  return (await site.simulator.differences(await site.simulator.record(diskId), bytes)).length
}

export const NOTHING_LEFT = { lockedDisks: [], openTransfers: [], floatingDisks: [], illegalDisks: [], lockedVms: [] }
const DAY_MS = 86_400_000
export const GIB = 1024 ** 3

/** What the next start does about what is left. */
export const recoverIn = async (
  site: RestoreSite,
  journal: Journal,
  options: { removesResumable?: boolean; ageLimitMs?: number; isDry?: boolean } = {},
): Promise<readonly Recovered[]> => {
  const { isDry = false, ...rest } = options
  const undo = { ...BACKUP_UNDO, ...restoreUndo({ journal, settings: SETTINGS, ageLimitMs: 14 * DAY_MS, ...rest }) }
  return await recover({ engine: site.engine, journal, undo, isDry })
}

/** Every disk to the bit, and nothing left over. */
export const compare = async (
  t: Test,
  site: RestoreSite,
  source: ReadableSource,
  report: RestoreReport,
): Promise<void> => {
  for (const { id, alias } of report.disks)
    t.equal(await differencesOf(site, source, alias, id), 0, `${alias} to the bit`)
  t.match(site.simulator.state(), NOTHING_LEFT)
}

export const vmNames = async (site: RestoreSite): Promise<string[]> =>
  ((await site.engine.get('/vms'))['vm'] as { name: string }[]).map(({ name }) => name).toSorted()

/** Ends the caller's patience when so many bytes of a disk are through. */
export const abortAt = (
  doneBytes: number,
): { signal: AbortSignal; onEvent: (event: { type: string; doneBytes?: number }) => void } => {
  const controller = new AbortController()
  return {
    signal: controller.signal,
    onEvent: event => {
      if (event.type === 'disk-progress' && (event.doneBytes ?? 0) >= doneBytes)
        controller.abort(new Error('the caller left'))
    },
  }
}
