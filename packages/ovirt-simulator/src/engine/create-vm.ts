/** Makes virtual machines from what was posted (CONTRACT §3.3). @module */
import { randomUUID } from 'node:crypto'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { BLANK_ID } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { levelNumber } from '../profiles.ts'

const GIB = 1024 ** 3

/** What only the engine sets: ignored in a body. */
const OUT_ONLY = [
  'actions',
  'cluster',
  'creation_status',
  'creation_time',
  'has_illegal_images',
  'host',
  'href',
  'id',
  'link',
  'next_run_configuration_exists',
  'nics',
  'disk_attachments',
  'origin',
  'original_template',
  'run_once',
  'snapshots',
  'start_time',
  'status',
  'stop_time',
  'tags',
  'permissions',
  'cdroms',
  'fqdn',
]
/** Firmware that clusters below this level do not know. */
const NEWER_BIOS_LEVEL = '4.4'
const TPM_LEVEL = '4.4'

/** An entity of a plain table by the id or name of a link. @throws ApiError 400 without either, 404 for an unknown one */
export const linked = (
  table: ReadonlyMap<string, Attributes>,
  link: Attributes | undefined,
  missing: string,
): Attributes => {
  if (link?.['id'] === undefined && link?.['name'] === undefined) throw incomplete(missing)
  const entity =
    link['id'] === undefined
      ? [...table.values()].find(one => one['name'] === link['name'])
      : table.get(String(link['id']).toLowerCase())
  if (entity === undefined) throw operationFailed(404, `Entity not found: ${String(link['id'] ?? link['name'])}`)
  return entity
}

export const clusterLevel = (cluster: Attributes | undefined): string => {
  const version = cluster?.['version'] as Attributes | undefined
  return `${String(version?.['major'] ?? 4)}.${String(version?.['minor'] ?? 2)}`
}

/** The level that counts for a VM: its own, where it has one (CONTRACT §1.4). */
export const compatibilityLevel = (world: World, vm: Vm): string => {
  const custom = vm.config['custom_compatibility_version']
  return clusterLevel(custom === undefined ? world.plain.clusters.get(vm.clusterId) : { version: custom })
}

/** @throws ApiError 409 */
export const requireNameFree = (world: World, name: unknown, action: string): void => {
  if ([...world.vms.values()].some(vm => vm.config['name'] === name))
    throw operationFailed(
      409,
      `Cannot ${action}. The VM name is already in use, please choose a unique name and try again.`,
    )
}

/** @throws ApiError 400 on what clusters of that level do not know */
const requireKnown = (body: Attributes, level: string): void => {
  const bios = (body['bios'] as Attributes | undefined)?.['type']
  const isOldBios = bios === undefined || bios === 'cluster_default' || bios === 'i440fx_sea_bios'
  if (!isOldBios && levelNumber(level) < levelNumber(NEWER_BIOS_LEVEL))
    throw operationFailed(400, 'Cannot add VM. The selected BIOS type is not supported by the compatibility version.')
  if (body['tpm_enabled'] === true && levelNumber(level) < levelNumber(TPM_LEVEL))
    throw operationFailed(400, 'Cannot add VM. TPM device is not supported by the compatibility version.')
  if (body['tpm_enabled'] === true && bios !== 'q35_ovmf' && bios !== 'q35_secure_boot')
    throw operationFailed(400, 'Cannot add VM. TPM device is only supported with UEFI.')
}

const DEFAULTS: Attributes = {
  description: '',
  comment: '',
  type: 'server',
  memory: GIB,
  cpu: { architecture: 'x86_64', topology: { cores: 1, sockets: 1, threads: 1 } },
  bios: { boot_menu: { enabled: false }, type: 'q35_sea_bios' },
  os: { type: 'other', boot: { devices: ['hd'] } },
  stateless: false,
  delete_protected: false,
  high_availability: { enabled: false, priority: 1 },
  time_zone: { name: 'Etc/GMT' },
  usb: { enabled: false },
  display: { type: 'vnc', monitors: 1, smartcard_enabled: false },
  origin: 'ovirt',
}

export interface NewVm {
  readonly body: Attributes
  readonly id?: string
}

/** @throws ApiError as its parts */
export const createVm = (world: World, { body, id = randomUUID() }: NewVm): Vm => {
  if (typeof body['name'] !== 'string' || body['name'] === '') throw incomplete('Vm [name] required for add')
  const cluster = linked(
    world.plain.clusters,
    body['cluster'] as Attributes | undefined,
    'Vm [cluster.id|name] required for add',
  )
  linked(world.plain.templates, body['template'] as Attributes | undefined, 'Vm [template.id|name] required for add')
  requireNameFree(world, body['name'], 'add VM')
  if (world.vms.has(id)) throw operationFailed(409, 'Cannot add VM. A VM with this ID already exists.')
  requireKnown(body, clusterLevel(cluster))
  const given = Object.fromEntries(Object.entries(body).filter(([name]) => !OUT_ONLY.includes(name)))
  const memory = Number(body['memory'] ?? DEFAULTS['memory'])
  const isOldLevel = levelNumber(clusterLevel(cluster)) < levelNumber(NEWER_BIOS_LEVEL)
  const vm: Vm = {
    id,
    config: {
      ...DEFAULTS,
      ...(isOldLevel && { bios: { boot_menu: { enabled: false }, type: 'i440fx_sea_bios' } }),
      memory_policy: { guaranteed: memory, max: memory * 4, ballooning: true },
      creation_time: world.clock.now(),
      ...given,
      template: { id: BLANK_ID },
    },
    status: 'down',
    clusterId: String(cluster['id']),
    hostId: undefined,
    startedMs: undefined,
    nics: new Map(),
    attachments: new Map(),
    snapshots: new Map(),
    checkpoints: [],
    backups: new Map(),
    cdrom: { current: '', stored: '' },
    tags: new Set(),
    hasAgent: true,
    isFrozen: false,
    locks: new Set(),
    extras: new Map(),
  }
  const snapshotId = randomUUID()
  const createdMs = world.clock.now()
  vm.snapshots.set(snapshotId, {
    id: snapshotId,
    description: 'Active VM',
    type: 'active',
    status: 'ok',
    createdMs,
    persistMemory: false,
    volumes: new Map(),
    config: {},
    macs: [],
  })
  world.vms.set(id, vm)
  return vm
}

/** A partial update. @throws ApiError as its parts */
export const editVm = (world: World, vm: Vm, body: Attributes): void => {
  if (body['name'] !== undefined && body['name'] !== vm.config['name']) requireNameFree(world, body['name'], 'edit VM')
  const cluster = body['cluster'] as Attributes | undefined
  if (cluster !== undefined) vm.clusterId = String(linked(world.plain.clusters, cluster, 'cluster')['id'])
  const given = Object.fromEntries(
    Object.entries(body).filter(([name]) => !OUT_ONLY.includes(name) && name !== 'template'),
  )
  vm.config = merged(vm.config, given)
}

/** Objects are changed attribute by attribute, all else is replaced. */
const merged = (old: Attributes, given: Attributes): Attributes => {
  const result: Record<string, Attributes[string]> = { ...old }
  for (const [name, value] of Object.entries(given)) {
    const before = old[name]
    const isObject = (one: unknown): one is Attributes => typeof one === 'object' && one !== null && !Array.isArray(one)
    result[name] = isObject(before) && isObject(value) ? merged(before, value) : value
  }
  return result
}
