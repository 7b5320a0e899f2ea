/**
 * What a snapshot's manifest says of a machine: enough to make it again on any engine, the one it came from being gone.
 * A backup writes it, a restore reads it. It is sealed with the copy; its `secrets` are for no screen and no log.
 *
 * @see docs/formats/ovirt-machine.md
 * @module
 */
import type { Json } from '../engine/json.ts'

export interface Named {
  readonly id: string
  readonly name: string
}

export interface MachineRecord {
  readonly platform: 'ovirt'
  /** Grows when a reader must know more than these fields. */
  readonly version: 1
  readonly engine: EngineRecord
  readonly dataCenter: Named
  /** `level`: the compatibility level, such as `4.7`. */
  readonly cluster: Named & { readonly level: string }
  /** `GET /vms/ID?all_content=true`, without its OVF and without the secrets of `initialization`. */
  readonly vm: Json
  /** In the engine's dialect, its secrets split off. Where the engine gave none, the machine is rebuilt from `vm` alone. */
  readonly ovf?: string
  readonly secrets?: MachineSecrets
  /** In the order they are attached. */
  readonly disks: readonly MachineDisk[]
  /** Disks that are not in the copy, with the reason. */
  readonly notCopied: readonly NotCopiedDisk[]
  readonly nics: readonly MachineNic[]
  readonly watchdogs: readonly Json[]
  readonly cdroms: readonly Json[]
  readonly hostDevices: readonly Json[]
  readonly numaNodes: readonly Json[]
  readonly tags: readonly string[]
  readonly affinityLabels: readonly string[]
  readonly affinityGroups: readonly string[]
  readonly permissions: readonly PermissionRecord[]
  readonly cpuProfile?: Named
  readonly quota?: Named
  /** Where the lease was. */
  readonly leaseDomain?: Named
  /** Names of the hosts it is pinned to. */
  readonly pinnedHosts: readonly string[]
  /** Existing engine snapshots, which a copy does not keep. */
  readonly snapshotsNotKept: number
  /** Whether the guest's file systems were frozen at the moment of the copy. */
  readonly frozen: 'yes' | 'no' | 'unknown'
  /** What the next backup continues from. A restore does not read it. */
  readonly tracking?: Json
}

export interface EngineRecord {
  readonly url: string
  readonly product: string
  readonly vendor: string
  /** As the engine writes it, such as `4.5.7-1.el9`. */
  readonly version: string
}

export interface MachineDisk {
  /** Name of the disk in the snapshot. */
  readonly name: string
  readonly id: string
  readonly alias: string
  readonly description?: string
  /** Size in the platform, bytes. */
  readonly sizeBytes: number
  readonly format: 'cow' | 'raw'
  readonly isSparse: boolean
  /** The engine's `backup: incremental`. */
  readonly isIncremental: boolean
  readonly wipesAfterDelete: boolean
  readonly propagatesErrors: boolean
  readonly storageDomain: Named
  readonly diskProfile?: Named
  readonly quota?: Named
  readonly attachment: MachineAttachment
}

export interface MachineAttachment {
  /** `virtio_scsi`, `virtio`, `sata`, `ide`, `spapr_vscsi`. */
  readonly interface: string
  readonly isBootable: boolean
  readonly isActive: boolean
  readonly isReadOnly: boolean
  readonly passesDiscard: boolean
  readonly usesScsiReservation: boolean
}

export interface NotCopiedDisk {
  readonly id: string
  readonly alias: string
  /** `lun`, `shareable`, `managed_block_storage`, `cinder`, `inactive`, `excluded`. */
  readonly reason: string
}

export interface MachineNic {
  readonly id: string
  readonly name: string
  /** `virtio`, `e1000`, `e1000e`, `rtl8139`, `pci_passthrough`… */
  readonly interface: string
  readonly mac?: string
  readonly isLinked: boolean
  readonly isPlugged: boolean
  /** None: the NIC has an empty profile. */
  readonly profile?: { readonly name: string; readonly network: string; readonly dataCenter: string }
}

export interface PermissionRecord {
  readonly role: string
  /** A user's `name@domain`, or a group's. */
  readonly holder: string
  readonly isGroup: boolean
}

/** What must never be shown, logged, or written to a folder unasked. */
export interface MachineSecrets {
  /** Values taken out of the OVF, in document order. */
  readonly ovf: readonly SecretValue[]
  /** Of `initialization`: `root_password`, `authorized_ssh_keys`, `custom_script`, `windows_license_key`… */
  readonly initialization: Readonly<Record<string, unknown>>
}

/** Where in the OVF a value was, and what it was. */
export interface SecretValue {
  /** Which element of the document, counted from 0 in document order. */
  readonly element: number
  /** The attribute that held it; without one, it was the element's text. */
  readonly attribute?: string
  /** As it stood in the document, with its entities. */
  readonly raw: string
}
