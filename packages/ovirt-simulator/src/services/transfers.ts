/** `/imagetransfers` (CONTRACT §5). @module */
import { doneJob } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import { planTransfer } from '../engine/transfer-plan.ts'
import type { Transfers } from '../engine/transfers.ts'
import { created, done, entityOf, listOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import { API_PATH } from '../model/schema.ts'
import type { Attributes } from '../model/schema.ts'
import type { Transfer } from '../model/state.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { links } from '../project/links.ts'

const ACTIONS = ['finalize', 'cancel', 'pause', 'resume', 'extend'] as const

export const transferRoutes = (world: World, transfers: Transfers): Route[] => {
  const show = async (transfer: Transfer): Promise<Attributes> => await showTransfer(transfers, transfer)
  return [
    {
      method: 'GET',
      path: 'imagetransfers',
      async run() {
        const list: Attributes[] = []
        for (const transfer of world.transfers.values()) list.push(await show(transfer))
        return listOf('ImageTransfer', list)
      },
    },
    {
      method: 'GET',
      path: 'imagetransfers/:transfer',
      run: async ({ ids }) => entityOf('ImageTransfer', await show(found(world.transfers, ids['transfer']))),
    },
    {
      method: 'POST',
      path: 'imagetransfers',
      body: 'ImageTransfer',
      async run(call) {
        const transfer = planTransfer(world, call)
        if (transfer.backupId === undefined) world.disks.get(transfer.diskId)?.locks.add(`transfer ${transfer.id}`)
        transfers.begin(transfer)
        return created('ImageTransfer', await show(transfer))
      },
    },
    ...ACTIONS.map((action): Route => ({
      method: 'POST',
      path: `imagetransfers/:transfer/${action}`,
      body: 'Action',
      run: call => act(world, transfers, action, call),
    })),
  ]
}

/** Finalize, cancel and extend of a transfer that does not exist are answered as if all were well. */
const act = (world: World, transfers: Transfers, action: (typeof ACTIONS)[number], { ids, user }: Call): Answer => {
  requirePermit(world, user, 'CREATE_DISK')
  const transfer = world.transfers.get(String(ids['transfer']).toLowerCase())
  if (action === 'pause') transfers.pause(transfer ?? found(world.transfers, ids['transfer']))
  else if (action === 'resume') transfers.resume(transfer ?? found(world.transfers, ids['transfer']))
  else if (transfer !== undefined && action !== 'extend')
    transfers.request(transfer, action === 'finalize' ? 'finalizing_success' : 'cancelled_user')
  return done(doneJob(world, `Image transfer: ${action}`))
}

const showTransfer = async (transfers: Transfers, transfer: Transfer): Promise<Attributes> => {
  const href = `${API_PATH}/imagetransfers/${transfer.id}`
  const urls = await transfers.urlsOf(transfer)
  return {
    active: transfer.isActive,
    direction: transfer.direction,
    format: transfer.format,
    ...(transfer.hostId !== undefined && { host: { id: transfer.hostId } }),
    // The disk is called image here, and the backup is not told.
    image: { id: transfer.diskId },
    inactivity_timeout: transfer.inactivityTimeoutS,
    phase: transfer.phase,
    ...(urls !== undefined && { proxy_url: urls.proxyUrl, transfer_url: urls.transferUrl }),
    shallow: transfer.isShallow,
    timeout_policy: transfer.timeoutPolicy,
    ...(transfer.transferredBytes !== undefined && { transferred: transfer.transferredBytes }),
    actions: links(href, ...ACTIONS),
    id: transfer.id,
    href,
  }
}
