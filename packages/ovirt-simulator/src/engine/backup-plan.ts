/** Whether a backup may begin, by which engine, and what of each disk (CONTRACT §4.1, §4.3, §4.6). @module */
import { randomUUID } from 'node:crypto'
import { incomplete, operationFailed, requireAll } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { BackupEngine, Disk, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast, isVersionAtLeast, levelNumber } from '../profiles.ts'
import { compatibilityLevel } from './create-vm.ts'
import { requireDisksUsable, requireNoBackup, requireVmUnlocked } from './locks.ts'
import { requirePermit } from './permits.ts'

const INCREMENTAL_LEVEL = '4.5'
const HYBRID_LEVEL = '4.7'
const MAX_DESCRIPTION = 1024
const ACTION = 'backup VM'

export interface BackupPlan {
  readonly engine: BackupEngine
  readonly fromCheckpointId: string | undefined
  readonly description: string
  readonly requireConsistency: boolean
  readonly correlationId: string
  readonly disks: readonly { readonly disk: Disk; readonly mode: 'full' | 'incremental' }[]
}

export interface BackupRequest {
  readonly body: Attributes
  readonly user: string
  readonly requireConsistency: boolean
  readonly correlationId: string | undefined
  /** `legacy=true`; without a value it counts as false. */
  readonly isLegacy: boolean
}

/** @throws ApiError as CONTRACT §0.3 lists them */
export const planBackup = (world: World, vm: Vm, request: BackupRequest): BackupPlan => {
  const { body, user } = request
  const listed = body['disks'] as readonly Attributes[] | undefined
  if (listed === undefined || listed.length === 0) throw incomplete('Backup [disks] required for add')
  const disks = listed.map(({ id }) => backupDisk(world, vm, String(id).toLowerCase()))
  requirePermit(world, user, 'BACKUP_DISK', vm.id)
  for (const disk of disks) requirePermit(world, user, 'BACKUP_DISK', disk.id, vm.id)
  requireVmReady(world, vm, request)
  requireAll(
    () => requireDisksActive(vm, disks),
    () => requireDisksUsable(disks, ACTION),
  )
  const description = String(body['description'] ?? '')
  if (description.length > MAX_DESCRIPTION)
    throw operationFailed(400, 'size must be between 0 and 1024. Attribute: vmBackup.description')
  const engine = engineFor(world, vm, request.isLegacy)
  if (engine === 'live') requireHostKnowsBackups(world, vm)
  const fromCheckpointId = body['from_checkpoint_id'] as string | undefined
  const covered = fromCheckpointId === undefined ? new Set<string>() : coveredBy(world, vm, fromCheckpointId)
  return {
    engine,
    fromCheckpointId,
    description,
    // A hybrid backup never hands the parameter on.
    requireConsistency: request.requireConsistency && engine === 'live',
    correlationId: request.correlationId ?? randomUUID(),
    // Shared disks, and what is no image, are dropped without a word.
    disks: disks
      .filter(disk => disk.volume !== undefined && disk.config['shareable'] !== true)
      .map(disk => ({ disk, mode: covered.has(disk.id) && !world.fullNext.delete(disk.id) ? 'incremental' : 'full' })),
  }
}

/** @throws ApiError 400 for an unknown disk, 500 for one that the VM does not have */
const backupDisk = (world: World, vm: Vm, id: string): Disk => {
  const disk = world.disks.get(id)
  if (disk === undefined) throw operationFailed(400, `Cannot ${ACTION}. The following disk IDs do not exist: ${id}.`)
  if (!vm.attachments.has(id)) throw operationFailed(500, 'Internal Engine Error')
  return disk
}

const requireVmReady = (world: World, vm: Vm, { body }: BackupRequest): void => {
  if (vm.status !== 'up' && vm.status !== 'down')
    throw operationFailed(409, `Cannot ${ACTION}. The VM must be in Up or Down status.`)
  if (vm.config['origin'] === 'managed_hosted_engine' || vm.config['origin'] === 'hosted_engine')
    throw operationFailed(409, `Cannot ${ACTION}. The VM is the hosted engine VM.`)
  requireNoBackup(vm, ACTION, { hybridAllowed: false })
  requireVmUnlocked(vm, ACTION)
  const { id } = body
  if (id === undefined || !isAtLeast(world.profile, 4, 5, 0)) return
  if ([...world.vms.values()].some(one => one.backups.has(String(id).toLowerCase())))
    throw operationFailed(400, `Cannot ${ACTION}. Backup with the same ID already exists.`)
}

const requireDisksActive = (vm: Vm, disks: readonly Disk[]): void => {
  const inactive = disks.filter(({ id }) => vm.attachments.get(id)?.isActive !== true)
  if (inactive.length > 0)
    throw operationFailed(
      409,
      `Cannot ${ACTION}. The following disks are not active: ${inactive.map(one => one.id).join(', ')}.`,
    )
}

const engineFor = (world: World, vm: Vm, isLegacy: boolean): BackupEngine => {
  const level = levelNumber(compatibilityLevel(world, vm))
  if (level >= levelNumber(HYBRID_LEVEL) && !isLegacy) return 'hybrid'
  return vm.status === 'up' ? 'live' : 'cold'
}

/** The first vdsm that backs running VMs up: that of engine 4.4.5. */
const BACKUP_VDSM = [4, 40, 50]

/** @throws ApiError 409 when the host is too old for live backups */
const requireHostKnowsBackups = (world: World, vm: Vm): void => {
  const version = world.plain.hosts.get(vm.hostId ?? '')?.['version'] as Attributes | undefined
  const { major = 0, minor = 0, build = 0 } = version ?? {}
  if (!isVersionAtLeast([major, minor, build].map(Number), BACKUP_VDSM))
    throw operationFailed(409, `Cannot ${ACTION}. The host that runs the VM does not support backups: it is outdated.`)
}

/** The disks that a checkpoint covers. @throws ApiError 400 when it does not do */
const coveredBy = (world: World, vm: Vm, id: string): Set<string> => {
  if (levelNumber(compatibilityLevel(world, vm)) < levelNumber(INCREMENTAL_LEVEL))
    throw operationFailed(400, `Cannot ${ACTION}. Incremental backup is not supported for this cluster level.`)
  const checkpoint = vm.checkpoints.find(one => one.id === id)
  if (checkpoint === undefined) throw operationFailed(400, `Cannot ${ACTION}. The checkpoint ${id} does not exist.`)
  if (checkpoint.state === 'invalid') throw operationFailed(400, `Cannot ${ACTION}. The checkpoint ${id} is invalid.`)
  return new Set(checkpoint.diskIds)
}

/** Below 4.5 no checkpoints are made. */
export const makesCheckpoints = (world: World, vm: Vm): boolean =>
  levelNumber(compatibilityLevel(world, vm)) >= levelNumber(INCREMENTAL_LEVEL)
