/** Which states a machine can be backed up in, and which pass. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { readVm } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import { waitFor } from '../engine/wait-for.ts'

const READY = new Set(['up', 'down'])

const PASSING = new Set([
  'migrating',
  'powering_up',
  'powering_down',
  'wait_for_launch',
  'reboot_in_progress',
  'saving_state',
  'restoring_state',
  'image_locked',
])

/** Whether a state lasts only until something that is under way has ended. */
export const isPassing = (status: string): boolean => PASSING.has(status)

const HINTS: Readonly<Record<string, string>> = {
  paused: 'resume the machine or shut it down; when it paused for lack of space, make space first',
  suspended: 'start the machine or shut it down: its memory is no part of a backup',
  unknown: 'see what has become of its host',
  not_responding: 'see what has become of its host',
  unassigned: 'see what the engine says of it',
}

/**
 * Waits until a machine is up or down.
 *
 * @throws GranaryError `GRANARY_LOCKED` when it stays in a passing state; `GRANARY_UNSUPPORTED` in any other state, with illegal
 * images, and for the engine's own machine; `GRANARY_NOT_FOUND`
 */
export const waitUntilSteady = async (
  engine: Engine,
  vmId: string,
  { timeoutMs, signal }: AbortOptions & { readonly timeoutMs: number },
): Promise<Vm> => {
  const isDone = (vm: Vm): boolean => !isPassing(vm.status)
  const read = async (): Promise<Vm> => await readVm(engine, vmId, { signal })
  const { clock } = engine
  try {
    const vm = await waitFor(read, { clock, timeoutMs, what: `the machine is up or down`, isDone, signal, describe })
    return checkState(vm)
  } catch (error) {
    if ((error as GranaryError).code !== 'GRANARY_TIMEOUT') throw error
    const { detail, message } = error as GranaryError
    throw new GranaryError('GRANARY_LOCKED', message, { detail, cause: error, retryable: true })
  }
}

const describe = ({ name, status }: Vm): string => `${name}: ${status}`

const checkState = (vm: Vm): Vm => {
  const { name, status, origin } = vm
  const detail = { vm: name, status }
  if (/hosted_engine$/.test(origin)) {
    throw new GranaryError('GRANARY_UNSUPPORTED', `${name} is the engine's own machine`, {
      detail,
      hint: 'back the engine up with engine-backup',
    })
  }
  if (!READY.has(status)) {
    const hint = HINTS[status] ?? 'start the machine or shut it down'
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `${name} is ${status}: only machines that are up or down are backed up`,
      {
        detail,
        hint,
      },
    )
  }
  if (vm.hasIllegalImages) {
    throw new GranaryError('GRANARY_UNSUPPORTED', `${name} has illegal images`, {
      detail,
      hint: 'a snapshot or its removal has failed: mend that in the engine first',
    })
  }
  return vm
}
