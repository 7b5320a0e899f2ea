/** All faults on demand, in one place. @module */
import { planBackup } from '../engine/backup-plan.ts'
import { beginBackup, loseBackups } from '../engine/backups.ts'
import { dropCheckpoint, wipeCheckpoints } from '../engine/checkpoints.ts'
import { removeDisk, leaveCheckpoints } from '../engine/create-disk.ts'
import type { CertificateKind, ImageHosts } from '../engine/image-hosts.ts'
import { failMerges, takeSnapshot } from '../engine/snapshots.ts'
import { stopEngine } from '../engine/ticker.ts'
import type { Transfers } from '../engine/transfers.ts'
import { hostsFor } from '../engine/vm-power.ts'
import type { SignIn } from '../http/sign-in.ts'
import type { ArmedFault, ImageioFault } from '../imageio/faults.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import type { HttpFaults } from './http-faults.ts'

export interface SimulatorFaults {
  /** Between clients and the engine. */
  readonly http: HttpFaults
  /** Between clients and the imageio of a host. */
  imageio(hostId: string, fault: ImageioFault): Promise<ArmedFault>
  /**
   * The engine is away. `network`: only clients miss it. `down`: it does nothing meanwhile, renews no ticket, and has
   * forgotten all sessions afterwards.
   */
  engineAway(forMs: number, how: 'network' | 'down'): void
  /** Clients get no answer from a host's imageio; the proxy does. */
  hideHost(hostId: string): Promise<void>
  showHost(hostId: string): Promise<void>
  /** Nobody reaches a host's imageio, the proxy neither: connections are refused, or get no answer. */
  cutHost(hostId: string, how: 'refused' | 'silent' | 'reachable'): Promise<void>
  /** Another certificate for the imageio of a host. */
  setImageioCertificate(hostId: string, kind: CertificateKind): Promise<void>
  /** The imageio of a host starts anew: all tickets are gone. */
  restartImageio(hostId: string): Promise<void>
  /** Started anew, the engine has lost track of its backups: they fail, with event 10814. */
  loseBackups(): Promise<void>
  /** The next backup of a disk is in full, whatever was asked for, and only `backup_mode` tells. */
  backUpInFull(diskId: string): void
  /** The next merges of a VM's snapshots fail. */
  failMerges(vmId: string, times?: number): void
  /** The next upload to a disk is found bad, and the disk removed. @param diskId @default the next upload at all */
  failVerification(diskId?: string): void
  /** All checkpoints of a VM vanish, as after event 10791. */
  wipeCheckpoints(vmId: string): void
  /** Somebody makes a disk larger, past all locks. */
  resizeDisk(diskId: string, sizeBytes: number): Promise<void>
  /** Somebody removes a disk, past all locks. */
  removeDisk(diskId: string): Promise<void>
  /** Somebody detaches a disk, past all locks. */
  detachDisk(vmId: string, diskId: string): void
  /** Somebody lets other machines use a disk, too: backups leave it out from then on. */
  shareDisk(diskId: string): void
  /** Somebody starts a machine, past all locks: it is up at once. */
  startVm(vmId: string): void
  /** A machine is on another host all at once. */
  migrateVm(vmId: string): void
  /** Somebody takes a snapshot, past all locks; it is ready some seconds later. */
  takeSnapshot(vmId: string): void
  /** Another product begins a backup of all disks, and leaves it open. @throws ApiError as the engine refuses it */
  beginForeignBackup(vmId: string): void
  /** Somebody deletes the oldest checkpoint of a machine. */
  deleteCheckpoint(vmId: string): void
  setStorageDomainStatus(storageDomainId: string, status: string): void
  /** A storage domain has that much room left, bytes. @param leftBytes @default 0 */
  fillStorageDomain(storageDomainId: string, leftBytes?: number): void
  /** New disks need a quota from now on, in the data center of a storage domain. */
  requireQuota(storageDomainId: string): void
}

export interface FaultParts {
  readonly world: World
  readonly http: HttpFaults
  readonly hosts: ImageHosts
  readonly transfers: Transfers
  readonly signIn: SignIn
}

export const simulatorFaults = ({ world, http, hosts, transfers, signIn }: FaultParts): SimulatorFaults => ({
  http,
  imageio: async (hostId, fault) => (await hosts.daemonOf(hostId)).armFault(fault),
  engineAway(forMs, how) {
    http.add({ kind: 'drop', forMs })
    if (how === 'network') return
    stopEngine(world, forMs)
    signIn.clear()
  },
  hideHost: async hostId => await hosts.hide(hostId),
  showHost: async hostId => await hosts.show(hostId),
  cutHost: async (hostId, how) => await (await hosts.daemonOf(hostId)).setReachable(how),
  setImageioCertificate: async (hostId, kind) => await hosts.setCertificate(hostId, kind),
  restartImageio: async hostId => await (await hosts.daemonOf(hostId)).restart(),
  loseBackups: async () => await loseBackups(world),
  backUpInFull: diskId => void world.fullNext.add(diskId),
  failMerges: (vmId, times = 1) => failMerges(world, vmId, times),
  failVerification: diskId => transfers.failVerification(diskId),
  wipeCheckpoints: vmId => wipeCheckpoints(world, found(world.vms, vmId)),
  resizeDisk: async (diskId, sizeBytes) => await found(world.disks, diskId).volume?.resize(sizeBytes),
  removeDisk: async diskId => await removeDisk(world, found(world.disks, diskId)),
  detachDisk(vmId, diskId) {
    const vm = found(world.vms, vmId)
    vm.attachments.delete(diskId)
    leaveCheckpoints(vm, diskId)
  },
  shareDisk(diskId) {
    const disk = found(world.disks, diskId)
    disk.config = { ...disk.config, shareable: true }
  },
  ...machineFaults(world),
  setStorageDomainStatus(id, status) {
    found(world.storageDomains, id).status = status
  },
  fillStorageDomain(id, leftBytes = 0) {
    const { space } = found(world.storageDomains, id)
    space.capacityBytes = space.usedBytes + leftBytes
  },
  requireQuota(id) {
    const { datacenters } = world.plain
    const { dataCenterId } = found(world.storageDomains, id)
    datacenters.set(dataCenterId, { ...found(datacenters, dataCenterId), quota_mode: 'enabled' })
  },
})

type MachineFaults = 'startVm' | 'migrateVm' | 'takeSnapshot' | 'beginForeignBackup' | 'deleteCheckpoint'

/** What somebody else does with a machine meanwhile. */
const machineFaults = (world: World): Pick<SimulatorFaults, MachineFaults> => ({
  startVm(vmId) {
    const vm = found(world.vms, vmId)
    const [host] = hostsFor(world, vm)
    vm.status = 'up'
    vm.hostId = String(host?.['id'])
    vm.startedMs = world.clock.now()
  },
  migrateVm(vmId) {
    const vm = found(world.vms, vmId)
    const other = hostsFor(world, vm).find(host => host['id'] !== vm.hostId)
    if (other !== undefined) vm.hostId = String(other['id'])
  },
  takeSnapshot(vmId) {
    takeSnapshot(world, found(world.vms, vmId), { description: 'somebody else', persistMemory: false })
  },
  beginForeignBackup(vmId) {
    const vm = found(world.vms, vmId)
    const [user = ''] = [...world.accounts.values()].filter(one => one.isSuperUser).map(one => one.name)
    const disks = [...vm.attachments.keys()].map(id => ({ id }))
    const body = { disks, description: 'SomeOtherBackup 7.1' }
    const request = { body, user, requireConsistency: false, correlationId: undefined, isLegacy: false }
    beginBackup(world, vm, planBackup(world, vm, request), undefined)
  },
  deleteCheckpoint(vmId) {
    const vm = found(world.vms, vmId)
    const [oldest] = vm.checkpoints
    if (oldest !== undefined) dropCheckpoint(world, vm, oldest)
  },
})
