/** Sets an installation up, past the API: data centers, clusters, hosts, storage, networks, accounts, machines. @module */
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import { attachmentFor } from './services/attachments.ts'
import { newNic } from './services/nics.ts'
import { createVm } from './engine/create-vm.ts'
import type { Attributes } from './model/schema.ts'
import type { Disk, StorageDomain, Vm } from './model/state.ts'
import { BLANK_ID } from './model/world.ts'
import type { Account, World } from './model/world.ts'
import type {
  AttachedDiskOptions,
  ClusterOptions,
  DiskOptions,
  HostOptions,
  NetworkOptions,
  StorageDomainOptions,
  VmOptions,
} from './inventory-options.ts'
import type { Profile } from './profiles.ts'
import { SimulatedDisk } from './volumes/simulated-disk.ts'
import { StorageSpace } from './volumes/storage-space.ts'

const TIB = 1024 ** 4

/** A level such as `4.7` as the API shows it. */
const versionOf = (level: string): Attributes => {
  const [major = '4', minor = '7'] = level.split('.')
  return { major: Number(major), minor: Number(minor) }
}

/** vdsm 4.40.100 came with engine 4.4.10, 4.50.5 with 4.5.5. */
const vdsmOf = ({ engine: [, minor, build] }: Profile): [number, number, number] =>
  minor === 4 ? [4, 40, build * 10] : [4, 50, build]

export class Inventory {
  readonly #world: World
  readonly #hostNetwork: string
  /** Pools give each cluster addresses of its own range. */
  #pools = 0

  /** @param hostNetwork the first three numbers of the addresses of its hosts, such as `127.8.9` */
  constructor(world: World, hostNetwork: string) {
    this.#world = world
    this.#hostNetwork = hostNetwork
    world.plain.templates.set(BLANK_ID, {
      id: BLANK_ID,
      name: 'Blank',
      description: 'Blank template',
      comment: '',
      status: 'ok',
    })
    world.plain.tags.set(BLANK_ID, { id: BLANK_ID, name: 'root', description: 'root' })
  }

  addDataCenter(name: string, options: { readonly quotaMode?: 'disabled' | 'audit' | 'enabled' } = {}): string {
    const id = randomUUID()
    const { quotaMode = 'disabled' } = options
    const version = versionOf(this.#topLevel)
    this.#world.plain.datacenters.set(id, {
      id,
      name,
      description: '',
      comment: '',
      local: false,
      status: 'up',
      quota_mode: quotaMode,
      storage_format: 'v5',
      version,
    })
    return id
  }

  addCluster({ name, dataCenterId, level = this.#topLevel }: ClusterOptions): string {
    const id = randomUUID()
    const { clusterLevels } = this.#world.profile
    if (!clusterLevels.includes(level))
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        `cluster level ${level}: the profile offers ${clusterLevels.join(', ')}`,
      )
    const macPoolId = this.addMacPool(`${name}-pool`)
    this.#world.plain.clusters.set(id, {
      id,
      name,
      description: '',
      comment: '',
      version: versionOf(level),
      cpu: { architecture: 'x86_64', type: 'Secure Intel Cascadelake Server Family' },
      bios_type: 'q35_sea_bios',
      data_center: { id: dataCenterId },
      mac_pool: { id: macPoolId },
    })
    const profileId = randomUUID()
    this.#world.plain.cpuprofiles.set(profileId, { id: profileId, name, cluster: { id } })
    return id
  }

  addMacPool(
    name: string,
    options: { readonly ranges?: readonly Attributes[]; readonly allowDuplicates?: boolean } = {},
  ): string {
    const id = randomUUID()
    const block = (this.#pools++).toString(16).padStart(2, '0')
    const { ranges = [{ from: `56:6f:00:${block}:00:00`, to: `56:6f:00:${block}:ff:ff` }], allowDuplicates = false } =
      options
    this.#world.plain.macpools.set(id, {
      id,
      name,
      description: '',
      allow_duplicates: allowDuplicates,
      default_pool: false,
      ranges,
    })
    return id
  }

  addHost({ name, clusterId, vdsm = vdsmOf(this.#world.profile) }: HostOptions): string {
    const id = randomUUID()
    const [major, minor, build] = vdsm
    const before = this.#world.plain.hosts.size
    this.#world.plain.hosts.set(id, {
      id,
      name,
      address: `${this.#hostNetwork}.${before + 1}`,
      comment: '',
      status: 'up',
      type: 'rhel',
      cluster: { id: clusterId },
      spm: { priority: 5, status: before === 0 ? 'spm' : 'none' },
      hardware_information: { uuid: randomUUID(), manufacturer: 'Example', product_name: 'Simulated' },
      version: { major, minor, build, revision: 1, full_version: `vdsm-${vdsm.join('.')}.1-1.el8` },
      libvirt_version: { major: 8, minor: 0, build: 0, revision: 0, full_version: 'libvirt-8.0.0-22' },
      os: { type: 'RHEL', version: { major: 8, minor: 6, full_version: '8.6 - 1.el8' } },
    })
    return id
  }

  addStorageDomain(options: StorageDomainOptions): StorageDomain {
    const {
      name,
      dataCenterId,
      kind = 'nfs',
      capacityBytes = TIB,
      isBackup = false,
      criticalGib = 5,
      status = 'active',
    } = options
    const id = randomUUID()
    const isBlock = kind === 'iscsi' || kind === 'fcp'
    const space = new StorageSpace({ name, kind: isBlock ? 'block' : 'file', capacityBytes })
    const domain = { id, name, kind, dataCenterId, status, space, isBackup, criticalGib, files: [] }
    this.#world.storageDomains.set(id, domain)
    const profileId = randomUUID()
    this.#world.plain.diskprofiles.set(profileId, { id: profileId, name, storage_domain: { id } })
    return domain
  }

  /** @returns the ids of the network and of its vNIC profiles */
  addNetwork({ name, dataCenterId, profiles = [name] }: NetworkOptions): { id: string; profileIds: readonly string[] } {
    const id = randomUUID()
    this.#world.plain.networks.set(id, {
      id,
      name,
      description: '',
      comment: '',
      usages: ['vm'],
      stp: false,
      mtu: 0,
      data_center: { id: dataCenterId },
    })
    const profileIds = profiles.map(profile => {
      const profileId = randomUUID()
      this.#world.plain.vnicprofiles.set(profileId, {
        id: profileId,
        name: profile,
        description: '',
        port_mirroring: false,
        pass_through: { mode: 'disabled' },
        network: { id },
      })
      return profileId
    })
    return { id, profileIds }
  }

  addQuota(name: string, dataCenterId: string): string {
    const id = randomUUID()
    this.#world.plain.quotas.set(id, { id, name, description: '', data_center: { id: dataCenterId } })
    return id
  }

  /** @param name `user@profile` */
  addAccount(name: string, password: string, permits: readonly string[] | 'superuser' = 'superuser'): Account {
    const isSuperUser = permits === 'superuser'
    const account = {
      id: randomUUID(),
      name,
      password,
      kerberosTicket: randomBytes(48).toString('base64'),
      isSuperUser,
      permits: new Set(isSuperUser ? [] : permits),
    }
    this.#world.accounts.set(name, account)
    this.#world.plain.users.set(account.id, {
      id: account.id,
      user_name: name,
      name: name.split('@')[0],
      principal: name,
      namespace: '*',
    })
    return account
  }

  /** A floating disk of zeros. @throws GranaryError `GRANARY_NO_SPACE` */
  async addDisk(options: DiskOptions): Promise<Disk> {
    const { sizeBytes, storageDomainId, id = randomUUID(), format = 'cow', storageType = 'image' } = options
    const domain = this.#world.storageDomains.get(storageDomainId)
    if (domain === undefined) throw new GranaryError('GRANARY_NOT_FOUND', `no storage domain ${storageDomainId}`)
    const { sparse = format === 'cow' || domain.space.kind === 'file' } = options
    const { backup = format === 'cow' ? 'incremental' : 'none' } = options
    const imageId = randomUUID()
    const isImage = storageType === 'image'
    const volume = isImage
      ? await SimulatedDisk.create({
          folder: join(this.#world.folder, id),
          volumeId: imageId,
          sizeBytes,
          format,
          isThick: !sparse,
          space: domain.space,
        })
      : undefined
    const disk: Disk = {
      id,
      config: {
        alias: options.alias ?? `disk-${id.slice(0, 8)}`,
        description: '',
        comment: '',
        ...(isImage
          ? { format, sparse, backup }
          : { lun_storage: { type: 'fcp', logical_units: [{ id: `36001${id}`, size: sizeBytes }] } }),
        content_type: options.contentType ?? 'data',
        storage_type: storageType,
        shareable: options.shareable ?? false,
        wipe_after_delete: false,
        propagate_errors: false,
      },
      storageDomainId: isImage ? storageDomainId : undefined,
      isIllegal: false,
      locks: new Set(),
      imageId,
      volume,
      createdMs: this.#world.clock.now(),
    }
    this.#world.disks.set(id, disk)
    return disk
  }

  attach(vm: Vm, disk: Disk, options: Partial<AttachedDiskOptions> = {}): void {
    const attachment = attachmentFor(disk, {
      interface: options.interface ?? 'virtio_scsi',
      active: options.active ?? true,
      bootable: options.bootable ?? vm.attachments.size === 0,
      read_only: options.readOnly ?? false,
    })
    vm.attachments.set(disk.id, attachment)
  }

  /** A machine with disks of zeros; its disks' ids are the keys of `attachments`, in order. */
  async addVm(options: VmOptions): Promise<Vm> {
    const { name, clusterId, disks = [], nics = [], config = {}, hasAgent = true } = options
    const vm = createVm(this.#world, {
      body: { ...config, name, cluster: { id: clusterId }, template: { id: BLANK_ID } },
    })
    for (const disk of disks) {
      const alias = disk.alias ?? `${name}_Disk${vm.attachments.size + 1}`
      this.attach(vm, await this.addDisk({ ...disk, alias }), disk)
    }
    for (const nic of nics) {
      const made = newNic(this.#world, vm, nic)
      vm.nics.set(String(made['id']), made)
    }
    vm.hasAgent = hasAgent
    const host = [...this.#world.plain.hosts.values()].find(one => (one['cluster'] as Attributes)['id'] === clusterId)
    vm.status = options.status ?? (host === undefined ? 'down' : 'up')
    if (vm.status !== 'down' && host !== undefined) {
      vm.hostId = String(host['id'])
      vm.startedMs = this.#world.clock.now()
    }
    return vm
  }

  get #topLevel(): string {
    return this.#world.profile.clusterLevels.at(-1) ?? '4.7'
  }
}
