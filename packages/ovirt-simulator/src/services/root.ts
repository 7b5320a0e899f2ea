/** The entry of the API (CONTRACT §1.4). @module */
import { entityOf } from '../http/answer.ts'
import type { Route } from '../http/routes.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attributes } from '../model/schema.ts'
import { BLANK_ID, PLAIN_TABLES } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { isRunning } from '../project/vm.ts'

const COLLECTIONS = ['vms', 'disks', 'storagedomains', 'imagetransfers', 'events', ...PLAIN_TABLES].filter(
  name => name !== 'quotas',
)
const SEARCHABLE = new Set(['vms', 'disks', 'storagedomains', 'events', 'clusters', 'datacenters', 'hosts', 'networks'])

export const rootRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: '',
    run(call) {
      const account = world.accounts.get(call.user)
      const link = COLLECTIONS.toSorted().flatMap(name => [
        { href: `${API_PATH}/${name}`, rel: name },
        ...(SEARCHABLE.has(name) ? [{ href: `${API_PATH}/${name}?search={query}`, rel: `${name}/search` }] : []),
      ])
      const user: Attributes = { id: account?.id ?? BLANK_ID }
      const headers = { link: link.map(({ href, rel }) => `<${href}>; rel=${rel}`).join(',') }
      const root = entityOf('Api', {
        product_info: productInfo(world),
        special_objects: { blank_template: { id: BLANK_ID }, root_tag: { id: BLANK_ID } },
        ...(account?.isSuperUser === true && { summary: summary(world) }),
        time: world.clock.now(),
        authenticated_user: user,
        effective_user: user,
        link,
      })
      return { ...root, headers }
    },
  },
]

const productInfo = ({ profile, instanceId }: World): Attributes => {
  const [major, minor, build, revision] = profile.engine
  return {
    instance_id: instanceId,
    name: profile.product,
    vendor: profile.vendor,
    version: { build, full_version: profile.fullVersion, major, minor, revision },
  }
}

const summary = (world: World): Attributes => {
  const vms = [...world.vms.values()]
  const hosts = [...world.plain.hosts.values()]
  const domains = [...world.storageDomains.values()]
  return {
    hosts: { active: hosts.filter(host => host['status'] === 'up').length, total: hosts.length },
    storage_domains: { active: domains.filter(domain => domain.status === 'active').length, total: domains.length },
    users: { active: 1, total: world.accounts.size },
    vms: { active: vms.filter(isRunning).length, total: vms.length },
  }
}
