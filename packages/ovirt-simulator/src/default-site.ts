/** What there is in an installation from the beginning. @module */
import type { Inventory } from './inventory.ts'
import type { StorageDomain } from './model/state.ts'
import type { World } from './model/world.ts'

/** What a freshly installed simulator has: enough to begin with. */
export interface DefaultSite {
  readonly dataCenterId: string
  readonly clusterId: string
  readonly hostIds: readonly string[]
  readonly hostNames: readonly string[]
  /** One for each kind of storage that the profile has. */
  readonly storageDomains: readonly StorageDomain[]
  readonly vnicProfileId: string
}

export const addDefaultSite = (inventory: Inventory, world: World, level?: string): DefaultSite => {
  const dataCenterId = inventory.addDataCenter('Default')
  const clusterId = inventory.addCluster({ name: 'Default', dataCenterId, ...(level !== undefined && { level }) })
  const hostNames = ['host1', 'host2']
  const hostIds = hostNames.map(name => inventory.addHost({ name, clusterId }))
  const storageDomains = world.profile.storage.map(kind =>
    inventory.addStorageDomain({ name: `${kind}-data`, dataCenterId, kind }),
  )
  const network = inventory.addNetwork({ name: 'ovirtmgmt', dataCenterId })
  return { dataCenterId, clusterId, hostIds, hostNames, storageDomains, vnicProfileId: network.profileIds[0] ?? '' }
}
