/** Step 3: the NICs. A kept MAC that is taken (by a machine, or a snapshot of one) is never given twice. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Json } from '../engine/json.ts'
import { addNic, listNics } from '../engine/resources/networks.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import type { RestoreContext } from './context.ts'
import type { PlannedNic } from './plan.ts'
import type { RestoreState } from './restore-state.ts'

/** @throws GranaryError `GRANARY_LOCKED` when a MAC is taken and that shall fail */
export const ensureNics = async (
  context: RestoreContext,
  state: RestoreState,
  vmId: string,
  { signal }: AbortOptions,
): Promise<void> => {
  const there = new Set((await listNics(context.engine, vmId, { signal })).map(({ name }) => name))
  for (const nic of state.plan.nics) {
    if (there.has(nic.name) || state.skippedNics.includes(nic.name)) continue
    await ensureNic(context, state, { vmId, nic }, { signal })
  }
}

const ensureNic = async (
  { engine }: RestoreContext,
  state: RestoreState,
  { vmId, nic }: { readonly vmId: string; readonly nic: PlannedNic },
  { signal }: AbortOptions,
): Promise<void> => {
  const find = async (): Promise<Json | undefined> =>
    (await listNics(engine, vmId, { signal })).find(({ name }) => name === nic.name)?.json
  const add = async (body: Json, conflictTimeoutMs: number): Promise<void> => {
    await addNic(engine, vmId, body, { find, conflictTimeoutMs, signal })
  }
  const body = bodyOf(nic)
  if (nic.mac === undefined) return await add(body, CONFLICT_TIMEOUT_MS)
  try {
    await add({ ...body, mac: { address: nic.mac } }, 0)
  } catch (error) {
    if (!isGranaryError(error) || error.detail['status'] !== 409) throw error
    await resolveConflict(state, nic, error, async () => await add(body, CONFLICT_TIMEOUT_MS))
  }
}

const bodyOf = (nic: PlannedNic): Json => ({
  name: nic.name,
  interface: nic.interface,
  linked: nic.isLinked,
  plugged: nic.isPlugged,
  ...(nic.profile === undefined ? {} : { vnic_profile: { id: nic.profile.id } }),
})

const resolveConflict = async (
  state: RestoreState,
  nic: PlannedNic,
  error: GranaryError,
  addWithNewMac: () => Promise<void>,
): Promise<void> => {
  const what = `NIC "${nic.name}": MAC ${nic.mac ?? ''} is taken`
  switch (state.plan.macConflict) {
    case 'fail':
      throw new GranaryError('GRANARY_LOCKED', what, {
        detail: { ...error.detail, nic: nic.name },
        cause: error,
        hint: 'restore with --mac-conflict new or skip, or without keeping MACs',
      })
    case 'new':
      await addWithNewMac()
      await state.warn(`${what}: it has a new one`)
      return
    case 'skip':
      await state.learn({ skippedNics: [...state.skippedNics, nic.name] })
      await state.warn(`${what}: the NIC is left out`)
      await state.leaveOut(`NIC "${nic.name}"`)
  }
}
