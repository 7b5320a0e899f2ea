/** Collections that are only looked at: data centers, clusters, hosts, networks, profiles, pools, roles, users. @module */
import { isShown } from '../engine/permits.ts'
import { entityOf, listOf } from '../http/answer.ts'
import type { Route } from '../http/routes.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attributes, TypeName } from '../model/schema.ts'
import { found } from '../model/world.ts'
import type { PlainTable, World } from '../model/world.ts'
import { links } from '../project/links.ts'
import { listed } from './collection.ts'

interface Table {
  readonly type: TypeName
  /** Sub-collections that are linked. */
  readonly links: readonly string[]
}

const TABLES: Readonly<Partial<Record<PlainTable, Table>>> = {
  affinitylabels: { type: 'AffinityLabel', links: [] },
  clusters: { type: 'Cluster', links: ['networks', 'cpuprofiles', 'affinitygroups', 'permissions'] },
  cpuprofiles: { type: 'CpuProfile', links: [] },
  datacenters: { type: 'DataCenter', links: ['storagedomains', 'clusters', 'networks', 'quotas', 'permissions'] },
  diskprofiles: { type: 'DiskProfile', links: [] },
  hosts: { type: 'Host', links: ['nics', 'permissions', 'statistics', 'tags'] },
  jobs: { type: 'Job', links: ['steps'] },
  macpools: { type: 'MacPool', links: [] },
  networks: { type: 'Network', links: ['vnicprofiles', 'permissions'] },
  roles: { type: 'Role', links: [] },
  templates: { type: 'Template', links: ['diskattachments', 'nics', 'permissions', 'tags'] },
  users: { type: 'User', links: [] },
  vnicprofiles: { type: 'VnicProfile', links: [] },
}

/** Which entities of a table are listed below another: table of the parent, attribute that names it. */
const BELOW: readonly (readonly [parent: PlainTable | 'storagedomains', child: PlainTable, attribute: string])[] = [
  ['datacenters', 'clusters', 'data_center'],
  ['datacenters', 'networks', 'data_center'],
  ['datacenters', 'quotas', 'data_center'],
  ['networks', 'vnicprofiles', 'network'],
  ['clusters', 'cpuprofiles', 'cluster'],
  ['storagedomains', 'diskprofiles', 'storage_domain'],
]

const show = (name: string, table: Table, entity: Attributes): Attributes => {
  const href = `${API_PATH}/${name}/${String(entity['id'])}`
  return { ...entity, ...(table.links.length > 0 && { link: links(href, ...table.links) }), id: entity['id'], href }
}

const idOf = (link: unknown): unknown => (link as Attributes | undefined)?.['id']

export const plainRoutes = (world: World): Route[] => [
  ...Object.entries(TABLES).flatMap(([name, table]): Route[] => {
    const table_ = world.plain[name as PlainTable]
    const { type } = table
    return [
      {
        method: 'GET',
        path: name,
        run(call) {
          const shown = [...table_.values()].filter(one => name !== 'hosts' || isShown(world, call, String(one['id'])))
          return listed(world, call, { name, type, entities: shown.map(one => show(name, table, one)) })
        },
      },
      {
        method: 'GET',
        path: `${name}/:id`,
        run: ({ ids }) => entityOf(type, show(name, table, found(table_, ids['id']))),
      },
    ]
  }),
  ...BELOW.map(([parent, child, attribute]): Route => {
    const table = TABLES[child] ?? { type: 'Quota', links: [] }
    return {
      method: 'GET',
      path: `${parent}/:id/${child}`,
      run({ ids }) {
        if (parent === 'storagedomains') found(world.storageDomains, ids['id'])
        else found(world.plain[parent], ids['id'])
        const inside = [...world.plain[child].values()].filter(one => idOf(one[attribute]) === ids['id'])
        const base = child === 'quotas' ? `datacenters/${String(ids['id'])}/quotas` : child
        return listOf(
          table.type,
          inside.map(one => show(base, table, one)),
        )
      },
    }
  }),
  {
    method: 'GET',
    path: 'clusters/:id/networks',
    run({ ids }) {
      const dataCenterId = idOf(found(world.plain.clusters, ids['id'])['data_center'])
      const inside = [...world.plain.networks.values()].filter(one => idOf(one['data_center']) === dataCenterId)
      return listOf('Network', inside)
    },
  },
  {
    method: 'GET',
    path: 'datacenters/:id/quotas/:quota',
    run({ ids }) {
      const quota = found(world.plain.quotas, ids['quota'])
      return entityOf('Quota', {
        ...quota,
        href: `${API_PATH}/datacenters/${String(ids['id'])}/quotas/${String(quota['id'])}`,
      })
    },
  },
  ...EMPTY.map(([path, type]): Route => ({ method: 'GET', path, run: () => listOf(type, []) })),
]

/** Collections that exist and have nothing in them here. */
const EMPTY: readonly (readonly [path: string, type: TypeName])[] = [
  ['clusters/:id/affinitygroups', 'AffinityGroup'],
  ['clusters/:id/permissions', 'Permission'],
  ['datacenters/:id/permissions', 'Permission'],
  ['disks/:id/permissions', 'Permission'],
  ['disks/:id/statistics', 'Statistic'],
  ['hosts/:id/nics', 'HostNic'],
  ['hosts/:id/permissions', 'Permission'],
  ['hosts/:id/statistics', 'Statistic'],
  ['hosts/:id/tags', 'Tag'],
  ['jobs/:id/steps', 'Step'],
  ['networks/:id/permissions', 'Permission'],
  ['storagedomains/:id/permissions', 'Permission'],
  ['storagedomains/:id/templates', 'Template'],
  ['templates/:id/diskattachments', 'DiskAttachment'],
  ['templates/:id/nics', 'Nic'],
  ['templates/:id/permissions', 'Permission'],
  ['templates/:id/tags', 'Tag'],
  ['vms/:id/nics/:nic/statistics', 'Statistic'],
  ['vms/:id/snapshots/:snapshot/cdroms', 'Cdrom'],
]
