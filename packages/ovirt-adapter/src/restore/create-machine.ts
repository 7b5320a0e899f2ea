/** Step 2: the machine, without disks: names and configuration fail in seconds, not after ten hours. @module */
import { randomUUID } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { BLANK_ID } from '../engine/ids.ts'
import { objectOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import { addVm, findVm, listVms } from '../engine/resources/vms.ts'
import { waitFor } from '../engine/wait-for.ts'
import { prepareOvf } from '../ovf/prepare-ovf.ts'
import { joinOvfSecrets } from '../ovf/secrets.ts'
import type { RestoreContext } from './context.ts'
import { dropOne } from './machine-body.ts'
import type { RestorePlan, RestoreSource } from './plan.ts'
import type { RestoreState } from './restore-state.ts'

/** An OVF is read while the request waits. */
const OVF_ANSWER_MS = 180_000
const MAX_NAMES = 1000

/**
 * Makes the machine where it isn't there yet.
 *
 * @returns its id
 * @throws GranaryError what the engine refuses with, when nothing optional is left to leave out
 */
export const ensureMachine = async (
  context: RestoreContext,
  state: RestoreState,
  source: RestoreSource,
  { signal }: AbortOptions,
): Promise<string> => {
  const { engine } = context
  const known = await findOurs(context, state, { signal })
  const id = known ?? (await createMachine(context, state, source, { signal }))
  if (state.vmId !== id) await state.learn({ vm: id })
  await waitFor(async () => await findVm(engine, id, { signal }), {
    clock: engine.clock,
    timeoutMs: context.settings.vmStateMs,
    what: `machine "${state.vmName ?? ''}" is made`,
    isDone: vm => vm?.status !== 'image_locked',
    describe: vm => vm?.status ?? 'gone',
    signal,
  })
  return id
}

/** What an earlier run made, whether it heard the answer or not. */
const findOurs = async (
  { engine }: RestoreContext,
  state: RestoreState,
  options: AbortOptions,
): Promise<string | undefined> => {
  if (state.vmId !== undefined) {
    if ((await findVm(engine, state.vmId, options)) !== undefined) return state.vmId
    throw new GranaryError('GRANARY_NOT_FOUND', `machine "${state.vmName ?? state.vmId}" was removed meanwhile`, {
      detail: { vm: state.vmId, restore: state.id },
      hint: '`granary ovirt clean` removes the rest of this restore; then restore anew',
    })
  }
  return state.vmName === undefined ? undefined : await findMarked({ engine }, state, state.vmName, options)
}

/** The machine of that name that carries our mark. */
const findMarked = async (
  { engine }: Pick<RestoreContext, 'engine'>,
  { mark }: RestoreState,
  name: string,
  options: AbortOptions,
): Promise<string | undefined> =>
  (await listVms(engine, { ...options, search: `name=${quoted(name)}` })).find(
    vm => vm.name === name && vm.description === mark,
  )?.id

const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `"${name.replaceAll('"', '')}"`)

const createMachine = async (
  context: RestoreContext,
  state: RestoreState,
  source: RestoreSource,
  { signal }: AbortOptions,
): Promise<string> => {
  const { engine } = context
  let { name, body, way }: { name: string; body: Json; way: RestorePlan['machine']['way'] } = state.plan.machine
  let firstRefusal: unknown
  for (let tries = 0; ; tries++) {
    await state.learn({ vmName: name })
    const find = async (): Promise<Json | undefined> => {
      const id = await findMarked(context, state, name, { signal })
      return id === undefined ? undefined : await engine.find(`/vms/${id}`, { signal })
    }
    try {
      const request = way === 'ovf' ? ovfRequest(state, source, name) : objectRequest(state, source, { name, body })
      const answerTimeoutMs = way === 'ovf' ? { answerTimeoutMs: OVF_ANSWER_MS } : {}
      const { id } = await addVm(engine, request, { find, ...answerTimeoutMs, signal })
      await tellDropped(state, source, { way, body })
      return id
    } catch (error) {
      if (!isGranaryError(error) || ![400, 409].includes(Number(error.detail['status']))) throw error
      const taken = (await listVms(engine, { search: `name=${quoted(name)}`, signal })).some(vm => vm.name === name)
      if (taken && tries < MAX_NAMES) {
        name = nextName(state.plan.machine.wantedName, name)
        continue
      }
      firstRefusal ??= error
      if (way === 'ovf') {
        way = 'object' // A target that does not take this OVF may still take the machine.
        continue
      }
      const dropped = dropOne(body, String(error.detail['fault'] ?? ''))
      if (dropped === undefined) throw firstRefusal
      body = dropped.body
    }
  }
}

/** `web_1` after `web`, `web_2` after `web_1`. */
const nextName = (base: string, last: string): string => {
  const number = last === base ? 0 : Number(last.slice(base.length + 1))
  return `${base}_${number + 1}`
}

const objectRequest = (
  { plan, mark }: RestoreState,
  { record }: RestoreSource,
  { name, body }: { readonly name: string; readonly body: Json },
): Json => {
  const initialization = {
    ...objectOf(record.vm, 'initialization'),
    ...(record.secrets?.initialization as Json | undefined),
  }
  return {
    ...body,
    name,
    description: mark,
    cluster: { id: plan.machine.cluster.id },
    template: { id: BLANK_ID },
    ...(plan.withInitialization && Object.keys(initialization).length > 0 ? { initialization } : {}),
  }
}

const ovfRequest = ({ plan, mark }: RestoreState, { record }: RestoreSource, name: string): Json => {
  const xml = joinOvfSecrets({ xml: record.ovf ?? '', secrets: record.secrets?.ovf ?? [] })
  const data = prepareOvf(xml, { vmId: randomUUID(), name, withInitialization: plan.withInitialization })
  return {
    name,
    description: mark,
    cluster: { id: plan.machine.cluster.id },
    initialization: { regenerate_ids: false, configuration: { type: 'ovf', data } },
  }
}

/** What the plan had and the target would not take. */
const tellDropped = async (
  state: RestoreState,
  source: RestoreSource,
  made: { readonly way: RestorePlan['machine']['way']; readonly body: Json },
): Promise<void> => {
  const { machine } = state.plan
  if (made.way !== machine.way) {
    await state.leaveOut('NVRAM and TPM: the target does not take the OVF')
    if (source.record.vm['tpm_enabled'] === 'true')
      await state.warn('the TPM starts empty: BitLocker asks for its recovery key')
  }
  for (const [name, value] of Object.entries(machine.body)) {
    const kept = made.body[name]
    if (kept === undefined) await state.leaveOut(`${name}: the target does not know it`)
    else if (JSON.stringify(kept) !== JSON.stringify(value)) {
      const parts = Object.keys(value as Json).filter(part => !(part in (kept as Json)))
      await state.leaveOut(`${name}.${parts.join(', ')}: the target does not know it`)
    }
  }
}
