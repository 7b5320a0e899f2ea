/** `/vms/ID/nics` (CONTRACT §2.4). @module */
import { randomUUID } from 'node:crypto'
import { doneJob } from '../engine/events.ts'
import { linked } from '../engine/create-vm.ts'
import { nextMac, requireMacFree } from '../engine/mac-pool.ts'
import { requirePermit } from '../engine/permits.ts'
import { created, done, entityOf, listOf } from '../http/answer.ts'
import { incomplete, operationFailed } from '../http/api-error.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { guestDevices } from '../project/guest.ts'
import { showNic } from '../project/vm.ts'
import { belowVm } from './below-vm.ts'

export const nicRoutes = (world: World): Route[] => [
  ...belowVm(world, { name: 'nics', type: 'Nic', entities: vm => [...vm.nics.values()].map(nic => showNic(vm, nic)) }),
  {
    method: 'POST',
    path: 'vms/:vm/nics',
    body: 'Nic',
    run({ ids, body, user }) {
      const vm = found(world.vms, ids['vm'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      const nic = newNic(world, vm, body)
      vm.nics.set(String(nic['id']), nic)
      return created('Nic', showNic(vm, nic))
    },
  },
  {
    method: 'PUT',
    path: 'vms/:vm/nics/:nic',
    body: 'Nic',
    run({ ids, body, user }) {
      const vm = found(world.vms, ids['vm'])
      const nic = found(vm.nics, ids['nic'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      const address = (body['mac'] as Attributes | undefined)?.['address']
      if (address !== undefined && address !== (nic['mac'] as Attributes)['address'])
        requireMacFree(world, vm.clusterId, String(address))
      const changed = { ...nic, ...body, id: nic['id'] }
      vm.nics.set(String(nic['id']), changed)
      return entityOf('Nic', showNic(vm, changed))
    },
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/nics/:nic',
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      const nic = found(vm.nics, ids['nic'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      vm.nics.delete(String(nic['id']))
      return done(doneJob(world, 'Removing Network Interface from VM'))
    },
  },
  {
    method: 'GET',
    path: 'vms/:vm/nics/:nic/reporteddevices',
    run({ ids }) {
      const vm = found(world.vms, ids['vm'])
      return listOf('ReportedDevice', guestDevices(vm, found(vm.nics, ids['nic'])))
    },
  },
]

/** @throws ApiError 400 without a name, 404 for an unknown profile, 409 when name or MAC is taken */
export const newNic = (world: World, vm: Vm, body: Attributes): Attributes => {
  const { name } = body
  if (typeof name !== 'string' || name === '') throw incomplete('Nic [name] required for add')
  if ([...vm.nics.values()].some(nic => nic['name'] === name))
    throw operationFailed(409, 'Cannot add Interface. The network interface name is already in use.')
  const profile = body['vnic_profile'] as Attributes | undefined
  if (profile?.['id'] !== undefined) linked(world.plain.vnicprofiles, profile, 'vnicProfile')
  const given = (body['mac'] as Attributes | undefined)?.['address']
  if (given !== undefined) requireMacFree(world, vm.clusterId, String(given))
  const address = given === undefined ? nextMac(world, vm.clusterId) : String(given).toLowerCase()
  return {
    name,
    description: body['description'] ?? '',
    interface: body['interface'] ?? 'virtio',
    mac: { address },
    linked: body['linked'] ?? true,
    plugged: body['plugged'] ?? true,
    synced: true,
    ...(profile?.['id'] !== undefined && { vnic_profile: { id: profile['id'] } }),
    id: randomUUID(),
  }
}
