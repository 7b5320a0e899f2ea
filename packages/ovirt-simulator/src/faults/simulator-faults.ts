/** All faults on demand, in one place. @module */
import { loseBackups } from '../engine/backups.ts'
import { wipeCheckpoints } from '../engine/checkpoints.ts'
import { removeDisk, leaveCheckpoints } from '../engine/create-disk.ts'
import type { CertificateKind, ImageHosts } from '../engine/image-hosts.ts'
import { failMerges } from '../engine/snapshots.ts'
import { stopEngine } from '../engine/ticker.ts'
import type { Transfers } from '../engine/transfers.ts'
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
  /** The next upload to a disk is found bad: the disk is removed. */
  failVerification(diskId: string): void
  /** All checkpoints of a VM vanish, as after event 10791. */
  wipeCheckpoints(vmId: string): void
  /** Somebody makes a disk larger, past all locks. */
  resizeDisk(diskId: string, sizeBytes: number): Promise<void>
  /** Somebody removes a disk, past all locks. */
  removeDisk(diskId: string): Promise<void>
  /** Somebody detaches a disk, past all locks. */
  detachDisk(vmId: string, diskId: string): void
  setStorageDomainStatus(storageDomainId: string, status: string): void
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
  setStorageDomainStatus(id, status) {
    found(world.storageDomains, id).status = status
  },
})
