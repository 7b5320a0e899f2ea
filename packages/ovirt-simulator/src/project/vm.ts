/** Virtual machines and what lives below them, as the API shows them (CONTRACT §2.1, §2.3, §4). @module */
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'
import type { Backup, Checkpoint, Snapshot, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { BLANK_ID } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import { links } from './links.ts'

const SUB_COLLECTIONS = [
  'applications',
  'backups',
  'cdroms',
  'checkpoints',
  'diskattachments',
  'graphicsconsoles',
  'hostdevices',
  'nics',
  'numanodes',
  'permissions',
  'reporteddevices',
  'sessions',
  'snapshots',
  'statistics',
  'tags',
  'watchdogs',
] as const
const ACTIONS = ['freezefilesystems', 'migrate', 'reboot', 'shutdown', 'start', 'stop', 'suspend', 'thawfilesystems']
const SHOWN_WITH_ALL_CONTENT = ['console', 'rng_device', 'soundcard_enabled', 'tpm_enabled', 'virtio_scsi']

export const vmHref = (vm: Vm): string => `${API_PATH}/vms/${vm.id}`

/** True while a host runs it. */
export const isRunning = (vm: Vm): boolean =>
  vm.status !== 'down' && vm.status !== 'image_locked' && vm.status !== 'suspended'

/** @param ovf the configuration, where all content was asked for */
export const showVm = (world: World, vm: Vm, ovf?: string): Attributes => {
  const href = vmHref(vm)
  const { initialization, ...config } = vm.config as { readonly initialization?: Attributes; [name: string]: unknown }
  const shown = Object.fromEntries(
    Object.entries(config).filter(([name]) => ovf !== undefined || !SHOWN_WITH_ALL_CONTENT.includes(name)),
  ) as Attributes
  const hasIllegal = [...vm.attachments.keys()].some(id => world.disks.get(id)?.isIllegal === true)
  const setup: Attributes = {
    ...initialization,
    ...(ovf !== undefined && { configuration: { type: 'ovf', data: ovf } }),
  }
  return {
    ...shown,
    status: vm.locks.size > 0 && vm.status === 'down' ? 'image_locked' : vm.status,
    ...(vm.startedMs !== undefined && { start_time: vm.startedMs }),
    ...(isRunning(vm) && vm.hasAgent && { fqdn: `${String(vm.config['name'])}.example.com` }),
    has_illegal_images: hasIllegal,
    next_run_configuration_exists: false,
    run_once: false,
    ...(Object.keys(setup).length > 0 && { initialization: setup }),
    ...(vm.hostId !== undefined && isRunning(vm) && { host: { id: vm.hostId } }),
    cluster: { id: vm.clusterId },
    template: shown['template'] ?? { id: BLANK_ID },
    original_template: shown['template'] ?? { id: BLANK_ID },
    actions: links(href, ...ACTIONS),
    link: links(href, ...SUB_COLLECTIONS),
    id: vm.id,
    href,
  }
}

export const showNic = (vm: Vm, nic: Attributes): Attributes => {
  const href = `${vmHref(vm)}/nics/${String(nic['id'])}`
  return { ...nic, vm: { id: vm.id }, link: links(href, 'reporteddevices', 'statistics'), id: nic['id'], href }
}

export const showSnapshot = (vm: Vm, snapshot: Snapshot): Attributes => {
  const href = `${vmHref(vm)}/snapshots/${snapshot.id}`
  return {
    description: snapshot.description,
    date: snapshot.createdMs,
    snapshot_status: snapshot.status,
    snapshot_type: snapshot.type,
    persist_memorystate: snapshot.persistMemory,
    vm: { id: vm.id },
    link: links(href, 'disks', 'nics', 'cdroms'),
    actions: links(href, 'restore'),
    id: snapshot.id,
    href,
  }
}

export const showBackup = (world: World, vm: Vm, backup: Backup): Attributes => {
  const href = `${vmHref(vm)}/backups/${backup.id}`
  const { profile } = world
  return {
    ...(backup.description !== '' && { description: backup.description }),
    phase: backup.phase,
    creation_date: backup.createdMs,
    ...(isAtLeast(profile, 4, 4, 8) && { modification_date: backup.modifiedMs }),
    ...(backup.fromCheckpointId !== undefined && { from_checkpoint_id: backup.fromCheckpointId }),
    ...(backup.toCheckpointId !== undefined && { to_checkpoint_id: backup.toCheckpointId }),
    vm: { id: vm.id },
    ...(backup.hostId !== undefined && { host: { id: backup.hostId } }),
    ...(backup.snapshotId !== undefined && {
      snapshot: { id: backup.snapshotId, href: `${vmHref(vm)}/snapshots/${backup.snapshotId}` },
    }),
    actions: links(href, 'finalize'),
    link: links(href, 'disks'),
    id: backup.id,
    href,
  }
}

export const showCheckpoint = (world: World, vm: Vm, checkpoint: Checkpoint): Attributes => {
  const href = `${vmHref(vm)}/checkpoints/${checkpoint.id}`
  return {
    ...(checkpoint.description !== '' && { description: checkpoint.description }),
    ...(checkpoint.parentId !== undefined && { parent_id: checkpoint.parentId }),
    creation_date: checkpoint.createdMs,
    ...(isAtLeast(world.profile, 4, 4, 7) && { state: checkpoint.state }),
    vm: { id: vm.id },
    link: links(href, 'disks'),
    id: checkpoint.id,
    href,
  }
}
