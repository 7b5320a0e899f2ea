/** Chooses how one machine is read, on its host or through the engine, and puts its scripts around the moment. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { backupVm, machineIsDown } from '../backup/backup-vm.ts'
import type { BackupVmCall } from '../backup/backup-vm.ts'
import type { VmBackupReport } from '../backup/report.ts'
import type { BackupContext, HostPath } from '../backup/settings.ts'
import { chooseDisks } from '../backup/choose-disks.ts'
import { waitUntilSteady } from '../backup/vm-state.ts'
import { listAttachments } from '../engine/resources/disks.ts'
import type { Vm } from '../engine/resources/vms.ts'
import { backupVmOnHost } from './backup-on-host.ts'
import { betweenScripts } from './guest-scripts.ts'
import type { ScriptReport } from './guest-scripts.ts'
import { reachHost } from './host-access.ts'
import type { HostReach } from './host-access.ts'
import { hostJournal } from './journaled.ts'
import { pathOfVolume } from './open-machine.ts'

export interface MachineCall extends BackupVmCall {
  readonly onScript?: (report: ScriptReport) => void
}

/**
 * Backs up one machine.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` when scripts are asked for and the machine's host is out of reach, before anything
 * is begun; what the way that was chosen throws
 */
export const backupMachine = async (
  context: BackupContext,
  vmId: string,
  call: MachineCall,
): Promise<VmBackupReport> => {
  const { host } = context
  const isHostPreferred = host?.isPreferred === true
  if (!isHostPreferred && !wantsScripts(call)) return await backupVm(context, vmId, call)
  const { vm, reach } = await look(context, vmId, call)
  if (
    isHostPreferred &&
    (vm.status === 'down' || (reach !== undefined && (await canReadHere(context, vm, { call, reach }))))
  )
    return await backupVmOnHost(context, vm, { ...call, reach, host })
  const scripted = wantsScripts(call) && reach !== undefined ? withScripts(context, vm, reach, call) : call
  const report = await backupVm(context, vmId, scripted)
  if (!isHostPreferred) return report
  const warning = `${vm.name} runs on another host: its disks were read through the engine's backup API`
  return { ...report, warnings: [...report.warnings, warning] }
}

const wantsScripts = ({ scripts }: MachineCall): boolean =>
  scripts?.before !== undefined || scripts?.after !== undefined

/** The machine in a state that lasts, and its host if that can be reached. */
const look = async (
  context: BackupContext,
  vmId: string,
  call: MachineCall,
): Promise<{ vm: Vm; reach: HostReach | undefined }> => {
  const { engine, settings, host } = context
  const { signal } = call
  const vm = await waitUntilSteady(engine, vmId, { timeoutMs: settings.vmStateMs, signal })
  if (vm.status === 'down' && call.backsUpIfShutdown === false) throw machineIsDown(vm)
  const reach = vm.status === 'up' && host !== undefined ? await reachOf(context, host, vm, { signal }) : undefined
  if (wantsScripts(call) && vm.status === 'up' && reach === undefined) throw outOfReach(vm)
  return { vm, reach }
}

const reachOf = async (
  { engine }: BackupContext,
  host: HostPath,
  { hostId }: Vm,
  options: AbortOptions,
): Promise<HostReach | undefined> => {
  return hostId === undefined ? undefined : await reachHost(engine, hostId, { ...host, ...options })
}

/**
 * What a pull-mode backup serves is at hand on the machine's own host only. What lies below overlays is at hand wherever the
 * storage domain is mounted: it is read here, and libvirt is driven there, if the configuration wants that.
 */
const canReadHere = async (
  { engine, host }: BackupContext,
  vm: Vm,
  { call, reach }: { readonly call: MachineCall; readonly reach: HostReach },
): Promise<boolean> => {
  if (reach.isHere) return true
  if (host?.hostPathMethod !== 'snapshot' || host.backsUpFromNativeHost) return false
  const { signal } = call
  const { inBackup } = chooseDisks(await listAttachments(engine, vm.id, { signal }), call.excludeDisks ?? [])
  for (const disk of inBackup) if ((await pathOfVolume(disk, host.storageRoot, { signal })) === undefined) return false
  return true
}

const withScripts = (context: BackupContext, vm: Vm, { libvirt }: HostReach, call: MachineCall): MachineCall => {
  const { engine, journal } = context
  const { scripts = {}, onScript, signal } = call
  const around = {
    libvirt,
    domain: vm.id,
    scripts,
    journal: hostJournal(journal, engine.base, vm.name),
    clock: engine.clock,
    signal,
    ...(onScript === undefined ? {} : { onScript }),
  }
  return { ...call, aroundStart: async start => await betweenScripts(around, start) }
}

const outOfReach = ({ name, hostId }: Vm): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `the scripts of ${name} can't be run: libvirt on its host is out of reach`, {
    detail: { vm: name, host: hostId ?? '' },
    hint: 'run Granary on that host, set libvirt_ssh_user and give it a key, or leave out the scripts',
  })
