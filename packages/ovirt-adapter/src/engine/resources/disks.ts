/** Disks, and how they hang on machines. @module */
import type { AbortOptions } from '@granary/core'
import type { CallOptions, CreateOptions, Engine } from '../engine.ts'
import { booleanOf, integerOf, itemsOf, neededText, nestedItemsOf, objectOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface Disk {
  readonly id: string
  readonly alias: string
  readonly description: string
  /** The size guests see. */
  readonly sizeBytes: number
  readonly actualBytes: number
  /** With its snapshots. */
  readonly totalBytes: number
  readonly format: 'cow' | 'raw'
  readonly isSparse: boolean
  /** `ok`, `locked`, `illegal`; undefined for what has none. */
  readonly status: string | undefined
  /** `image`, `lun`, `cinder`, `managed_block_storage`. */
  readonly storageType: string
  readonly contentType: string
  /** The user's wish. */
  readonly isIncremental: boolean
  /** Only while a backup is on, and only where the engine says it. */
  readonly backupMode: 'full' | 'incremental' | undefined
  readonly isShareable: boolean
  readonly storageDomainId: string | undefined
  /** The volume of the active layer: changes with every snapshot. */
  readonly imageId: string | undefined
  readonly json: Json
}

export interface DiskAttachment {
  /** The disk's id. */
  readonly id: string
  readonly isActive: boolean
  readonly isBootable: boolean
  readonly interface: string
  readonly isReadOnly: boolean
  readonly passesDiscard: boolean
  readonly disk: Disk
  readonly json: Json
}

export const decodeDisk = (json: Json): Disk => {
  const mode = textOf(json, 'backup_mode')
  return {
    id: neededText(json, 'id'),
    alias: textOf(json, 'alias') ?? textOf(json, 'name') ?? neededText(json, 'id'),
    description: textOf(json, 'description') ?? '',
    sizeBytes: integerOf(json, 'provisioned_size') ?? 0,
    actualBytes: integerOf(json, 'actual_size') ?? 0,
    totalBytes: integerOf(json, 'total_size') ?? integerOf(json, 'actual_size') ?? 0,
    format: textOf(json, 'format') === 'raw' ? 'raw' : 'cow',
    isSparse: booleanOf(json, 'sparse') ?? false,
    status: textOf(json, 'status'),
    storageType: textOf(json, 'storage_type') ?? 'image',
    contentType: textOf(json, 'content_type') ?? 'data',
    isIncremental: textOf(json, 'backup') === 'incremental',
    backupMode: mode === 'full' || mode === 'incremental' ? mode : undefined,
    isShareable: booleanOf(json, 'shareable') ?? false,
    storageDomainId: storageDomainOf(json),
    imageId: textOf(json, 'image_id'),
    json,
  }
}

const storageDomainOf = (json: Json): string | undefined =>
  nestedItemsOf(json, 'storage_domains', 'storage_domain').map(domain => textOf(domain, 'id'))[0] ??
  referenceOf(json, 'storage_domain')

const decodeAttachment = (json: Json, disk: Disk): DiskAttachment => ({
  id: neededText(json, 'id'),
  isActive: booleanOf(json, 'active') ?? false,
  isBootable: booleanOf(json, 'bootable') ?? false,
  interface: textOf(json, 'interface') ?? 'virtio',
  isReadOnly: booleanOf(json, 'read_only') ?? false,
  passesDiscard: booleanOf(json, 'pass_discard') ?? false,
  disk,
  json,
})

export const findDisk = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Disk | undefined> => {
  const json = await engine.find(`/disks/${id}`, options)
  return json === undefined ? undefined : decodeDisk(json)
}

/** @throws GranaryError `GRANARY_NOT_FOUND` */
export const readDisk = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Disk> =>
  decodeDisk(await engine.get(`/disks/${id}`, options))

export const listDisks = async (
  engine: Engine,
  { search, ...options }: AbortOptions & { readonly search?: string } = {},
): Promise<readonly Disk[]> =>
  itemsOf(await engine.get('/disks', { ...options, query: { search } }), 'disk').map(decodeDisk)

export const addDisk = async (engine: Engine, body: object, options: CreateOptions = {}): Promise<Disk> =>
  decodeDisk(await engine.create('/disks', body, options))

/** @returns false when it wasn't there */
export const removeDisk = async (engine: Engine, id: string, options: CallOptions = {}): Promise<boolean> =>
  await engine.remove(`/disks/${id}`, options)

/** The disks of a machine with their state, in the engine's order. */
export const listAttachments = async (
  engine: Engine,
  vmId: string,
  options: CallOptions = {},
): Promise<readonly DiskAttachment[]> => {
  const list = await engine.get(`/vms/${vmId}/diskattachments`, { ...options, query: { follow: 'disk' } })
  const attachments: DiskAttachment[] = []
  for (const json of itemsOf(list, 'disk_attachment')) {
    const inlined = objectOf(json, 'disk')
    const isWhole = inlined?.['provisioned_size'] !== undefined || inlined?.['storage_type'] !== undefined
    const disk =
      isWhole && inlined !== undefined
        ? decodeDisk({ id: json['id'], ...inlined })
        : await readDisk(engine, neededText(json, 'id'), options)
    attachments.push(decodeAttachment(json, disk))
  }
  return attachments
}

/** @param body `{ disk: { id }, interface, bootable, active, ... }` */
export const attachDisk = async (
  engine: Engine,
  vmId: string,
  body: object,
  options: CreateOptions = {},
): Promise<Json> => await engine.create(`/vms/${vmId}/diskattachments`, body, options)

/** The disk itself stays. @returns false when it wasn't attached */
export const detachDisk = async (
  engine: Engine,
  vmId: string,
  diskId: string,
  options: CallOptions = {},
): Promise<boolean> =>
  await engine.remove(`/vms/${vmId}/diskattachments/${diskId}`, { ...options, query: { detach_only: true } })
