/** Quotas, by name; else the data center's default. @module */
import type { Named } from '../machine/machine-record.ts'
import type { Place } from './plan-place.ts'
import type { Findings, RestoreChoices } from './plan.ts'
import { mapped } from './restore-map.ts'
import type { RestoreTarget } from './target.ts'

/** What is called so by the engine in every data center. */
const DEFAULT_NAME = 'Default'

export const planQuota = (
  { what, quota }: { readonly what: string; readonly quota: Named | undefined },
  {
    target,
    choices,
    place: { dataCenter },
  }: { readonly target: RestoreTarget; readonly choices: RestoreChoices; readonly place: Place },
  { warnings, problems }: Findings,
): Named | undefined => {
  if (dataCenter.quotaMode === 'disabled') return undefined
  const wanted = mapped(choices.map?.quotas, quota?.name ?? '') ?? quota?.name ?? DEFAULT_NAME
  const offered = target.quotas.filter(({ ownerId }) => ownerId === dataCenter.id)
  const found = offered.find(({ name }) => name === wanted)
  const used = found ?? offered.find(({ name }) => name === DEFAULT_NAME) ?? offered[0]
  if (used === undefined) {
    if (dataCenter.quotaMode === 'enabled')
      problems.push(`${what}: data center "${dataCenter.name}" demands a quota, and has none`)
    return undefined
  }
  if (found === undefined)
    warnings.push(`${what}: data center "${dataCenter.name}" has no quota "${wanted}"; "${used.name}" is used`)
  return { id: used.id, name: used.name }
}
