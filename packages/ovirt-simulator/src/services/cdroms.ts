/** The one CD-ROM of a VM: in the running guest, and stored for the next start (CONTRACT §9). @module */
import { doneJob } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import { done, entityOf, listOf } from '../http/answer.ts'
import { operationFailed } from '../http/api-error.ts'
import { flag } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import { notFound } from '../http/api-error.ts'
import type { Attributes } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { BLANK_ID, found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { isRunning, vmHref } from '../project/vm.ts'

const FILE_ID = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.*\.iso)$/i

export const cdromRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: 'vms/:vm/cdroms',
    run(call) {
      const vm = found(world.vms, call.ids['vm'])
      return listOf('Cdrom', [show(vm, flag(call, 'current'))])
    },
  },
  {
    method: 'GET',
    path: 'vms/:vm/cdroms/:cdrom',
    run: call => entityOf('Cdrom', show(vmOf(world, call), flag(call, 'current'))),
  },
  {
    method: 'PUT',
    path: 'vms/:vm/cdroms/:cdrom',
    body: 'Cdrom',
    run(call) {
      const vm = vmOf(world, call)
      requirePermit(world, call.user, 'RUN_VM', vm.id)
      const fileId = String((call.body['file'] as Attributes | undefined)?.['id'] ?? '')
      if (fileId !== '') requireImage(world, vm, fileId)
      if (flag(call, 'current')) {
        if (!isRunning(vm)) throw operationFailed(409, 'Cannot change CD. VM is not running.')
        vm.cdrom.current = fileId
      } else vm.cdrom.stored = fileId
      return entityOf('Cdrom', show(vm, flag(call, 'current')))
    },
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/cdroms/:cdrom',
    run(call) {
      const vm = vmOf(world, call)
      requirePermit(world, call.user, 'EDIT_VM_PROPERTIES', vm.id)
      vm.cdrom.stored = ''
      return done(doneJob(world, 'Removing CD-ROM'))
    },
  },
]

const vmOf = (world: World, call: Call): Vm => {
  if (call.ids['cdrom'] !== BLANK_ID) throw notFound()
  return found(world.vms, call.ids['vm'])
}

const show = (vm: Vm, isCurrent: boolean): Attributes => {
  const file = isCurrent ? vm.cdrom.current : vm.cdrom.stored
  const href = `${vmHref(vm)}/cdroms/${BLANK_ID}`
  return { ...(file !== '' && { file: { id: file } }), vm: { id: vm.id }, id: BLANK_ID, href }
}

/** @throws ApiError 400 on an id of another form, 409 when the image is not there, or not active in the VM's data center */
const requireImage = (world: World, vm: Vm, id: string): void => {
  if (!FILE_ID.test(id)) throw operationFailed(400, 'Cannot change CD. Invalid CD image format.')
  const dataCenter = world.plain.clusters.get(vm.clusterId)?.['data_center'] as Attributes | undefined
  const disk = world.disks.get(id.toLowerCase())
  const domain = id.endsWith('.iso')
    ? [...world.storageDomains.values()].find(one => one.kind === 'iso' && one.files.includes(id))
    : disk?.config['content_type'] === 'iso'
      ? world.storageDomains.get(disk.storageDomainId ?? '')
      : undefined
  if (domain === undefined) throw operationFailed(409, 'Cannot change CD. The CD image does not exist.')
  if (domain.status !== 'active' || domain.dataCenterId !== dataCenter?.['id'])
    throw operationFailed(409, 'Cannot change CD. The relevant Storage Domain is not active.')
}
