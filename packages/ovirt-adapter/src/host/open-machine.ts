/** Opens the disks of one machine on its host, the way its state and its storage allow. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { OvirtConfig } from '../config/ovirt-config.ts'
import type { Engine } from '../engine/engine.ts'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import { findVm } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { HostCopy } from './host-copy.ts'
import type { HostJournal } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import { openOverlayCopy } from './overlay-copy.ts'
import { openPullCopy } from './pull-copy.ts'
import { findVolume } from './storage-paths.ts'
import { openStoppedCopy } from './stopped-copy.ts'
import type { StoppedVolume } from './stopped-copy.ts'

export type HostCopySettings = Pick<OvirtConfig, 'hostPathMethod' | 'scratchFolder' | 'scratchLimitBytes'>

/** A running machine: one moment of all its disks. */
export const openRunning = async (
  libvirt: Libvirt,
  options: AbortOptions & {
    readonly engine: Engine
    readonly vm: Vm
    readonly disks: readonly DiskAttachment[]
    readonly requireConsistency: boolean
    readonly settings: HostCopySettings
    readonly journal: HostJournal
  },
): Promise<HostCopy> => {
  const { engine, vm, disks, requireConsistency, settings, journal, signal } = options
  const open = settings.hostPathMethod === 'snapshot' ? openOverlayCopy : openPullCopy
  return await open({
    libvirt,
    domain: vm.id,
    scratch: { folder: settings.scratchFolder, limitBytes: settings.scratchLimitBytes },
    only: disks.map(({ id }) => id),
    requireConsistency,
    journal,
    clock: engine.clock,
    signal,
  })
}

export interface OpenedStopped {
  readonly copy: HostCopy
  /** Not to be found on this host: block storage, or a domain that is not mounted here. */
  readonly elsewhere: readonly DiskAttachment[]
}

/** A stopped machine: its volumes, where a mount of this host has them. */
export const openStopped = async (
  engine: Engine,
  { vm, disks, storageRoot, signal }: AbortOptions & StoppedMachine,
): Promise<OpenedStopped> => {
  const volumes: StoppedVolume[] = []
  const elsewhere: DiskAttachment[] = []
  for (const attachment of disks) {
    const path = await pathOfVolume(attachment, storageRoot, { signal })
    if (path === undefined) elsewhere.push(attachment)
    else volumes.push({ diskId: attachment.id, path, format: attachment.disk.format })
  }
  const isStillDown = async (options: AbortOptions): Promise<boolean> => {
    const now = await findVm(engine, vm.id, options)
    // `stop_time` moves when it was started and stopped again meanwhile.
    return now?.status === 'down' && now.json['stop_time'] === vm.json['stop_time']
  }
  return { copy: await openStoppedCopy({ volumes, isStillDown, signal }), elsewhere }
}

export interface StoppedMachine {
  readonly vm: Vm
  readonly disks: readonly DiskAttachment[]
  /** @default '/rhev/data-center' */
  readonly storageRoot?: string | undefined
}

/** Where this host has the topmost volume of a disk; undefined for block storage and what is not mounted here. */
export const pathOfVolume = async (
  { id, disk }: DiskAttachment,
  root: string | undefined,
  options: AbortOptions,
): Promise<string | undefined> => {
  if (disk.storageDomainId === undefined || disk.imageId === undefined) return undefined
  const ids = { storageDomain: disk.storageDomainId, disk: id, volume: disk.imageId }
  try {
    return await findVolume(ids, { ...options, ...(root === undefined ? {} : { root }) })
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_NOT_FOUND' && !error.retryable) return undefined
    throw error
  }
}
