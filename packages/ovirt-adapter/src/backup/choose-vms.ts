/** Which machines of an engine are meant. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { listVms } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'

export interface VmChoice {
  /** Names or ids; `*` in a name stands for anything. */
  readonly names?: readonly string[]
  readonly tags?: readonly string[]
  /** In the engine's search language. */
  readonly search?: string
  /** All but the engine's own machine. */
  readonly all?: boolean
  /** Names, ids or patterns, left out of what the others choose. */
  readonly exclude?: readonly string[]
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * The machines, sorted by name.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when a name is nobody's, or nothing is left
 */
export const chooseVms = async (
  engine: Engine,
  choice: VmChoice,
  { signal }: AbortOptions = {},
): Promise<readonly Vm[]> => {
  const { names = [], tags = [], search, all = false, exclude = [] } = choice
  const chosen = new Map<string, Vm>()
  const add = (vms: readonly Vm[]): void => {
    for (const vm of vms) chosen.set(vm.id, vm)
  }
  const known = names.length > 0 || all ? await listVms(engine, { signal }) : []
  if (all) add(known.filter(vm => !isEngineVm(vm)))
  for (const name of names) add(matching(known, name))
  for (const tag of tags) add(await listVms(engine, { search: `tag=${quoted(tag)}`, signal }))
  if (search !== undefined) add(await listVms(engine, { search, signal }))
  const left = [...chosen.values()].filter(vm => !exclude.some(pattern => isMatch(vm, pattern)))
  if (left.length > 0) return left.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  throw new GranaryError('GRANARY_NOT_FOUND', 'no machine was chosen', {
    hint: 'see `granary ovirt vms` for names; a search is written as in the engine, such as "name=web*"',
  })
}

/** The engine can't be backed up by itself. */
export const isEngineVm = ({ origin }: Vm): boolean => /hosted_engine$/.test(origin)

const matching = (vms: readonly Vm[], name: string): readonly Vm[] => {
  const found = vms.filter(vm => isMatch(vm, name))
  if (found.length > 0) return found
  throw new GranaryError('GRANARY_NOT_FOUND', `the engine has no machine "${name}"`, {
    detail: { vm: name },
    hint: 'see `granary ovirt vms`',
  })
}

const isMatch = ({ id, name }: Vm, pattern: string): boolean => {
  if (GUID.test(pattern)) return id === pattern
  if (!pattern.includes('*')) return name === pattern
  const parts = pattern.split('*').map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name)
}

const quoted = (text: string): string => (/^[\w.-]+$/.test(text) ? text : `"${text.replaceAll('"', '')}"`)
