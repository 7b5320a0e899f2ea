/** What can be said of things that an inventory is to have. @module */
import type { Attributes } from './model/schema.ts'
import type { StorageKind } from './profiles.ts'

export interface ClusterOptions {
  readonly name: string
  readonly dataCenterId: string
  /** @default the highest that the profile offers */
  readonly level?: string
}

export interface HostOptions {
  readonly name: string
  readonly clusterId: string
  /** Version of its vdsm. @default the one that came with the engine */
  readonly vdsm?: readonly [major: number, minor: number, build: number]
}

export interface StorageDomainOptions {
  readonly name: string
  readonly dataCenterId: string
  /** `iso`: a deprecated ISO domain. @default 'nfs' */
  readonly kind?: StorageKind | 'iso'
  /** @default 1 TiB */
  readonly capacityBytes?: number
  /** @default false */
  readonly isBackup?: boolean
  /** Writes are refused below that, GiB. @default 5 */
  readonly criticalGib?: number
  /** @default 'active' */
  readonly status?: string
}

export interface NetworkOptions {
  readonly name: string
  readonly dataCenterId: string
  /** Names of its vNIC profiles. @default one with the network's name */
  readonly profiles?: readonly string[]
}

export interface DiskOptions {
  readonly sizeBytes: number
  readonly storageDomainId: string
  readonly alias?: string
  readonly id?: string
  /** @default 'cow' */
  readonly format?: 'raw' | 'cow'
  /** @default true; false for raw on block storage */
  readonly sparse?: boolean
  /** @default 'incremental' for cow, 'none' for raw */
  readonly backup?: 'none' | 'incremental'
  /** @default false */
  readonly shareable?: boolean
  /** `lun`, `cinder`, `managed_block_storage`: no image. @default 'image' */
  readonly storageType?: string
  /** @default 'data' */
  readonly contentType?: string
}

export interface AttachedDiskOptions extends DiskOptions {
  /** @default 'virtio_scsi' */
  readonly interface?: string
  /** @default the first one */
  readonly bootable?: boolean
  /** @default true */
  readonly active?: boolean
  /** @default false */
  readonly readOnly?: boolean
}

export interface VmOptions {
  readonly name: string
  readonly clusterId: string
  readonly disks?: readonly AttachedDiskOptions[]
  /** As posted to `/nics`. @default none */
  readonly nics?: readonly Attributes[]
  /** @default 'up' where the cluster has a host, else 'down' */
  readonly status?: string
  /** More attributes, as posted to `/vms`. */
  readonly config?: Attributes
  /** Whether a guest agent answers. @default true */
  readonly hasAgent?: boolean
}
