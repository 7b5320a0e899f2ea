/**
 * Backs one machine up on its host, past the engine's backup API (`backup_using_ovirt_api no`). The engine is asked for the
 * configuration and the state; bytes come from libvirt or from the volumes. What this host cannot read comes through the engine.
 *
 * @see docs/ovirt-host-path.md
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { backup as storeDisks } from '@granary/dedup-store'
import type { DiskInput, Snapshot } from '@granary/dedup-store'
import type { BackupVmCall } from '../backup/backup-vm.ts'
import { chooseDisks, nameDisks, requireAll } from '../backup/choose-disks.ts'
import { gatherMachine } from '../backup/gather-machine.ts'
import type { Gathered } from '../backup/gather-machine.ts'
import { markIfDisturbed } from '../backup/inconsistency.ts'
import type { VmBackupReport } from '../backup/report.ts'
import type { BackupContext, HostPath } from '../backup/settings.ts'
import { planStore } from '../backup/store-disks.ts'
import type { StorePlan } from '../backup/store-disks.ts'
import { trackingJson } from '../backup/tracking.ts'
import { listAttachments } from '../engine/resources/disks.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { MachineRecord, NotCopiedDisk } from '../machine/machine-record.ts'
import { chooseHostBase } from './choose-host-base.ts'
import type { HostBase } from './choose-host-base.ts'
import { betweenScripts } from './guest-scripts.ts'
import type { ScriptReport } from './guest-scripts.ts'
import type { HostReach } from './host-access.ts'
import type { HostCopy } from './host-copy.ts'
import { hostJournal } from './journaled.ts'
import { openRunning, openStopped } from './open-machine.ts'
import type { OpenedStopped } from './open-machine.ts'
import { undoAfter } from './undo-stack.ts'

export interface HostBackupOptions extends BackupVmCall {
  /** The host the machine runs on; undefined for a stopped one. */
  readonly reach: HostReach | undefined
  readonly host: HostPath
  readonly onScript?: (report: ScriptReport) => void
}

interface Job {
  readonly vm: Vm
  readonly names: ReadonlyMap<string, string>
  readonly gathered: Gathered
  readonly base: HostBase
  readonly notCopied: readonly NotCopiedDisk[]
}

/**
 * Backs up one machine into one snapshot. When it fails nothing is committed, and what was begun on the host is ended, or
 * stays in the journal for the next start.
 *
 * @param vm in the state `up`, with the host it runs on in reach, or `down`
 * @throws GranaryError what reading on the host, the engine and the repository throw
 */
export const backupVmOnHost = async (
  context: BackupContext,
  vm: Vm,
  options: HostBackupOptions,
): Promise<VmBackupReport> => {
  const { engine, journal } = context
  const { reach, scripts = {}, onScript, signal } = options
  options.onStep?.('configuration')
  const attachments = await listAttachments(engine, vm.id, { signal })
  const { inBackup, plain, notCopied } = chooseDisks(attachments, options.excludeDisks ?? [])
  if (options.requireAllDisks === true) requireAll(vm.name, notCopied)
  const names = nameDisks(attachments.map(({ disk }) => disk))
  const gathered = await gatherMachine(engine, vm, { attachments: [...inBackup, ...plain], names, signal })
  const base = chooseHostBase(options.kind ?? 'incremental', vm.id, options.snapshots)
  const job: Job = { vm, names, gathered, base, notCopied }
  const entries = hostJournal(journal, engine.base, vm.name)
  options.onStep?.('starting')
  if (reach === undefined) {
    const { copy, elsewhere } = await openStopped(engine, {
      vm,
      disks: [...inBackup, ...plain],
      storageRoot: options.host.storageRoot,
      signal,
    })
    return await storeCopy(context, job, options, { copy, elsewhere })
  }
  const { libvirt } = reach
  const around = { libvirt, domain: vm.id, scripts, journal: entries, clock: engine.clock, signal }
  // The script after the moment runs as soon as there is a moment: the guest does not wait for our reading.
  const copy = await betweenScripts({ ...around, ...(onScript === undefined ? {} : { onScript }) }, async () => {
    const requireConsistency = options.requireConsistency ?? false
    const opening = {
      engine,
      vm,
      disks: inBackup,
      requireConsistency,
      settings: options.host,
      journal: entries,
      signal,
    }
    return await openRunning(libvirt, opening)
  })
  return await storeCopy(context, job, options, { copy, elsewhere: plain })
}

/** Moves the bytes, and ends the copy whatever comes of it. */
const storeCopy = async (
  context: BackupContext,
  job: Job,
  options: HostBackupOptions,
  { copy, elsewhere }: OpenedStopped,
): Promise<VmBackupReport> => {
  const lost = AbortSignal.any([copy.signal, ...(options.signal === undefined ? [] : [options.signal])])
  const plan = planStore(context, {
    vm: job.vm,
    started: undefined,
    inBackup: [],
    plain: elsewhere,
    names: job.names,
    base: undefined,
    limit: options.limit,
  })
  let snapshot: Snapshot
  try {
    options.onStep?.('reading')
    snapshot = await store(context, job, { options, copy, plan, signal: lost })
  } catch (error) {
    await plan.transfers.settle().catch(() => undefined)
    throw await undoAfter(error, async () => await endCopy(copy))
  }
  options.onStep?.('ending')
  const late = [...(await plan.transfers.settle())]
  // The copy is whole and kept. What could not be put away on the host is the operator's to hear, and the journal's to keep.
  await endCopy(copy).catch((error: unknown) => {
    if (!isGranaryError(error)) throw error
    late.push(`${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`)
  })
  return {
    vmId: job.vm.id,
    vmName: job.vm.name,
    snapshot,
    method: 'host',
    frozen: copy.frozen,
    checkpointId: undefined,
    removedCheckpoints: [],
    notCopied: [...job.notCopied, ...plan.notCopied],
    warnings: [...snapshot.warnings, ...late],
  }
}

const endCopy = async (copy: HostCopy): Promise<void> => await copy[Symbol.asyncDispose]()

interface Moving extends AbortOptions {
  readonly options: HostBackupOptions
  readonly copy: HostCopy
  readonly plan: StorePlan
}

const store = async (
  { engine, repository, journal }: BackupContext,
  { vm, names, gathered, base, notCopied }: Job,
  { options, copy, plan, signal }: Moving,
): Promise<Snapshot> => {
  const labels = { ...options.labels, vm: vm.id }
  const parentNames = new Set(base.parent?.disks.map(disk => disk.name))
  const inputs = copy.disks.map((disk): DiskInput => {
    const record = gathered.machine.disks.find(({ id }) => disk.diskId === id || disk.path.split('/').includes(id))
    const name = record?.name ?? names.get(disk.diskId ?? '') ?? disk.name
    return { name, source: `${vm.name}: ${disk.path}`, base: parentNames.has(name) ? name : null, disk: disk.disk }
  })
  return await storeDisks(repository, [...inputs, ...plan.inputs], {
    name: vm.name,
    labels,
    parent: base.parent?.id ?? 'none',
    kind: base.kind,
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    signal,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    beforeCommit: async () => {
      await copy.verify({ signal })
      if (options.requireAllDisks === true) requireAll(vm.name, plan.notCopied)
      const missing = [...notCopied, ...plan.notCopied]
      const disks = gathered.machine.disks.filter(({ id }) => missing.every(other => other.id !== id))
      const tracking = {
        method: 'host',
        installation: journal.installation,
        vmId: vm.id,
        disks: disks.map(({ id, name, sizeBytes }) => ({ id, name, sizeBytes, isTracked: false })),
      } as const
      const machine: MachineRecord = {
        ...gathered.machine,
        disks,
        notCopied: missing,
        frozen: copy.frozen,
        tracking: trackingJson(tracking),
      }
      const left = missing.filter(({ reason }) => reason !== 'excluded')
      const warnings = left.map(({ alias, reason }) => `disk ${alias} is not in the copy: ${reason}`)
      const mark = await markIfDisturbed(engine, vm, { isOfSnapshot: false, signal })
      return {
        machine,
        warnings: [...base.warnings, ...gathered.warnings, ...plan.warnings, ...warnings, ...mark.warnings],
        labels: { ...labels, ...mark.labels },
      }
    },
  })
}
