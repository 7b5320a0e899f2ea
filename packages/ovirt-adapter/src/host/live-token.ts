/**
 * A mark in the running domain's own metadata. It lives as long as this run of the domain: it survives a restart of libvirtd
 * and goes with a migration, and it is gone when the domain was started again. So it proves which run we look at.
 *
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Libvirt } from './libvirt.ts'

const NAMESPACE = 'urn:granary:host-copy'

export const setToken = async (
  libvirt: Libvirt,
  domain: string,
  token: string,
  options: AbortOptions = {},
): Promise<void> => {
  const element = `<copy token='${token}'/>`
  await libvirt.run(['metadata', domain, NAMESPACE, '--live', '--key', 'granary', '--set', element], options)
}

/** True while the run of the domain that was marked goes on here. */
export const hasToken = async (
  libvirt: Libvirt,
  domain: string,
  token: string,
  options: AbortOptions = {},
): Promise<boolean> => {
  if (!(await libvirt.isActive(domain, options))) return false
  try {
    return (await libvirt.run(['metadata', domain, NAMESPACE, '--live'], options)).includes(token)
  } catch (error) {
    if (isGranaryError(error) && /metadata not found/i.test(error.message)) return false
    throw error
  }
}

export const removeToken = async (libvirt: Libvirt, domain: string): Promise<void> => {
  await libvirt.run(['metadata', domain, NAMESPACE, '--live', '--remove'])
}
