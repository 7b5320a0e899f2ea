/** How libvirt is reached on the host that a machine runs on: here, or through ssh. @module */
import type { AbortOptions } from '@granary/core'
import type { HostPath } from '../backup/settings.ts'
import type { Engine } from '../engine/engine.ts'
import { findHost, listHosts } from '../engine/resources/places.ts'
import { Libvirt } from './libvirt.ts'
import { thisHostId } from './this-host.ts'

export type HostAccessSettings = Pick<HostPath, 'libvirtAuthFile' | 'libvirtSshUser' | 'vdsmIdPath' | 'openLibvirt'>

export interface HostReach {
  readonly libvirt: Libvirt
  /** Whether it is the host we run on: only there are sockets of QEMU at hand. */
  readonly isHere: boolean
}

/**
 * Undefined when the host is another one and no ssh account is configured, or when we are on no host at all.
 *
 * @param hostId the engine's
 */
export const reachHost = async (
  engine: Engine,
  hostId: string,
  { libvirtAuthFile, libvirtSshUser, vdsmIdPath, openLibvirt = ofUri, signal }: AbortOptions & HostAccessSettings,
): Promise<HostReach | undefined> => {
  const ownId = await thisHostId(vdsmIdPath)
  const isHere =
    ownId !== undefined &&
    (await listHosts(engine, { search: `hw_id=${ownId}`, ...(signal === undefined ? {} : { signal }) })).some(
      ({ id }) => id === hostId,
    )
  if (isHere) {
    const authentication = libvirtAuthFile === undefined ? '' : `?authfile=${encodeURIComponent(libvirtAuthFile)}`
    return { libvirt: openLibvirt(`qemu:///system${authentication}`), isHere }
  }
  const address = libvirtSshUser === undefined ? undefined : (await findHost(engine, hostId, { signal }))?.address
  if (address === undefined || address === '') return undefined
  // Never asks: a host whose key is not known, or a key that is not accepted, fails at once.
  const uri = `qemu+ssh://${libvirtSshUser}@${address}/system?no_tty=1&known_hosts_verify=normal`
  return { libvirt: openLibvirt(uri), isHere }
}

const ofUri = (uri: string): Libvirt => new Libvirt({ uri })
