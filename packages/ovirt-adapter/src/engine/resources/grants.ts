/** What the account itself may do, by the roles it was given. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine.ts'
import { itemsOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'

/** A role on an object, or on the whole system. */
export interface Grant {
  /** As the engine names them: `create_disk`, `create_vm`, ... */
  readonly permits: readonly string[]
  /** Undefined: the system, and so everything. */
  readonly objectId: string | undefined
}

/** Permissions of these may reach what a backup or a restore touches. */
const OBJECTS = ['data_center', 'cluster', 'host', 'storage_domain', 'vm', 'vm_pool', 'template', 'disk'] as const

/**
 * Permissions of the account and of the groups it is in.
 *
 * @returns undefined where the engine does not tell: an account that logs in has at least one
 */
export const readGrants = async (engine: Engine, options: AbortOptions = {}): Promise<readonly Grant[] | undefined> => {
  const userId = referenceOf(await engine.get('', options), 'authenticated_user')
  if (userId === undefined) return undefined
  try {
    const permissions = itemsOf(await engine.find(`/users/${userId}/permissions`, options), 'permission')
    const permitsOf = new Map<string, readonly string[]>()
    for (const role of new Set(permissions.flatMap(one => referenceOf(one, 'role') ?? [])))
      permitsOf.set(role, await readPermits(engine, role, options))
    const grants = permissions.map(permission => ({
      permits: permitsOf.get(referenceOf(permission, 'role') ?? '') ?? [],
      objectId: objectOfPermission(permission),
    }))
    return grants.some(({ permits }) => permits.length > 0) ? grants : undefined
  } catch (error) {
    if (isGranaryError(error) && error.code === 'GRANARY_PERMISSION') return undefined
    throw error
  }
}

const readPermits = async (engine: Engine, role: string, options: AbortOptions): Promise<readonly string[]> =>
  itemsOf(await engine.find(`/roles/${role}/permits`, options), 'permit').flatMap(
    permit => textOf(permit, 'name') ?? [],
  )

const objectOfPermission = (permission: Json): string | undefined => {
  for (const name of OBJECTS) {
    const id = referenceOf(permission, name)
    if (id !== undefined) return id
  }
  return undefined
}

/** @param objectIds the object and what it is inside of; none: only on the whole system */
export const isPermitted = (
  grants: readonly Grant[],
  permit: string,
  objectIds: readonly (string | undefined)[] = [],
): boolean =>
  grants.some(
    ({ permits, objectId }) => permits.includes(permit) && (objectId === undefined || objectIds.includes(objectId)),
  )

/**
 * Ending, cancelling, pausing and resuming a transfer asks for `create_disk` on the whole system, whatever its disk is in
 * (CONTRACT §5.6).
 */
export const mayEndTransfers = (grants: readonly Grant[]): boolean => isPermitted(grants, 'create_disk')

export const CANNOT_END_TRANSFERS =
  'the account may begin transfers and not end them: it needs the permit create_disk on the whole system, by a role that is given there'
