/** Where the disks go, and what shape they get there. @module */
import { formatBytes } from '@granary/core'
import type { StorageDomain } from '../engine/resources/places.ts'
import type { MachineDisk, Named } from '../machine/machine-record.ts'
import { diskShape } from './disk-shape.ts'
import { domainsNamed, findNamed } from './plan-place.ts'
import type { Place } from './plan-place.ts'
import type { Findings, PlannedDisk, RestoreChoices, RestoreSource, SourceDisk } from './plan.ts'
import { planQuota } from './plan-quota.ts'
import { mapped } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

export interface DiskPlanning {
  readonly source: RestoreSource
  readonly target: RestoreTarget
  readonly choices: RestoreChoices
  readonly place: Place
  readonly uploadMechanism: 'file' | 'nbd'
}

/** Platforms work in sectors of 512 bytes, and in 4 KiB where storage does. */
const DISK_UNIT_BYTES = 4096
const GIB = 1024 ** 3

export const planDisks = (planning: DiskPlanning, findings: Findings): PlannedDisk[] => {
  const { record, disks } = planning.source
  for (const { alias, reason } of record.notCopied)
    findings.notRestored.push(`disk "${alias}": it is not in the copy (${reason})`)
  const planned: PlannedDisk[] = []
  for (const disk of chosenDisks(record.disks, planning.choices, findings)) {
    const stored = disks.find(({ name }) => name === disk.name)
    if (stored === undefined) findings.problems.push(`disk "${disk.alias}" is not among the disks of the snapshot`)
    else planned.push(...planDisk({ disk, stored }, planning, findings))
  }
  checkSpace(planned, planning, findings)
  return planned
}

/** The disks that were asked for. */
export const chosenDisks = (
  disks: readonly MachineDisk[],
  { disks: asked, excludedDisks = [] }: Pick<RestoreChoices, 'disks' | 'excludedDisks'>,
  findings: Findings,
): MachineDisk[] => {
  const isNamed = (disk: MachineDisk, names: readonly string[]): boolean =>
    [disk.name, disk.alias, disk.id].some(name => names.includes(name))
  for (const name of [...(asked ?? []), ...excludedDisks])
    if (!disks.some(disk => isNamed(disk, [name])))
      findings.problems.push(
        `there is no disk "${name}"; there are ${disks.map(({ alias }) => alias).join(', ') || 'none'}`,
      )
  return disks.filter(disk => {
    const isChosen = (asked === undefined || isNamed(disk, asked)) && !isNamed(disk, excludedDisks)
    if (!isChosen) findings.notRestored.push(`disk "${disk.alias}": it was not asked for`)
    return isChosen
  })
}

const planDisk = (
  { disk, stored }: { readonly disk: MachineDisk; readonly stored: SourceDisk },
  planning: DiskPlanning,
  findings: Findings,
): PlannedDisk[] => {
  const domain = domainOf(disk, planning, findings)
  if (domain === undefined) return []
  const { choices, uploadMechanism, target } = planning
  const sizeBytes = Math.ceil(stored.sizeBytes / DISK_UNIT_BYTES) * DISK_UNIT_BYTES
  const isBlock = isBlockStorage(domain)
  const { shape, note } = diskShape(disk, { isBlock, preallocates: choices.preallocates ?? false })
  if (note !== undefined) findings.warnings.push(`disk "${disk.alias}": ${note}`)
  if (uploadMechanism === 'nbd' && isBlock && !shape.isSparse && isBefore45(target))
    findings.problems.push(
      `disk "${disk.alias}" is preallocated: an engine before 4.5.0 takes only thin disks to block storage by nbd; set disk_upload_mechanism to file`,
    )
  const { attachment } = disk
  const diskProfile = diskProfileOf(disk, domain, planning, findings)
  const quota = planQuota({ what: `disk "${disk.alias}"`, quota: disk.quota }, planning, findings)
  return [
    {
      name: disk.name,
      alias: disk.alias,
      description: disk.description ?? '',
      sizeBytes,
      storedBytes: stored.sizeBytes,
      ...shape,
      wipesAfterDelete: disk.wipesAfterDelete,
      propagatesErrors: disk.propagatesErrors,
      storageDomain: { id: domain.id, name: domain.name },
      ...(isBlock && shape.format === 'cow' ? { initialBytes: initialBytes(stored, sizeBytes) } : {}),
      ...(diskProfile === undefined ? {} : { diskProfile }),
      ...(quota === undefined ? {} : { quota }),
      attachment: {
        interface: attachment.interface,
        bootable: attachment.isBootable,
        active: attachment.isActive,
        read_only: attachment.isReadOnly,
        pass_discard: attachment.passesDiscard,
        uses_scsi_reservation: attachment.usesScsiReservation,
      },
    },
  ]
}

/** A tenth more than measured, for what qcow2 adds; at most the whole. */
const initialBytes = ({ requiredBytes }: SourceDisk, sizeBytes: number): number =>
  Math.min(Math.ceil((requiredBytes * 1.1) / DISK_UNIT_BYTES) * DISK_UNIT_BYTES, sizeBytes)

const isBlockStorage = ({ storageType }: StorageDomain): boolean => storageType === 'iscsi' || storageType === 'fcp'

const isBefore45 = ({ engineVersion: { major, minor } }: RestoreTarget): boolean =>
  major < 4 || (major === 4 && minor < 5)

const fits = (domain: StorageDomain, { dataCenter }: Place): boolean =>
  domain.type === 'data' &&
  domain.status === 'active' &&
  !domain.isBackup &&
  domain.dataCenterIds.includes(dataCenter.id)

/** `nfs1 (nfs – available 120 GB)`. */
const offer = ({ name, storageType, availableBytes = 0 }: StorageDomain): string =>
  `${name} (${storageType} – available ${Math.floor(availableBytes / GIB)} GB)`

const domainOf = (
  disk: MachineDisk,
  { target, choices, place }: DiskPlanning,
  { problems }: Findings,
): StorageDomain | undefined => {
  const { map } = choices
  const asked =
    mapped(map?.disks, disk.name, disk.alias, disk.id) ??
    choices.storageDomain ??
    mapped(map?.storage_domains, disk.storageDomain.name)
  const named =
    asked === undefined
      ? [findNamed(target.storageDomains, disk.storageDomain)].filter(domain => domain !== undefined)
      : domainsNamed(target.storageDomains, asked)
  const fitting = named.find(domain => fits(domain, place))
  if (fitting !== undefined) return fitting
  const wanted = asked ?? disk.storageDomain.name
  const reason = named[0] === undefined ? 'is not there' : whyUnfit(named[0], place)
  const offers = target.storageDomains.filter(domain => fits(domain, place)).map(offer)
  problems.push(`disk "${disk.alias}": storage domain "${wanted}" ${reason}; these fit: ${offers.join(', ') || 'none'}`)
  return undefined
}

const whyUnfit = (domain: StorageDomain, { cluster, dataCenter }: Place): string => {
  if (domain.type !== 'data') return `is of type ${domain.type}`
  if (!domain.dataCenterIds.includes(dataCenter.id))
    return `is not in data center "${dataCenter.name}" of cluster "${cluster.name}"`
  if (domain.isBackup) return 'is a backup domain, from which machines do not start'
  return `is ${domain.status ?? 'not active'}`
}

/** Every domain has a profile of its own name, which the engine takes when none is named. */
const diskProfileOf = (
  disk: MachineDisk,
  domain: StorageDomain,
  { target, choices }: DiskPlanning,
  { warnings }: Findings,
): Named | undefined => {
  const { diskProfile } = disk
  if (diskProfile === undefined) return undefined
  const wanted = mapped(choices.map?.disk_profiles, diskProfile.name) ?? diskProfile.name
  const found = target.diskProfiles.find(({ name, ownerId }) => ownerId === domain.id && name === wanted)
  if (found !== undefined) return { id: found.id, name: found.name }
  if (wanted !== disk.storageDomain.name)
    warnings.push(`disk "${disk.alias}": "${domain.name}" has no disk profile "${wanted}"; the default is used`)
  return undefined
}

/** What a disk takes from its domain during the restore. */
const neededBytes = (disk: PlannedDisk, { source }: DiskPlanning): number => {
  if (!disk.isSparse) return disk.sizeBytes
  if (disk.initialBytes !== undefined) return disk.initialBytes
  return Math.min(source.disks.find(({ name }) => name === disk.name)?.requiredBytes ?? disk.sizeBytes, disk.sizeBytes)
}

const checkSpace = (disks: readonly PlannedDisk[], planning: DiskPlanning, { problems, warnings }: Findings): void => {
  const needed = new Map<string, number>()
  for (const disk of disks)
    needed.set(disk.storageDomain.id, (needed.get(disk.storageDomain.id) ?? 0) + neededBytes(disk, planning))
  for (const [id, bytes] of needed) {
    const domain = planning.target.storageDomains.find(candidate => candidate.id === id)
    if (domain === undefined) continue
    if (domain.availableBytes === undefined) {
      warnings.push(`storage domain "${domain.name}" does not say how much is free; ${formatBytes(bytes)} are needed`)
      continue
    }
    const freeBytes = Math.max(0, domain.availableBytes - domain.blockedBytes)
    if (bytes > freeBytes)
      problems.push(
        `storage domain "${domain.name}" has ${formatBytes(freeBytes)} to give, ${formatBytes(bytes)} are needed`,
      )
  }
}
