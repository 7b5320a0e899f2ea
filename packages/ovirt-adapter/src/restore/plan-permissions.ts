/** Whether the account may do what the plan says, found out before anything is made. @module */
import { CANNOT_END_TRANSFERS, isPermitted, mayEndTransfers } from '../engine/resources/grants.ts'
import type { Grant } from '../engine/resources/grants.ts'
import type { Place } from './plan-place.ts'
import type { Findings, PlannedDisk } from './plan.ts'

export interface PermissionsNeeded {
  readonly place: Place
  /** False: only disks. */
  readonly makesMachine: boolean
  readonly disks: readonly PlannedDisk[]
}

/** @param grants undefined when the engine does not tell */
export const checkPermissions = (
  grants: readonly Grant[] | undefined,
  { place: { cluster, dataCenter }, makesMachine, disks }: PermissionsNeeded,
  { problems, warnings }: Findings,
): void => {
  if (grants === undefined) {
    warnings.push('the engine does not tell what the account may do: permissions are not checked')
    return
  }
  if (makesMachine && !isPermitted(grants, 'create_vm', [cluster.id, dataCenter.id]))
    problems.push(
      `the account may not make machines in cluster "${cluster.name}": it needs the permit create_vm there, on data center "${dataCenter.name}" or on the system`,
    )
  const domains = new Map(disks.map(({ storageDomain }) => [storageDomain.id, storageDomain.name]))
  for (const [id, name] of domains)
    if (!isPermitted(grants, 'create_disk', [id, dataCenter.id]))
      problems.push(
        `the account may not make disks in storage domain "${name}": it needs the permit create_disk there, on data center "${dataCenter.name}" or on the system`,
      )
  checkTransfers(grants, disks, problems)
}

/** A transfer that can't be ended leaves its disk locked. */
export const checkTransfers = (
  grants: readonly Grant[] | undefined,
  disks: readonly unknown[],
  problems: string[],
): void => {
  if (grants !== undefined && disks.length > 0 && !mayEndTransfers(grants)) problems.push(CANNOT_END_TRANSFERS)
}
