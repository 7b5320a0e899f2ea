/** Collections below a VM that are looked at: the list, and each entity by its id. @module */
import { entityOf, listOf } from '../http/answer.ts'
import { notFound } from '../http/api-error.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes, TypeName } from '../model/schema.ts'
import type { Vm } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'

export interface BelowVm {
  /** Name of the collection. */
  readonly name: string
  readonly type: TypeName
  readonly entities: (vm: Vm) => readonly Attributes[]
}

export const belowVm = (world: World, { name, type, entities }: BelowVm): Route[] => [
  {
    method: 'GET',
    path: `vms/:vm/${name}`,
    run: ({ ids }) => listOf(type, entities(found(world.vms, ids['vm']))),
  },
  {
    method: 'GET',
    path: `vms/:vm/${name}/:id`,
    run({ ids }) {
      const id = String(ids['id']).toLowerCase()
      const entity = entities(found(world.vms, ids['vm'])).find(one => one['id'] === id)
      if (entity === undefined) throw notFound()
      return entityOf(type, entity)
    },
  },
]
