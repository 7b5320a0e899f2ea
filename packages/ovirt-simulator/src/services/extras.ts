/** Tags of VMs, and sub-collections that are shown as they were set up. @module */
import { randomUUID } from 'node:crypto'
import { linked } from '../engine/create-vm.ts'
import { doneJob } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import { created, done, entityOf, listOf } from '../http/answer.ts'
import type { Route } from '../http/routes.ts'
import { notFound } from '../http/api-error.ts'
import type { Attributes, TypeName } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { BLANK_ID, found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { guestApplications, guestDevices, vmStatistics } from '../project/guest.ts'
import { vmHref } from '../project/vm.ts'
import { belowVm } from './below-vm.ts'

/** Sub-collections of a VM by the type of their entities; POST adds to them. */
const EXTRAS: Readonly<Record<string, TypeName>> = {
  affinitylabels: 'AffinityLabel',
  graphicsconsoles: 'GraphicsConsole',
  hostdevices: 'HostDevice',
  numanodes: 'NumaNode',
  permissions: 'Permission',
  sessions: 'Session',
  watchdogs: 'Watchdog',
}

export const extraRoutes = (world: World): Route[] => [
  ...Object.entries(EXTRAS).flatMap(([name, type]): Route[] => [
    ...belowVm(world, { name, type, entities: vm => showExtras(vm, name) }),
    {
      method: 'POST',
      path: `vms/:vm/${name}`,
      body: type,
      run({ ids, body, user }) {
        const vm = found(world.vms, ids['vm'])
        requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
        const extra = { ...body, id: randomUUID() }
        vm.extras.set(name, [...(vm.extras.get(name) ?? []), extra])
        return created(type, { ...extra, href: `${vmHref(vm)}/${name}/${extra.id}` })
      },
    },
  ]),
  ...belowVm(world, { name: 'applications', type: 'Application', entities: guestApplications }),
  ...belowVm(world, { name: 'statistics', type: 'Statistic', entities: vmStatistics }),
  ...belowVm(world, {
    name: 'reporteddevices',
    type: 'ReportedDevice',
    entities: vm => [...vm.nics.values()].flatMap(nic => guestDevices(vm, nic)),
  }),
  ...tagRoutes(world),
]

const showExtras = (vm: Vm, name: string): Attributes[] =>
  (vm.extras.get(name) ?? []).map(extra => ({ ...extra, href: `${vmHref(vm)}/${name}/${String(extra['id'])}` }))

const tagRoutes = (world: World): Route[] => [
  { method: 'GET', path: 'tags', run: () => listOf('Tag', [...world.plain.tags.values()]) },
  { method: 'GET', path: 'tags/:id', run: ({ ids }) => entityOf('Tag', found(world.plain.tags, ids['id'])) },
  {
    method: 'POST',
    path: 'tags',
    body: 'Tag',
    run({ body }) {
      const tag = { ...body, id: randomUUID(), parent: body['parent'] ?? { id: BLANK_ID } }
      world.plain.tags.set(tag.id, tag)
      return created('Tag', tag)
    },
  },
  ...belowVm(world, {
    name: 'tags',
    type: 'Tag',
    entities: vm => [...vm.tags].map(id => ({ ...world.plain.tags.get(id), href: `${vmHref(vm)}/tags/${id}` })),
  }),
  {
    method: 'POST',
    path: 'vms/:vm/tags',
    body: 'Tag',
    run({ ids, body, user }) {
      const vm = found(world.vms, ids['vm'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      const tag = linked(world.plain.tags, body, 'Tag [id|name] required for add')
      vm.tags.add(String(tag['id']))
      return created('Tag', { ...tag, href: `${vmHref(vm)}/tags/${String(tag['id'])}` })
    },
  },
  {
    method: 'DELETE',
    path: 'vms/:vm/tags/:id',
    run({ ids, user }) {
      const vm = found(world.vms, ids['vm'])
      requirePermit(world, user, 'EDIT_VM_PROPERTIES', vm.id)
      if (!vm.tags.delete(String(ids['id']))) throw notFound()
      return done(doneJob(world, 'Detaching Tag from VM'))
    },
  },
]
