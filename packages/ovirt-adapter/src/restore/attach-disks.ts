/** Step 5: the disks are attached in their old order, so that guests find them under their old names. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Json } from '../engine/json.ts'
import { attachDisk, listAttachments } from '../engine/resources/disks.ts'
import { CONFLICT_TIMEOUT_MS } from './context.ts'
import type { RestoreContext } from './context.ts'
import type { PlannedDisk } from './plan.ts'
import type { RestoreState } from './restore-state.ts'

/** What an attachment can do without, in the order it is left out. */
const OPTIONAL = ['uses_scsi_reservation', 'pass_discard', 'read_only'] as const

export const ensureAttached = async (
  context: RestoreContext,
  state: RestoreState,
  vmId: string,
  { signal }: AbortOptions,
): Promise<void> => {
  const { engine } = context
  const attached = new Set((await listAttachments(engine, vmId, { signal })).map(({ id }) => id))
  for (const [index, disk] of state.plan.disks.entries()) {
    const { id = '' } = state.disk(index)
    if (!attached.has(id)) await attach(context, state, { vmId, diskId: id, disk }, { signal })
  }
}

const attach = async (
  { engine }: RestoreContext,
  state: RestoreState,
  { vmId, diskId, disk }: { readonly vmId: string; readonly diskId: string; readonly disk: PlannedDisk },
  { signal }: AbortOptions,
): Promise<void> => {
  const find = async (): Promise<Json | undefined> =>
    (await listAttachments(engine, vmId, { signal })).find(({ id }) => id === diskId)?.json
  let body: Json = { disk: { id: diskId }, ...disk.attachment }
  for (;;) {
    try {
      await attachDisk(engine, vmId, body, { find, conflictTimeoutMs: CONFLICT_TIMEOUT_MS, signal })
      return
    } catch (error) {
      const dropped = OPTIONAL.find(name => name in body)
      if (!isGranaryError(error) || error.detail['status'] !== 400 || dropped === undefined) throw error
      if (body[dropped] === true) await state.leaveOut(`disk "${disk.alias}": ${dropped}: the target does not take it`)
      const { [dropped]: _, ...rest } = body
      body = rest
    }
  }
}
