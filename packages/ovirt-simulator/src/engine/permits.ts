/** What an account may do (CONTRACT §1.5, §5.6). @module */
import { flag } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import { operationFailed } from '../http/api-error.ts'
import type { World } from '../model/world.ts'

export const PERMITS = [
  'BACKUP_DISK',
  'CREATE_DISK',
  'CREATE_VM',
  'DELETE_VM',
  'EDIT_DISK_PROPERTIES',
  'EDIT_VM_PROPERTIES',
  'INJECT_EXTERNAL_EVENTS',
  'RUN_VM',
] as const
export type Permit = (typeof PERMITS)[number]

/**
 * Whether an object is shown in lists: all of them to administrators, to others what they have some permit on. With
 * `filter=true` administrators ask to be treated alike.
 */
export const isShown = (world: World, { user, parameters }: Pick<Call, 'user' | 'parameters'>, id: string): boolean => {
  const account = world.accounts.get(user)
  if (account === undefined) return false
  if (account.isSuperUser && !flag({ parameters }, 'filter')) return true
  return [...account.permits].some(permit => !permit.includes('@') || permit.endsWith(`@${id}`))
}

/**
 * @param objects ids on any of which the permit may be given; none: only on the whole system
 * @throws ApiError 403
 */
export const requirePermit = (world: World, user: string, permit: Permit, ...objects: readonly string[]): void => {
  const account = world.accounts.get(user)
  const isAllowed =
    account !== undefined &&
    (account.isSuperUser || account.permits.has(permit) || objects.some(id => account.permits.has(`${permit}@${id}`)))
  if (!isAllowed) throw operationFailed(403, 'User is not authorized to perform this action.')
}
