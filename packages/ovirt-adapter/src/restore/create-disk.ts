/** Step 4, first half: a floating disk. Its id is chosen by us, so that a lost answer can be looked up. @module */
import { randomUUID } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Json } from '../engine/json.ts'
import { addDisk, findDisk, listDisks, removeDisk } from '../engine/resources/disks.ts'
import type { Disk } from '../engine/resources/disks.ts'
import { waitFor } from '../engine/wait-for.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import type { RestoreContext } from './context.ts'
import type { PlannedDisk } from './plan.ts'
import type { RestoreState } from './restore-state.ts'

/** Preallocating on slow storage takes long. */
const LEAST_CREATION_MS = 600_000

/**
 * The disk, made where it isn't there (any more): a failed upload takes its disk along.
 *
 * @returns its id; it is `ok`, or locked by its own transfer
 */
export const ensureDisk = async (
  context: RestoreContext,
  state: RestoreState,
  index: number,
  { signal }: AbortOptions,
): Promise<string> => {
  const { engine } = context
  const known = state.disk(index)
  const there = known.id === undefined ? undefined : await findOurs(context, state, index, { signal })
  if (there !== undefined && there.status !== 'illegal') return there.id
  if (there !== undefined) await removeDisk(engine, there.id, { conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
  const disk = await createDisk(context, state, index, { signal })
  await waitFor(async () => await findDisk(engine, disk.id, { signal }), {
    clock: engine.clock,
    timeoutMs: Math.max(LEAST_CREATION_MS, context.settings.uploadStallMs),
    what: `disk "${disk.alias}" is made`,
    isDone: found => checkMade(found, disk.alias).status === 'ok',
    describe: found => found?.status ?? 'gone',
    signal,
  })
  await state.learnDisk(index, { created: true })
  return disk.id
}

const checkMade = (disk: Disk | undefined, alias: string): Disk => {
  if (disk !== undefined && disk.status !== 'illegal') return disk
  throw new GranaryError('GRANARY_REMOTE', `disk "${alias}" could not be made: it is ${disk?.status ?? 'gone'}`, {
    detail: { disk: alias },
    hint: "the engine's events say why",
  })
}

const findOurs = async (
  { engine }: RestoreContext,
  state: RestoreState,
  index: number,
  options: AbortOptions,
): Promise<Disk | undefined> => {
  const { id } = state.disk(index)
  const byId = id === undefined ? undefined : await findDisk(engine, id, options)
  if (byId !== undefined) return byId
  // An engine that does not take the id we asked for made one of its own: our mark tells.
  const alias = state.plan.disks[index]?.alias ?? ''
  const search = `alias=${/^[\w.-]+$/.test(alias) ? alias : `"${alias.replaceAll('"', '')}"`}`
  const marked = (await listDisks(engine, { ...options, search })).find(
    disk => disk.description === diskMark(state, index),
  )
  if (marked !== undefined && marked.id !== id) await state.learnDisk(index, { id: marked.id })
  return marked
}

export const diskMark = ({ mark }: RestoreState, index: number): string => `${mark} disk ${index}`

const createDisk = async (
  context: RestoreContext,
  state: RestoreState,
  index: number,
  { signal }: AbortOptions,
): Promise<Disk> => {
  const id = randomUUID()
  await state.learnDisk(index, { id, created: false, transfer: '', watermark: 0, finalizing: false })
  const planned = state.plan.disks[index] as PlannedDisk
  const find = async (): Promise<Json | undefined> => (await findOurs(context, state, index, { signal }))?.json
  const body = bodyOf(planned, { id, description: diskMark(state, index) })
  const disk = await addDisk(context.engine, body, { find, conflictTimeoutMs: 0, signal }).catch((error: unknown) => {
    throw explain(error, planned)
  })
  if (disk.id !== id) await state.learnDisk(index, { id: disk.id })
  return disk
}

const bodyOf = (
  disk: PlannedDisk,
  { id, description }: { readonly id: string; readonly description: string },
): Json => ({
  id,
  alias: disk.alias,
  description,
  provisioned_size: disk.sizeBytes,
  ...(disk.initialBytes === undefined ? {} : { initial_size: disk.initialBytes }),
  format: disk.format,
  sparse: disk.isSparse,
  backup: disk.isIncremental ? 'incremental' : 'none',
  wipe_after_delete: disk.wipesAfterDelete,
  propagate_errors: disk.propagatesErrors,
  storage_domains: { storage_domain: [{ id: disk.storageDomain.id }] },
  ...(disk.diskProfile === undefined ? {} : { disk_profile: { id: disk.diskProfile.id } }),
  ...(disk.quota === undefined ? {} : { quota: { id: disk.quota.id } }),
})

/** 409 is the engine's for "no space" and "over quota", too. */
const explain = (error: unknown, { alias, storageDomain }: PlannedDisk): unknown => {
  if (!isGranaryError(error) || error.detail['status'] !== 409) return error
  return new GranaryError(
    'GRANARY_NO_SPACE',
    `disk "${alias}" could not be made on "${storageDomain.name}": ${error.message}`,
    {
      detail: { ...error.detail, disk: alias, storageDomain: storageDomain.name },
      cause: error,
      hint: 'make space, raise the quota, or name another domain with --storage-domain or --map',
    },
  )
}
