/** Who may do what with a machine, by name. @module */
import { objectOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import type { PermissionRecord } from '../machine/machine-record.ts'

/** @param permissions with their role, user and group inlined */
export const readPermissions = (permissions: readonly Json[]): readonly PermissionRecord[] =>
  permissions.flatMap(permission => {
    const role = objectOf(permission, 'role')
    const user = objectOf(permission, 'user')
    const holder = user ?? objectOf(permission, 'group')
    const roleName = role === undefined ? undefined : textOf(role, 'name')
    const holderName = holder === undefined ? undefined : nameOf(holder)
    if (roleName === undefined || holderName === undefined) return []
    return [{ role: roleName, holder: holderName, isGroup: user === undefined }]
  })

/** `principal@domain`, or the name as the engine has it. */
const nameOf = (holder: Json): string | undefined => {
  const domain = objectOf(holder, 'domain')
  const domainName = domain === undefined ? undefined : textOf(domain, 'name')
  const principal = textOf(holder, 'principal')
  if (principal !== undefined && domainName !== undefined) return `${principal}@${domainName}`
  return textOf(holder, 'user_name') ?? textOf(holder, 'name')
}
