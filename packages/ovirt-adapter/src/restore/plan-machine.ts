/** What the machine itself is made of. @module */
import { integerOf, isJson, objectOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import { compareLevels, levelOf } from '../engine/resources/vms.ts'
import type { MachineRecord, Named } from '../machine/machine-record.ts'
import { readOvf } from '../ovf/read-ovf.ts'
import { machineBody } from './machine-body.ts'
import { domainsNamed, findNamed } from './plan-place.ts'
import type { Place } from './plan-place.ts'
import type { Findings, PlannedMachine, RestoreChoices } from './plan.ts'
import { planQuota } from './plan-quota.ts'
import { mapped } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

interface MachinePlanning {
  readonly place: Place
  readonly findings: Findings
}

export const planMachine = (
  record: MachineRecord,
  target: RestoreTarget,
  choices: RestoreChoices,
  planning: MachinePlanning,
): PlannedMachine => {
  const { findings, place } = planning
  if (choices.disksOnly === true) return onlyDisks(record, place)
  tellWhatIsLeftOut(record, choices, findings)
  const leaseDomain = leaseDomainOf(record, target, choices, planning)
  const availability = objectOf(record.vm, 'high_availability')
  const isProtected = textOf(record.vm, 'delete_protected') === 'true'
  const wantedName = choices.name ?? textOf(record.vm, 'name') ?? 'restored'
  return {
    name: freeName(wantedName, target.vmNames, findings),
    wantedName,
    cluster: { id: place.cluster.id, name: place.cluster.name },
    dataCenter: { id: place.dataCenter.id, name: place.dataCenter.name },
    way: wayOf(record, choices, findings),
    body: bodyOf(record, target, choices, planning),
    finish: {
      body: {
        ...(availability === undefined ? {} : { high_availability: pick(availability, ['enabled', 'priority']) }),
        ...(isProtected ? { delete_protected: true } : {}),
      },
      ...(leaseDomain === undefined ? {} : { leaseDomain }),
    },
    watchdogs: record.watchdogs.map(watchdog => pick(watchdog, ['model', 'action'])),
    tags: record.tags,
    affinityLabels: record.affinityLabels,
    affinityGroups: record.affinityGroups,
    permissions: record.permissions.map(permission => ({
      ...permission,
      holder: mapped(choices.map?.users, permission.holder) ?? permission.holder,
    })),
  }
}

const onlyDisks = ({ vm }: MachineRecord, { cluster, dataCenter }: Place): PlannedMachine => ({
  name: textOf(vm, 'name') ?? 'restored',
  wantedName: textOf(vm, 'name') ?? 'restored',
  cluster: { id: cluster.id, name: cluster.name },
  dataCenter: { id: dataCenter.id, name: dataCenter.name },
  way: 'none',
  body: {},
  finish: { body: {} },
  watchdogs: [],
  tags: [],
  affinityLabels: [],
  affinityGroups: [],
  permissions: [],
})

const pick = (json: Json, names: readonly string[]): Json =>
  Object.fromEntries(names.flatMap(name => (json[name] === undefined ? [] : [[name, json[name]]])))

/** `web`, or `web_1`, `web_2`… when it is taken. */
export const freeName = (
  wanted: string,
  taken: readonly string[],
  { warnings }: Pick<Findings, 'warnings'>,
): string => {
  const names = new Set(taken)
  let name = wanted
  for (let n = 1; names.has(name); n++) name = `${wanted}_${n}`
  if (name !== wanted) warnings.push(`the name "${wanted}" is taken: the machine is called "${name}"`)
  return name
}

/** Only an OVF brings NVRAM and TPM back. */
const wayOf = (
  record: MachineRecord,
  { withoutOvf }: RestoreChoices,
  { warnings, notRestored }: Findings,
): 'object' | 'ovf' => {
  const kept = record.ovf === undefined ? [] : readOvf(record.ovf).externalData
  const bios = textOf(objectOf(record.vm, 'bios') ?? {}, 'type') ?? ''
  const hasNvram = bios.includes('ovmf') || bios.includes('secure_boot')
  const hasTpm = textOf(record.vm, 'tpm_enabled') === 'true'
  const isByOvf = kept.length > 0 && withoutOvf !== true
  if (hasNvram && !(isByOvf && kept.includes('nvram')))
    notRestored.push('NVRAM: boot entries and secure boot variables are made anew')
  if (hasTpm && !(isByOvf && kept.includes('tpm'))) {
    notRestored.push('TPM: its state is made anew')
    warnings.push('the TPM starts empty: BitLocker asks for its recovery key')
  }
  return isByOvf ? 'ovf' : 'object'
}

const bodyOf = (
  record: MachineRecord,
  target: RestoreTarget,
  choices: RestoreChoices,
  { place, findings }: MachinePlanning,
): Json => {
  const body: Record<string, unknown> = { ...machineBody(record.vm) }
  const level = levelOf(record.vm, 'custom_compatibility_version')
  if (level !== undefined && compareLevels(level, place.cluster.level) > 0) {
    delete body['custom_compatibility_version']
    findings.notRestored.push(`compatibility level ${level.major}.${level.minor}: the cluster's is lower`)
  }
  const hosts = pinnedHosts(record, target, { place, findings })
  if (isJson(body['placement_policy']) && hosts.length > 0)
    body['placement_policy'] = { ...body['placement_policy'], hosts: { host: hosts.map(({ id }) => ({ id })) } }
  else if (record.pinnedHosts.length > 0) delete body['placement_policy'] // Pinned to nothing it would not start.
  const cpuProfile = cpuProfileOf(record, target, choices, { place, findings })
  if (cpuProfile !== undefined) body['cpu_profile'] = { id: cpuProfile.id }
  const quota = planQuota({ what: 'machine', quota: record.quota }, { target, choices, place }, findings)
  if (quota !== undefined) body['quota'] = { id: quota.id }
  return body
}

const pinnedHosts = (
  record: MachineRecord,
  { hosts }: RestoreTarget,
  { place, findings }: MachinePlanning,
): Named[] => {
  const found = record.pinnedHosts.flatMap(
    name => hosts.find(host => host.ownerId === place.cluster.id && host.name === name) ?? [],
  )
  for (const name of record.pinnedHosts)
    if (!found.some(host => host.name === name))
      findings.notRestored.push(`pinning to host "${name}": it is not in the cluster`)
  return found
}

const cpuProfileOf = (
  { cpuProfile, cluster }: MachineRecord,
  { cpuProfiles }: RestoreTarget,
  { map }: RestoreChoices,
  { place, findings }: MachinePlanning,
): Named | undefined => {
  if (cpuProfile === undefined) return undefined
  const wanted = mapped(map?.cpu_profiles, cpuProfile.name) ?? cpuProfile.name
  const found = cpuProfiles.find(({ name, ownerId }) => ownerId === place.cluster.id && name === wanted)
  // A cluster's default profile has its name.
  if (found === undefined && wanted !== cluster.name)
    findings.warnings.push(`cluster "${place.cluster.name}" has no CPU profile "${wanted}"; the default is used`)
  return found
}

const leaseDomainOf = (
  { leaseDomain }: MachineRecord,
  { storageDomains }: RestoreTarget,
  { map }: RestoreChoices,
  { place, findings }: MachinePlanning,
): Named | undefined => {
  if (leaseDomain === undefined) return undefined
  const asked = mapped(map?.storage_domains, leaseDomain.name)
  const candidates =
    asked === undefined
      ? [findNamed(storageDomains, leaseDomain)].filter(domain => domain !== undefined)
      : domainsNamed(storageDomains, asked)
  const found = candidates.find(
    ({ status, dataCenterIds }) => status === 'active' && dataCenterIds.includes(place.dataCenter.id),
  )
  if (found !== undefined) return { id: found.id, name: found.name }
  findings.warnings.push(`storage domain "${asked ?? leaseDomain.name}" cannot hold the lease: the machine gets none`)
  findings.notRestored.push(`lease on storage domain "${leaseDomain.name}"`)
  return undefined
}

const tellWhatIsLeftOut = (
  record: MachineRecord,
  choices: RestoreChoices,
  { warnings, notRestored }: Findings,
): void => {
  const { vm } = record
  if (textOf(vm, 'stateless') === 'true') {
    notRestored.push('statelessness')
    warnings.push('the machine was stateless: the restored one is not')
  }
  if (objectOf(vm, 'vm_pool') !== undefined) {
    notRestored.push('membership in a pool')
    warnings.push('the machine was part of a pool: the restored one is not')
  }
  if (
    choices.withInitialization !== true &&
    (objectOf(vm, 'initialization') !== undefined || record.secrets !== undefined)
  )
    notRestored.push('initialization (cloud-init, sysprep): it is kept in the copy; --with-initialization sends it')
  if (record.snapshotsNotKept > 0)
    notRestored.push(`${record.snapshotsNotKept} snapshots of the engine: a copy holds the newest state`)
  for (const device of record.hostDevices) notRestored.push(`host device "${textOf(device, 'name') ?? '?'}"`)
  for (const node of record.numaNodes) notRestored.push(`NUMA node ${integerOf(node, 'index') ?? '?'}`)
  for (const cdrom of record.cdroms) {
    const file = textOf(objectOf(cdrom, 'file') ?? {}, 'id') ?? ''
    if (file !== '') notRestored.push(`CD-ROM "${file}"`)
  }
}
