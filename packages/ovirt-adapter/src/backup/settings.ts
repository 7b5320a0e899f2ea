/** What a backup of machines may be told, beside which. @module */
import type { BackupKind, Repository } from '@granary/dedup-store'
import type { OvirtConfig } from '../config/ovirt-config.ts'
import type { GuestScripts } from '../host/guest-scripts.ts'
import type { Libvirt } from '../host/libvirt.ts'
import type { Engine } from '../engine/engine.ts'
import type { Journal } from '../journal/journal.ts'
import type { OpenImage } from './open-image.ts'

/** Of the configuration: names, units and defaults are its. */
export type TransferSettings = Pick<
  OvirtConfig,
  'transferStartMs' | 'transferInactivitySeconds' | 'transferFinalizeMs' | 'downloadStallMs'
>

export type BackupSettings = TransferSettings &
  Pick<OvirtConfig, 'backupStartMs' | 'backupFinalizeMs' | 'vmStateMs' | 'removesAllCheckpoints' | 'limits'>

export interface BackupVmOptions {
  /** @default 'incremental', which is a full one where there is nothing to start from */
  readonly kind?: BackupKind
  /** Fail unless the guest's file systems were frozen. @default false */
  readonly requireConsistency?: boolean
  /** Back up machines that are down. @default true */
  readonly backsUpIfShutdown?: boolean
  /** Fail when a disk of the machine can't be in the copy. @default false */
  readonly requireAllDisks?: boolean
  /** Disks to leave out, by alias or id. */
  readonly excludeDisks?: readonly string[]
  /** Scripts in the guest, around the moment of the copy. */
  readonly scripts?: GuestScripts
  readonly labels?: Readonly<Record<string, string>>
  /** Threads that cut, compress and seal. @default 1 */
  readonly workers?: number
}

/** What a backup works with. All of it is the caller's to close. */
export interface BackupContext {
  readonly engine: Engine
  readonly repository: Repository
  readonly journal: Journal
  readonly openImage: OpenImage
  readonly settings: BackupSettings
  /** How machines are reached on their hosts. Without it they are not: disks come through the engine, and there are no scripts. */
  readonly host?: HostPath
}

/** The host path, and what it needs. */
export interface HostPath extends Pick<
  OvirtConfig,
  | 'backsUpFromNativeHost'
  | 'hostPathMethod'
  | 'scratchFolder'
  | 'scratchLimitBytes'
  | 'libvirtAuthFile'
  | 'libvirtSshUser'
> {
  /** Disks are read on the host where that is possible (`backup_using_ovirt_api no`). */
  readonly isPreferred: boolean
  /** Where storage domains are mounted. @default '/rhev/data-center' */
  readonly storageRoot?: string
  /** @default '/etc/vdsm/vdsm.id' */
  readonly vdsmIdPath?: string
  /** Makes the client of a connection URI of libvirt, such as one for a libvirtd of one's own. @default of that URI */
  readonly openLibvirt?: (uri: string) => Libvirt
}

/** A "not now" of the engine is repeated for so long: another backup, a snapshot, a migration under way. */
export const CONFLICT_TIMEOUT_MS = 600_000
