/** What accounts may do, as their permissions and the permits of their roles (CONTRACT §1.5, §5.6). @module */
import { createHash } from 'node:crypto'
import { PERMITS } from '../engine/permits.ts'
import { notFound } from '../http/api-error.ts'
import { listOf } from '../http/answer.ts'
import type { Route } from '../http/routes.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attributes } from '../model/schema.ts'
import type { Account, World } from '../model/world.ts'

/** A role of one account's own, on one object or on the whole system: as narrow as its permits are. */
interface Assignment {
  readonly id: string
  readonly roleId: string
  /** None: the system, which permissions do not name. */
  readonly objectId: string | undefined
  readonly permits: readonly string[]
}

export const permissionRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: 'users/:id/permissions',
    run({ ids }) {
      const account = [...world.accounts.values()].find(({ id }) => id === ids['id'])
      if (account === undefined) throw notFound()
      const href = `${API_PATH}/users/${account.id}/permissions`
      return listOf(
        'Permission',
        assignmentsOf(account).map(({ id, roleId, objectId }) => ({
          ...placeOf(world, objectId),
          role: { id: roleId },
          user: { id: account.id },
          id,
          href: `${href}/${id}`,
        })),
      )
    },
  },
  {
    method: 'GET',
    path: 'roles/:id/permits',
    run({ ids }) {
      const roles = [...world.accounts.values()].flatMap(assignmentsOf)
      const role = roles.find(({ roleId }) => roleId === ids['id'])
      if (role === undefined) throw notFound()
      const href = `${API_PATH}/roles/${role.roleId}/permits`
      return listOf(
        'Permit',
        role.permits.map(permit => {
          const id = String((PERMITS as readonly string[]).indexOf(permit) + 1)
          return { administrative: false, name: permit.toLowerCase(), id, href: `${href}/${id}` }
        }),
      )
    },
  },
]

const assignmentsOf = ({ id, permits, isSuperUser }: Account): Assignment[] => {
  const byObject = new Map<string, string[]>()
  if (isSuperUser) byObject.set('', [...PERMITS])
  for (const text of permits) {
    const [permit = '', objectId = ''] = text.split('@')
    byObject.set(objectId, [...(byObject.get(objectId) ?? []), permit])
  }
  return [...byObject].map(([objectId, list]) => ({
    id: idFrom('permission', id, objectId),
    roleId: idFrom('role', id, objectId),
    objectId: objectId === '' ? undefined : objectId,
    permits: list,
  }))
}

const placeOf = ({ plain, vms, disks, storageDomains }: World, id: string | undefined): Attributes => {
  if (id === undefined) return {}
  const tables = {
    cluster: plain.clusters,
    data_center: plain.datacenters,
    disk: disks,
    host: plain.hosts,
    storage_domain: storageDomains,
    template: plain.templates,
    vm: vms,
  }
  return Object.fromEntries(Object.entries(tables).flatMap(([name, table]) => (table.has(id) ? [[name, { id }]] : [])))
}

/** The same whenever it is asked for. */
const idFrom = (...parts: readonly string[]): string => {
  const hex = createHash('sha256').update(parts.join('/')).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
