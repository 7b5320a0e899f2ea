/** The machines of an engine, with the names of where they are. @module */
import type { AbortOptions } from '@granary/core'
import type { Engine } from './engine.ts'
import { listClusters, listHosts } from './resources/places.ts'
import { listVms } from './resources/vms.ts'

export interface VmRow {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly cluster: string | undefined
  readonly host: string | undefined
}

/** Sorted by name. */
export const listVmRows = async (
  engine: Engine,
  options: AbortOptions & { readonly search?: string } = {},
): Promise<readonly VmRow[]> => {
  const { signal } = options
  const vms = await listVms(engine, options)
  const clusters = new Map((await listClusters(engine, { signal })).map(({ id, name }) => [id, name]))
  const hosts = new Map((await listHosts(engine, { signal })).map(({ id, name }) => [id, name]))
  return vms
    .map(({ id, name, status, clusterId, hostId }) => ({
      id,
      name,
      status,
      cluster: clusters.get(clusterId ?? ''),
      host: hosts.get(hostId ?? ''),
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}
