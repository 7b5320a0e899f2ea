/** Addresses of NICs: given out from the cluster's pool, refused where they are taken (CONTRACT §2.4). @module */
import { operationFailed } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'

const macOf = (nic: Attributes): string => String((nic['mac'] as Attributes | undefined)?.['address']).toLowerCase()

const poolOf = (world: World, clusterId: string): Attributes | undefined => {
  const link = world.plain.clusters.get(clusterId)?.['mac_pool'] as Attributes | undefined
  return world.plain.macpools.get(String(link?.['id']))
}

/** Who has an address within the pool's scope: a VM by its name, or the VM of a snapshot. */
const holderOf = (world: World, pool: Attributes | undefined, mac: string): string | undefined => {
  for (const vm of world.vms.values()) {
    if (poolOf(world, vm.clusterId)?.['id'] !== pool?.['id']) continue
    const inSnapshot = [...vm.snapshots.values()].some(({ macs }) => macs.includes(mac))
    if (inSnapshot || [...vm.nics.values()].some(nic => macOf(nic) === mac)) return String(vm.config['name'])
  }
  return undefined
}

/** @throws ApiError 409 when somebody has it and the pool allows no duplicates, 400 when it is no address */
export const requireMacFree = (world: World, clusterId: string, address: string): void => {
  const mac = address.toLowerCase()
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    throw operationFailed(400, `Cannot add Interface. MAC Address ${address} is not valid.`)
  const pool = poolOf(world, clusterId)
  const holder = holderOf(world, pool, mac)
  if (holder === undefined || pool?.['allow_duplicates'] === true) return
  throw operationFailed(409, `Cannot add Interface. MAC Address ${mac} is already in use by VM or snapshot: ${holder}.`)
}

/** The next free address of the pool. @throws ApiError 409 when there is none */
export const nextMac = (world: World, clusterId: string): string => {
  const pool = poolOf(world, clusterId)
  for (const { from, to } of (pool?.['ranges'] ?? []) as readonly { from: string; to: string }[])
    for (let n = toNumber(from); n <= toNumber(to); n++)
      if (holderOf(world, pool, toMac(n)) === undefined) return toMac(n)
  throw operationFailed(409, 'Cannot add Interface. Not enough MAC addresses left in MAC Address Pool.')
}

export const macsOf = (vm: Vm): string[] => [...vm.nics.values()].map(macOf)

const toNumber = (mac: string): number => Number.parseInt(mac.replaceAll(':', ''), 16)
const toMac = (value: number): string =>
  value
    .toString(16)
    .padStart(12, '0')
    .replaceAll(/..(?=.)/g, '$&:')
