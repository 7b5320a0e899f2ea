/**
 * Removes checkpoints that no backup will start from: bitmaps pile up and make merges of snapshots fail. Only of machines that
 * are up or down.
 *
 * @module
 */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { listCheckpoints, removeCheckpoint } from '../engine/resources/checkpoints.ts'
import type { Checkpoint } from '../engine/resources/checkpoints.ts'
import { readVm } from '../engine/resources/vms.ts'
import type { Vm } from '../engine/resources/vms.ts'
import { waitFor } from '../engine/wait-for.ts'
import { isPassing } from './vm-state.ts'

export interface PruneOptions extends AbortOptions {
  readonly vmId: string
  readonly isUnwanted: (checkpoint: Checkpoint) => boolean
}

/** How long the engine may take to remove one, and a machine to pass from one state to the next. */
const REMOVAL_TIMEOUT_MS = 600_000

/** Whoever refuses for longer will do so for good. */
const REFUSAL_TIMEOUT_MS = 30_000

/** @returns what was removed, and a warning for each that stays against our wish */
export const pruneCheckpoints = async (
  engine: Engine,
  { vmId, isUnwanted, signal }: PruneOptions,
): Promise<{ removed: readonly string[]; warnings: readonly string[] }> => {
  const removed: string[] = []
  const unwanted = (await listCheckpoints(engine, vmId, { signal })).filter(isUnwanted)
  for (const { id } of unwanted) {
    const { name, status } = await readSteady(engine, vmId, { signal })
    if (status !== 'up' && status !== 'down') {
      return { removed, warnings: [`checkpoints are left for the next backup, since ${name} is ${status}`] }
    }
    try {
      await removeOne(engine, vmId, id, { signal })
      removed.push(id)
    } catch (error) {
      signal?.throwIfAborted()
      if (!isGranaryError(error)) throw error
      // Before 4.4.7 engines remove the oldest only, and of running machines only: that comes with the next full backup.
      if (error.code === 'GRANARY_LOCKED') return { removed, warnings: [] }
      return { removed, warnings: [`checkpoint ${id} is left for the next backup: ${error.message}`] }
    }
  }
  return { removed, warnings: [] }
}

/** A migration passes. @throws GranaryError `GRANARY_TIMEOUT` when it doesn't */
const readSteady = async (engine: Engine, vmId: string, { signal }: AbortOptions): Promise<Vm> =>
  await waitFor(async () => await readVm(engine, vmId, { signal }), {
    clock: engine.clock,
    timeoutMs: REMOVAL_TIMEOUT_MS,
    what: 'the machine is up or down',
    isDone: ({ status }) => !isPassing(status),
    describe: ({ name, status }) => `${name}: ${status}`,
    signal,
  })

const removeOne = async (engine: Engine, vmId: string, id: string, { signal }: AbortOptions): Promise<void> => {
  await removeCheckpoint(engine, vmId, id, { conflictTimeoutMs: REFUSAL_TIMEOUT_MS, signal })
  await waitFor(
    async () => (await listCheckpoints(engine, vmId, { signal })).some(checkpoint => checkpoint.id === id),
    {
      clock: engine.clock,
      timeoutMs: REMOVAL_TIMEOUT_MS,
      what: `checkpoint ${id} is removed`,
      isDone: isThere => !isThere,
      signal,
    },
  )
}
