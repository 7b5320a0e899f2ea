/** A simulated engine, a repository, and all that a backup works with, on one virtual clock. @module */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes, DiskReader } from '@granary/core'
import { fileBackend, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import { createSimulator } from '@granary/ovirt-simulator'
import type { OracleRecord, Simulator, SimulatorOptions } from '@granary/ovirt-simulator'
import { endBackup } from '../../src/backup/end-backup.ts'
import { addBackup, findBackup } from '../../src/engine/resources/backups.ts'
import { waitFor } from '../../src/engine/wait-for.ts'
import { Journal, backupVms, openEngine, openImageDisk, parseOvirtConfig } from '../../src/index.ts'
import type {
  BackupContext,
  BackupVmOptions,
  Engine,
  OpenImageOptions,
  OvirtConfig,
  VmBackupReport,
} from '../../src/index.ts'

export const MIB = 1024 * 1024

export const SECRET = { kind: 'key-file', key: new Uint8Array(32).fill(3) } as const

export interface WorldOptions extends Partial<SimulatorOptions> {
  /** Lines of a configuration. */
  readonly config?: readonly string[]
  /** For other processes to use. @default false: in memory */
  readonly isOnDisk?: boolean
}

export class World implements AsyncDisposable {
  readonly folder: string
  readonly simulator: Simulator
  readonly repository: Repository
  readonly config: OvirtConfig
  readonly configText: string
  engine: Engine
  journal: Journal
  /** What each disk held at the freeze, by backup and disk. */
  readonly #frozen = new Map<string, OracleRecord>()
  /** Bytes read from imageio. */
  imageBytes = 0
  /** For hosts to answer in: short where they are made silent, and only there. A busy machine needs its time. */
  connectTimeoutMs = 10_000

  private constructor(
    parts: Pick<World, 'folder' | 'simulator' | 'repository' | 'config' | 'configText' | 'engine' | 'journal'>,
  ) {
    this.folder = parts.folder
    this.simulator = parts.simulator
    this.repository = parts.repository
    this.config = parts.config
    this.configText = parts.configText
    this.engine = parts.engine
    this.journal = parts.journal
    this.simulator.moments.on('backup-ready', ({ vmId = '', backupId = '' }) => {
      for (const { diskId, frozen } of this.simulator.vm(vmId).backups.get(backupId)?.disks ?? [])
        if (frozen !== undefined) this.#frozen.set(`${backupId}/${diskId}`, frozen.record)
    })
  }

  static async open({ config: lines = [], isOnDisk = false, ...options }: WorldOptions = {}): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'granary-world-'))
    const simulator = await createSimulator({ dir: join(folder, 'engine'), ...options })
    const backend = isOnDisk ? fileBackend(join(folder, 'repository')) : memoryBackend()
    await initRepository(backend, SECRET, { compression: 'lz4' })
    const repository = await openRepository(backend, SECRET)
    const { username, password } = simulator.credentials
    const caFile = join(folder, 'engine-ca.pem')
    await writeFile(caFile, simulator.ca)
    const text = [
      `engine ${simulator.url}`,
      `username ${username}`,
      `password ${password}`,
      `ca_info ${caFile}`,
      'backup_using_ovirt_api yes',
      `journal_folder ${join(folder, 'journal')}`,
      ...lines,
    ].join('\n')
    const { config } = await parseOvirtConfig(text, { path: 'test', format: 'conf' })
    const journal = await Journal.open({ folder: config.journalFolder, clock: simulator.clock })
    const world = new World({
      folder,
      simulator,
      repository,
      config,
      configText: text,
      engine: await openEngine(config, simulator),
      journal,
    })
    return world
  }

  get repositoryFolder(): string {
    return join(this.folder, 'repository')
  }

  /** As another process would start: new login, new journal. */
  async restart(): Promise<void> {
    await this.engine[Symbol.asyncDispose]()
    await this.journal[Symbol.asyncDispose]()
    this.engine = await openEngine(this.config, this.simulator)
    this.journal = await Journal.open({ folder: this.config.journalFolder, clock: this.simulator.clock })
  }

  get context(): BackupContext {
    const { engine, repository, journal, config } = this
    return { engine, repository, journal, settings: config, openImage: async options => await this.openImage(options) }
  }

  async openImage(options: OpenImageOptions): Promise<Awaited<ReturnType<typeof openImageDisk>>> {
    const disk = await openImageDisk({
      ...options,
      clock: this.simulator.clock,
      isLocalAllowed: false,
      connectTimeoutMs: this.connectTimeoutMs,
    })
    const read = disk.read.bind(disk)
    disk.read = async (offset, target, abort) => {
      this.imageBytes += target.length
      await read(offset, target, abort)
    }
    return disk
  }

  /** A machine; `fills` are bytes of data at the start of each disk. */
  async addVm(name: string, disks: readonly object[], fills: readonly number[] = []): Promise<string> {
    const { inventory, site } = this.simulator
    const storageDomainId = site.storageDomains[0]?.id ?? ''
    const vm = await inventory.addVm({
      name,
      clusterId: site.clusterId,
      disks: disks.map(disk => ({ storageDomainId, sizeBytes: 32 * MIB, ...disk })),
    })
    let number = 0
    for (const diskId of vm.attachments.keys()) {
      const bytes = fills[number++] ?? 0
      if (bytes > 0) await this.simulator.image(diskId).write(0, pattern(bytes, number))
    }
    return vm.id
  }

  diskIds(vmId: string): readonly string[] {
    return [...this.simulator.vm(vmId).attachments.keys()]
  }

  /** Backs one machine up; what it fails with is thrown. */
  async backUp(vmId: string, options: BackupVmOptions & { signal?: AbortSignal } = {}): Promise<VmBackupReport> {
    const { readVm } = await import('../../src/engine/resources/vms.ts')
    const vm = await readVm(this.engine, vmId)
    const [result] = await backupVms(this.context, { workers: 0, ...options, vms: [vm] })
    if (result === undefined || 'error' in result) throw result?.error ?? new Error('no result')
    return result.report
  }

  /** As another product backs it up. @returns its checkpoint, which stays */
  async backUpForeign(vmId: string): Promise<string> {
    const disk = this.diskIds(vmId).map(id => ({ id }))
    const { id } = await addBackup(this.engine, vmId, { description: 'another product', disks: { disk } })
    const { clock } = this.simulator
    const ready = await waitFor(async () => await findBackup(this.engine, vmId, id), {
      clock,
      timeoutMs: 600_000,
      what: 'the foreign backup is ready',
      isDone: backup => backup?.phase === 'ready',
    })
    await endBackup(this.engine, vmId, id, { timeoutMs: 600_000, snapshotId: ready?.snapshotId })
    return ready?.toCheckpointId ?? ''
  }

  /** Which disks of a report's snapshot are not what the witness saw at the moment of the freeze. */
  async differing(report: Pick<VmBackupReport, 'snapshot'>): Promise<readonly string[]> {
    const differing: string[] = []
    for (const { name } of trackingIn(report).disks) {
      await using stored = await openDisk(this.repository, report.snapshot.id, { disk: name })
      if (!(await this.isAsFrozen(report, name, stored))) differing.push(name)
    }
    return differing
  }

  /** Whether a copy of a disk is what the witness saw at the freeze. @param name of the disk in the snapshot */
  async isAsFrozen(report: Pick<VmBackupReport, 'snapshot'>, name: string, copy: Bytes | DiskReader): Promise<boolean> {
    const { backupId, disks } = trackingIn(report)
    const record = this.#frozen.get(`${backupId}/${disks.find(disk => disk.name === name)?.id ?? ''}`)
    return record !== undefined && (await this.simulator.differences(record, copy)).length === 0
  }

  /** What is left of anything; a clean installation has nothing. */
  leftovers(): Record<string, readonly string[]> {
    return Object.fromEntries(Object.entries(this.simulator.state()).filter(([, ids]) => ids.length > 0))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]()
    await this.journal[Symbol.asyncDispose]()
    await this.repository[Symbol.asyncDispose]()
    await this.simulator[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

const trackingIn = ({ snapshot }: Pick<VmBackupReport, 'snapshot'>) =>
  (snapshot.machine as { tracking: { backupId: string; disks: { id: string; name: string }[] } }).tracking

/** Bytes that compress little and repeat nowhere. */
export const pattern = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  const words = new Uint32Array(bytes.buffer, 0, length >> 2)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return bytes
}
