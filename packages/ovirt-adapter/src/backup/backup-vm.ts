/**
 * Backs one machine up: from its state to the engine's journal, one step after the other.
 *
 * @see docs/ovirt-adapter.md, "A backup, step by step"
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { backup as storeDisks } from '@granary/dedup-store'
import type { DiskProgress, Snapshot } from '@granary/dedup-store'
import { listCheckpointDisks, listCheckpoints } from '../engine/resources/checkpoints.ts'
import type { Checkpoint } from '../engine/resources/checkpoints.ts'
import { listAttachments } from '../engine/resources/disks.ts'
import { compareLevels } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { MachineRecord, NotCopiedDisk } from '../machine/machine-record.ts'
import { requireReady } from './backup-disk.ts'
import type { ReadLimit } from './bandwidth.ts'
import { chooseBase, isTrackable } from './choose-base.ts'
import type { BaseChoice } from './choose-base.ts'
import { chooseDisks, nameDisks, requireAll } from './choose-disks.ts'
import type { ChosenDisks } from './choose-disks.ts'
import { endJournaled } from './end-backup.ts'
import { gatherMachine } from './gather-machine.ts'
import type { Gathered } from './gather-machine.ts'
import { isInconsistent, markIfDisturbed } from './inconsistency.ts'
import { isOwn } from './ownership.ts'
import { pruneCheckpoints } from './prune-checkpoints.ts'
import type { VmBackupReport } from './report.ts'
import type { BackupContext, BackupVmOptions } from './settings.ts'
import { staleCheckpoints } from './stale-checkpoints.ts'
import { startBackup } from './start-backup.ts'
import type { StartedBackup } from './start-backup.ts'
import { planStore } from './store-disks.ts'
import type { StorePlan } from './store-disks.ts'
import { trackingJson, trackingOf } from './tracking.ts'
import type { Tracking } from './tracking.ts'
import { waitUntilSteady } from './vm-state.ts'

export interface BackupVmCall extends BackupVmOptions, AbortOptions {
  /** All of the repository, oldest first. */
  readonly snapshots: readonly Snapshot[]
  readonly limit?: ReadLimit | undefined
  readonly onProgress?: (progress: DiskProgress) => void
  readonly onStep?: (step: BackupStep) => void
  /** Put around the moment of the copy: scripts in the guest, before and after. */
  readonly aroundStart?: <Result>(start: () => Promise<Result>) => Promise<Result>
}

export type BackupStep = 'configuration' | 'starting' | 'reading' | 'ending'

/** From this level on the engine takes disks without a checkpoint into an incremental backup. */
const MIXING_LEVEL = { major: 4, minor: 5 }

/**
 * Backs up one machine into one snapshot. When it fails nothing is committed, and what was begun on the engine is ended, or
 * stays in the journal for the next start.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` for a state or a disk that can't be backed up, `GRANARY_LOCKED` when the engine says
 * "not now" for too long, and what engine, imageio and repository throw
 */
export const backupVm = async (
  context: BackupContext,
  vmId: string,
  options: BackupVmCall,
): Promise<VmBackupReport> => {
  const { engine, settings } = context
  const { signal, onStep } = options
  const vm = await waitUntilSteady(engine, vmId, { timeoutMs: settings.vmStateMs, signal })
  if (vm.status === 'down' && options.backsUpIfShutdown === false) throw machineIsDown(vm)
  onStep?.('configuration')
  const attachments = await listAttachments(engine, vm.id, { signal })
  const chosen = chooseDisks(attachments, options.excludeDisks ?? [])
  if (options.requireAllDisks === true) requireAll(vm.name, chosen.notCopied)
  const names = nameDisks(attachments.map(({ disk }) => disk))
  const copied = [...chosen.inBackup, ...chosen.plain]
  const gathered = await gatherMachine(engine, vm, { attachments: copied, names, signal })
  const level = vm.customLevel ?? gathered.cluster.level
  const choice = chooseBase({
    kind: options.kind ?? 'incremental',
    vmId: vm.id,
    method: 'api',
    snapshots: options.snapshots,
    checkpoints: await listCheckpoints(engine, vm.id, { signal }),
    stale: await staleCheckpoints(context.journal, { engine: engine.base, vmId: vm.id }),
    disks: chosen.inBackup,
    canMix: compareLevels(level, MIXING_LEVEL) >= 0,
  })
  onStep?.('starting')
  const { aroundStart = async start => await start() } = options
  const { started, used } = await aroundStart(async () => await startOrFull(context, vm, { chosen, choice, options }))
  const job = { vm, chosen, names, gathered, started, choice: used }
  return await endAfter(context, job, async () => await store(context, job, options), options)
}

export const machineIsDown = ({ name }: Vm): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `${name} is down, and machines that are down are not to be backed up`, {
    detail: { vm: name },
    hint: 'start it, or allow backup_if_shutdown',
  })

interface Job {
  readonly vm: Vm
  readonly chosen: ChosenDisks
  readonly names: ReadonlyMap<string, string>
  readonly gathered: Gathered
  readonly started: StartedBackup | undefined
  readonly choice: BaseChoice
}

/** An incremental backup that the engine refuses, or that fails for its checkpoint, becomes a full one. */
const startOrFull = async (
  context: BackupContext,
  vm: Vm,
  { chosen, choice, options }: { chosen: ChosenDisks; choice: BaseChoice; options: BackupVmCall },
): Promise<{ started: StartedBackup | undefined; used: BaseChoice }> => {
  if (chosen.inBackup.length === 0) return { started: undefined, used: { ...choice, kind: 'full' } }
  const start = async (fromCheckpointId: string | undefined): Promise<StartedBackup> =>
    await startBackup(context, vm, {
      disks: chosen.inBackup,
      fromCheckpointId,
      requireConsistency: options.requireConsistency ?? false,
      signal: options.signal,
    })
  const { base } = choice
  try {
    return { started: await start(base?.checkpointId), used: choice }
  } catch (error) {
    if (base === undefined || !isGranaryError(error) || !isBaseLost(error)) throw error
    const warning = `the engine can't start from checkpoint ${base.checkpointId}: a full backup (${error.message})`
    return { started: await start(undefined), used: { kind: 'full', warnings: [...choice.warnings, warning] } }
  }
}

/**
 * A refusal of what was asked (400), or a backup that failed before it was ready: its checkpoint may be gone, wiped (event
 * 10791), or have a bitmap that was in use when its host lost power, which no list shows.
 */
const isBaseLost = ({ detail }: GranaryError): boolean => detail['status'] === 400 || detail['phase'] !== undefined

interface Stored {
  readonly snapshot: Snapshot
  readonly tracking: Tracking
  readonly frozen: MachineRecord['frozen']
  readonly plan: StorePlan
}

/** Moves the disks, and commits if the engine's backup lived until then. */
const store = async (
  context: BackupContext,
  { vm, chosen, names, gathered, started, choice }: Job,
  options: BackupVmCall,
): Promise<Stored> => {
  const { engine, repository, journal } = context
  const { signal, requireConsistency = false, limit } = options
  const labels = { ...options.labels, vm: vm.id }
  const plan = planStore(context, { vm, started, ...chosen, names, base: choice.base, limit })
  const frozen = vm.status !== 'up' ? 'no' : requireConsistency ? 'yes' : 'unknown'
  let tracking: Tracking = { method: 'api', installation: journal.installation, vmId: vm.id, disks: [] }
  try {
    options.onStep?.('reading')
    const snapshot = await storeDisks(repository, plan.inputs, {
      name: vm.name,
      labels,
      parent: choice.base?.snapshot.id ?? 'none',
      kind: choice.kind,
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      // More disks than workers would only keep tickets waiting.
      disksAtOnce: Math.min(context.settings.limits.transfersPerVm, Math.max(1, options.workers ?? 1)),
      signal,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      beforeCommit: async () => {
        if (options.requireAllDisks === true) requireAll(vm.name, plan.notCopied)
        tracking = await trackingOfBackup(context, { vm, chosen, names, started, plan }, { signal })
        if (started !== undefined) await requireReady(engine, { vmId: vm.id, backupId: started.backup.id, signal })
        const notCopied = [...chosen.notCopied, ...plan.notCopied]
        const disks = gathered.machine.disks.filter(({ id }) => plan.notCopied.every(other => other.id !== id))
        const machine: MachineRecord = {
          ...gathered.machine,
          disks,
          notCopied,
          frozen,
          tracking: trackingJson(tracking),
        }
        const isOfSnapshot = started?.backup.snapshotId !== undefined
        const mark = await markIfDisturbed(engine, vm, { isOfSnapshot, signal })
        const warnings = [
          ...choice.warnings,
          ...gathered.warnings,
          ...plan.warnings,
          ...notCopiedWarnings(notCopied),
          ...mark.warnings,
        ]
        return { machine, warnings, labels: { ...labels, ...mark.labels } }
      },
    })
    return { snapshot, tracking, frozen, plan }
  } catch (error) {
    await plan.transfers.settle().catch(() => undefined)
    throw error
  }
}

const notCopiedWarnings = (notCopied: readonly NotCopiedDisk[]): readonly string[] =>
  notCopied
    .filter(({ reason }) => reason !== 'excluded')
    .map(({ alias, reason }) => `disk ${alias} is not in the copy: ${reason}`)

const trackingOfBackup = async (
  { engine, journal }: BackupContext,
  { vm, chosen, names, started, plan }: Pick<Job, 'vm' | 'chosen' | 'names' | 'started'> & { plan: StorePlan },
  { signal }: AbortOptions,
): Promise<Tracking> => {
  const common = { method: 'api', installation: journal.installation, vmId: vm.id } as const
  const backup = started?.backup
  const checkpointId = backup?.toCheckpointId
  const covered = checkpointId === undefined ? [] : await listCheckpointDisks(engine, vm.id, checkpointId, { signal })
  const disks = [...chosen.inBackup, ...chosen.plain]
    .filter(({ id }) => plan.notCopied.every(other => other.id !== id))
    .map(({ disk }) => ({
      id: disk.id,
      name: names.get(disk.id) ?? disk.alias,
      sizeBytes: disk.sizeBytes,
      isTracked: covered.includes(disk.id) && isTrackable(disk),
    }))
  return {
    ...common,
    ...(backup === undefined ? {} : { backupId: backup.id }),
    ...(checkpointId === undefined ? {} : { checkpointId }),
    disks,
  }
}

/** Whatever comes of the work, the engine's backup is ended; what fails after the commit is a warning. */
const endAfter = async (
  context: BackupContext,
  job: Job,
  work: () => Promise<Stored>,
  options: BackupVmCall,
): Promise<VmBackupReport> => {
  const { started, vm } = job
  let stored: Stored
  try {
    stored = await work()
  } catch (error) {
    if (started !== undefined) await endStarted(context, started).catch(() => undefined)
    throw error
  }
  options.onStep?.('ending')
  const late = [...(await stored.plan.transfers.settle())]
  if (started !== undefined) late.push(...(await endStarted(context, started)))
  const pruned = await prune(context, job, stored, options)
  const { snapshot, tracking, frozen } = stored
  return {
    vmId: vm.id,
    vmName: vm.name,
    snapshot,
    method: methodOf(job),
    frozen,
    checkpointId: tracking.checkpointId,
    removedCheckpoints: pruned.removed,
    notCopied: [...job.chosen.notCopied, ...stored.plan.notCopied],
    warnings: [...snapshot.warnings, ...late, ...pruned.warnings],
  }
}

const endStarted = async ({ engine, settings }: BackupContext, { entry }: StartedBackup): Promise<readonly string[]> =>
  await endJournaled(engine, entry, { timeoutMs: settings.backupFinalizeMs })

const prune = async (
  { engine, journal, repository, settings }: BackupContext,
  { vm, choice }: Job,
  { snapshot, tracking }: Stored,
  { snapshots, signal }: BackupVmCall,
): Promise<{ removed: readonly string[]; warnings: readonly string[] }> => {
  // The last good checkpoint stays the base.
  if (isInconsistent(snapshot)) return { removed: [], warnings: [] }
  const isFull = choice.kind === 'full'
  // Differential backups start from the last full one.
  const lastFull = isFull
    ? undefined
    : snapshots.findLast(
        one => one.backupKind === 'full' && !isInconsistent(one) && trackingOf(one, vm.id) !== undefined,
      )
  const kept = [tracking.checkpointId, lastFull === undefined ? undefined : trackingOf(lastFull, vm.id)?.checkpointId]
  const includesForeign = isFull && settings.removesAllCheckpoints
  const isUnwanted = ({ id, description }: Checkpoint): boolean =>
    !kept.includes(id) && (includesForeign || isOwn(journal, repository.config.id, description))
  try {
    return await pruneCheckpoints(engine, { vmId: vm.id, isUnwanted, signal })
  } catch (error) {
    if (!isGranaryError(error)) throw error
    return { removed: [], warnings: [`checkpoints are left for the next backup: ${error.message}`] }
  }
}

const methodOf = ({ started, vm }: Job): VmBackupReport['method'] => {
  if (started === undefined) return 'none'
  if (started.backup.snapshotId !== undefined) return 'hybrid'
  return vm.status === 'up' ? 'live' : 'cold'
}
