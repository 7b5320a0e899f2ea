/**
 * Step 6: what must not be set while disks are missing (high availability, lease, delete protection), and what belongs to a
 * machine without being part of it. Of the latter, what can't be set is listed; it does not undo ten hours of upload.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { itemsOf, neededText, objectOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import { updateVm } from '../engine/resources/vms.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import type { RestoreContext } from './context.ts'
import type { RestoreState } from './restore-state.ts'

type Attempt = (what: string, change: () => Promise<unknown>) => Promise<void>
type Options = AbortOptions & { readonly conflictTimeoutMs: number }

/** Does what can be done; what the engine refuses is listed. */
const attemptIn =
  (state: RestoreState, { signal }: AbortOptions): Attempt =>
  async (what, change) => {
    try {
      await change()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error) || error.detail['status'] === undefined) throw error
      await state.warn(`${what} could not be set: ${error.message}`)
      await state.leaveOut(what)
    }
  }

/** Takes our mark out of the disks, and gives them their own descriptions. */
export const describeDisks = async (
  { engine }: RestoreContext,
  state: RestoreState,
  { signal }: AbortOptions,
): Promise<void> => {
  const attempt = attemptIn(state, { signal })
  const options = { signal, conflictTimeoutMs: CONFLICT_TIMEOUT_MS }
  for (const [index, { alias, description }] of state.plan.disks.entries()) {
    const path = `/disks/${state.disk(index).id ?? ''}`
    await attempt(`the description of disk "${alias}"`, async () => await engine.update(path, { description }, options))
  }
}

export const finishMachine = async (
  context: RestoreContext,
  state: RestoreState,
  vmId: string,
  { signal }: AbortOptions,
): Promise<void> => {
  const { machine } = state.plan
  const options = { signal, conflictTimeoutMs: CONFLICT_TIMEOUT_MS }
  const { engine } = context
  const attempt = attemptIn(state, { signal })
  await addBelongings(context, state, vmId, attempt, options)
  if (machine.finish.leaseDomain !== undefined) {
    const lease = { storage_domain: { id: machine.finish.leaseDomain.id } }
    await attempt('the lease', async () => await updateVm(engine, vmId, { lease }, options))
  }
  for (const [name, value] of Object.entries(machine.finish.body))
    await attempt(name, async () => await updateVm(engine, vmId, { [name]: value }, options))
  // Last of all: with our mark in it the machine counts as unfinished.
  await updateVm(engine, vmId, { description: textOf(machine.body, 'description') ?? '' }, options)
}

const addBelongings = async (
  { engine }: RestoreContext,
  state: RestoreState,
  vmId: string,
  attempt: Attempt,
  options: Options,
): Promise<void> => {
  const { machine } = state.plan
  // Engines answer a second of the same with 409: after a break, what is there stays.
  const add = async (path: string, body: Json): Promise<unknown> =>
    await engine.create(path, body, { ...options, conflictTimeoutMs: 0, find: async () => undefined })
  if (machine.way === 'object' && (await isEmpty(engine, `/vms/${vmId}/watchdogs`, 'watchdog', options)))
    for (const watchdog of machine.watchdogs)
      await attempt('watchdog', async () => await add(`/vms/${vmId}/watchdogs`, watchdog))
  const tags = await namesIn(engine, `/vms/${vmId}/tags`, 'tag', options)
  for (const name of machine.tags)
    if (!tags.has(name)) await attempt(`tag "${name}"`, async () => await add(`/vms/${vmId}/tags`, { name }))
  for (const name of machine.affinityLabels)
    await attempt(`affinity label "${name}"`, async () => {
      const { id } = await named(engine, '/affinitylabels', { item: 'affinity_label', name }, options)
      await add(`/affinitylabels/${id}/vms`, { id: vmId })
    })
  for (const name of machine.affinityGroups)
    await attempt(`affinity group "${name}"`, async () => {
      const groups = `/clusters/${machine.cluster.id}/affinitygroups`
      const { id } = await named(engine, groups, { item: 'affinity_group', name }, options)
      await add(`${groups}/${id}/vms`, { id: vmId })
    })
  for (const { role, holder, isGroup } of machine.permissions)
    await attempt(`role "${role}" of ${holder}`, async () => {
      const { id } = await named(engine, '/roles', { item: 'role', name: role }, options)
      const kind = isGroup ? 'group' : 'user'
      const owner = await findHolder(engine, kind, holder, options)
      await add(`/vms/${vmId}/permissions`, { role: { id }, [kind]: { id: owner } })
    })
}

const isEmpty = async (engine: Engine, path: string, item: string, options: AbortOptions): Promise<boolean> =>
  itemsOf(await engine.find(path, options), item).length === 0

const namesIn = async (engine: Engine, path: string, item: string, options: AbortOptions): Promise<Set<string>> =>
  new Set(itemsOf(await engine.find(path, options), item).map(json => textOf(json, 'name') ?? ''))

const named = async (
  engine: Engine,
  path: string,
  { item, name }: { readonly item: string; readonly name: string },
  options: AbortOptions,
): Promise<{ id: string }> => {
  const found = itemsOf(await engine.get(path, options), item).find(json => textOf(json, 'name') === name)
  if (found !== undefined) return { id: neededText(found, 'id') }
  throw missing(path, name)
}

/** Users are known as `principal@domain`. */
const findHolder = async (
  engine: Engine,
  kind: 'user' | 'group',
  holder: string,
  options: AbortOptions,
): Promise<string> => {
  for (const json of itemsOf(await engine.get(`/${kind}s`, options), kind)) {
    const domain = textOf(objectOf(json, 'domain') ?? {}, 'name') ?? ''
    const names = [textOf(json, 'user_name'), textOf(json, 'name'), `${textOf(json, 'principal') ?? ''}@${domain}`]
    if (names.includes(holder)) return neededText(json, 'id')
  }
  throw missing(`/${kind}s`, holder)
}

const missing = (path: string, name: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `the engine has no "${name}"`, { detail: { path, name, status: 404 } })
