/** Where the machine goes: cluster and data center. @module */
import { compareLevels } from '../engine/resources/vms.ts'
import type { Cluster, DataCenter, StorageDomain } from '../engine/resources/places.ts'
import type { MachineRecord } from '../machine/machine-record.ts'
import type { Findings, RestoreChoices } from './plan.ts'
import { mapped } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

export interface Place {
  readonly cluster: Cluster
  readonly dataCenter: DataCenter
}

/** By id on the same engine, by name on another. */
export const findNamed = <Item extends { readonly id: string; readonly name: string }>(
  items: readonly Item[],
  wanted: { readonly id?: string; readonly name: string },
): Item | undefined =>
  items.find(item => item.id === wanted.id) ?? items.find(({ id, name }) => name === wanted.name || id === wanted.name)

export const planPlace = (
  record: MachineRecord,
  target: RestoreTarget,
  choices: RestoreChoices,
  findings: Findings,
): Place | undefined => {
  const asked = choices.cluster ?? mapped(choices.map?.clusters, record.cluster.name)
  const wanted = asked === undefined ? record.cluster : { name: asked }
  const named = findNamed(target.clusters, wanted)
  if (named === undefined) {
    findings.problems.push(
      `there is no cluster "${wanted.name}"; there are ${target.clusters.map(({ name }) => name).join(', ') || 'none'}`,
    )
    return undefined
  }
  const cluster = fittingCluster(named, target, choices, findings)
  const dataCenter = target.dataCenters.find(({ id }) => id === cluster.dataCenterId)
  if (dataCenter === undefined || dataCenter.status !== 'up') {
    findings.problems.push(
      `the data center of cluster "${cluster.name}" is ${dataCenter === undefined ? 'not there' : dataCenter.status}, not up`,
    )
    return undefined
  }
  checkArchitecture(record, cluster, findings)
  return { cluster, dataCenter }
}

/** A domain that was chosen outright wins over the cluster: one of its data center is looked for. */
const fittingCluster = (
  cluster: Cluster,
  { clusters, storageDomains }: RestoreTarget,
  { storageDomain }: RestoreChoices,
  { warnings }: Findings,
): Cluster => {
  const chosen = storageDomain === undefined ? [] : domainsNamed(storageDomains, storageDomain)
  const belongs = (candidate: Cluster): boolean =>
    chosen.some(({ dataCenterIds }) => dataCenterIds.includes(candidate.dataCenterId ?? ''))
  if (chosen.length === 0 || belongs(cluster)) return cluster
  const others = clusters.filter(belongs).toSorted((one, other) => compareLevels(other.level, one.level))
  const better = others.find(({ level }) => compareLevels(level, cluster.level) === 0) ?? others[0]
  if (better === undefined) return cluster
  warnings.push(
    `storage domain "${storageDomain ?? ''}" does not belong to cluster "${cluster.name}": cluster "${better.name}" is used`,
  )
  return better
}

export const domainsNamed = (domains: readonly StorageDomain[], wanted: string): StorageDomain[] =>
  domains.filter(({ id, name }) => id === wanted || name === wanted)

const checkArchitecture = (record: MachineRecord, cluster: Cluster, { problems }: Findings): void => {
  const [from, to] = [record.vm, cluster.json].map(
    json => (json['cpu'] as { architecture?: unknown } | undefined)?.architecture,
  )
  if (typeof from === 'string' && typeof to === 'string' && from !== 'undefined' && to !== 'undefined' && from !== to)
    problems.push(`the machine is for ${from}, cluster "${cluster.name}" is ${to}`)
}
