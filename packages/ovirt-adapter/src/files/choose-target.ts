/** Looks whether files can be put into a machine's drive, before anything is made. @module */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, formatBytes } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { readCdrom } from '../engine/resources/cdroms.ts'
import { listAttachedDomains, readCluster } from '../engine/resources/places.ts'
import type { StorageDomain } from '../engine/resources/places.ts'
import { findVm, listVms } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import { findDomain } from '../host/storage-paths.ts'

export interface FilesChoices {
  /** Name or id of the machine. */
  readonly vm: string
  /** Name or id of a storage domain of type data, or of type iso where it is mounted and writable on this host. */
  readonly storageDomain?: string
  /** Take out what is in the drive; it comes back at the end. @default false */
  readonly replaceCd?: boolean
  /** Eject after so long. @default never */
  readonly ejectAfterMs?: number
}

export interface FilesTarget {
  readonly vm: Vm
  readonly domain: StorageDomain
  /** Where files of an ISO domain are, on this host. */
  readonly folder: string | undefined
  /** Running or paused: the disc is swapped at once. */
  readonly isRunning: boolean
  readonly previousCurrent: string | undefined
  readonly previousStored: string | undefined
}

/** vdsm keeps the files of an ISO domain in the image of this id. */
const ISO_IMAGE_ID = '11111111-1111-1111-1111-111111111111'

/** In these states a machine has a drive that can be changed at once (CONTRACT §9). */
export const isRunning = ({ status }: Vm): boolean =>
  ['up', 'paused', 'powering_up', 'reboot_in_progress'].includes(status)

/**
 * @throws GranaryError `GRANARY_NOT_FOUND` without such a machine; `GRANARY_UNSUPPORTED` when the domain is none for this,
 * naming those that are; `GRANARY_EXISTS` when the drive is occupied; `GRANARY_NO_SPACE`
 */
export const chooseTarget = async (
  engine: Engine,
  choices: FilesChoices,
  { sizeBytes, mountRoot, signal }: AbortOptions & { readonly sizeBytes: number; readonly mountRoot?: string },
): Promise<FilesTarget> => {
  const vm = await findByName(engine, choices.vm, { signal })
  const domains = await domainsOf(engine, vm, { signal })
  const domain = chooseDomain(domains, choices.storageDomain, vm)
  const root = mountRoot === undefined ? {} : { root: mountRoot }
  const folder = domain.type === 'iso' ? await isoFolder(domain, domains, { ...root, signal }) : undefined
  if (domain.type !== 'iso') requireSpace(domain, sizeBytes)
  const runs = isRunning(vm)
  const previousStored = await readCdrom(engine, vm.id, { isCurrent: false, signal })
  const previousCurrent = runs ? await readCdrom(engine, vm.id, { isCurrent: true, signal }) : undefined
  const occupied = runs ? previousCurrent : previousStored
  if (occupied !== undefined && choices.replaceCd !== true) throw isOccupied(vm, occupied)
  return { vm, domain, folder, isRunning: runs, previousCurrent, previousStored }
}

const findByName = async (engine: Engine, name: string, { signal }: AbortOptions): Promise<Vm> => {
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name)
  const vm = isId
    ? await findVm(engine, name, { signal })
    : (await listVms(engine, { search: `name="${name.replaceAll('"', '')}"`, signal })).find(one => one.name === name)
  if (vm !== undefined) return vm
  throw new GranaryError('GRANARY_NOT_FOUND', `the engine has no machine "${name}"`, {
    detail: { vm: name },
    hint: '`granary ovirt vms` lists them',
  })
}

/** The domains of the machine's data center, with their state there. */
const domainsOf = async (engine: Engine, vm: Vm, options: AbortOptions): Promise<readonly StorageDomain[]> => {
  const cluster = vm.clusterId === undefined ? undefined : await readCluster(engine, vm.clusterId, options)
  if (cluster?.dataCenterId !== undefined) return await listAttachedDomains(engine, cluster.dataCenterId, options)
  throw new GranaryError('GRANARY_UNSUPPORTED', `machine "${vm.name}" is in no data center`, { detail: { vm: vm.id } })
}

const chooseDomain = (domains: readonly StorageDomain[], wanted: string | undefined, vm: Vm): StorageDomain => {
  const found = domains.find(({ name, id }) => name === wanted || id === wanted)
  const isUsable = found !== undefined && (found.type === 'data' || found.type === 'iso') && found.status === 'active'
  if (isUsable) return found
  const reason =
    wanted === undefined
      ? 'which storage domain is to hold the files?'
      : found === undefined
        ? `storage domain "${wanted}" is not in the data center of machine "${vm.name}"`
        : `storage domain "${wanted}" is of type ${found.type}, and ${found.status ?? 'in no known state'}`
  throw new GranaryError(wanted === undefined ? 'GRANARY_INVALID_ARGUMENT' : 'GRANARY_UNSUPPORTED', reason, {
    detail: { storageDomain: wanted ?? '', vm: vm.name },
    hint: offer(domains),
  })
}

const offer = (domains: readonly StorageDomain[]): string => {
  const usable = domains.filter(({ type, status }) => type === 'data' && status === 'active')
  if (usable.length === 0) return 'no data domain is active there: activate one'
  const list = usable.map(
    ({ name, storageType, availableBytes }) => `${name} (${storageType}, ${formatBytes(availableBytes ?? 0)} free)`,
  )
  return `choose one of these data domains: ${list.join(', ')}`
}

/** An ISO domain takes files from its own mount only: the engine has no upload for it. */
const isoFolder = async (
  domain: StorageDomain,
  domains: readonly StorageDomain[],
  options: AbortOptions & { readonly root?: string },
): Promise<string> => {
  try {
    const folder = join(await findDomain(domain.id, options), 'images', ISO_IMAGE_ID)
    await access(folder, constants.W_OK)
    return folder
  } catch (cause) {
    options.signal?.throwIfAborted()
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `"${domain.name}" is an ISO domain, and is not mounted here, or not writable: nothing else can put files there`,
      { detail: { storageDomain: domain.name }, cause, hint: offer(domains) },
    )
  }
}

const requireSpace = ({ name, availableBytes = 0, blockedBytes }: StorageDomain, sizeBytes: number): void => {
  if (availableBytes - blockedBytes >= sizeBytes) return
  throw new GranaryError(
    'GRANARY_NO_SPACE',
    `storage domain "${name}" has ${formatBytes(Math.max(availableBytes - blockedBytes, 0))} to give, the files need ${formatBytes(sizeBytes)}`,
    { detail: { storageDomain: name, availableBytes, blockedBytes, sizeBytes } },
  )
}

const isOccupied = (vm: Vm, disc: string): GranaryError =>
  new GranaryError('GRANARY_EXISTS', `the CD drive of "${vm.name}" is occupied by ${disc}`, {
    detail: { vm: vm.name, disc },
    hint: '--replace-cd takes it out; it comes back when the files are ejected',
  })
