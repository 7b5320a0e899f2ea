/** What an account may do (CONTRACT §1.5, §5.6). @module */
import { operationFailed } from '../http/api-error.ts'
import type { World } from '../model/world.ts'

export type Permit =
  | 'BACKUP_DISK'
  | 'CREATE_DISK'
  | 'CREATE_VM'
  | 'DELETE_VM'
  | 'EDIT_DISK_PROPERTIES'
  | 'EDIT_VM_PROPERTIES'
  | 'INJECT_EXTERNAL_EVENTS'
  | 'RUN_VM'

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
