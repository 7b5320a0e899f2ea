/** Ends what a copy of a running VM began on its host, in this run or in the next one. @module */
import { dirname } from 'node:path'
import type { Clock } from '@granary/dedup-store'
import { endPull } from './end-pull.ts'
import type { OverlayIntent, PullIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import { isScratchFull, removeScratchFolder } from './scratch.ts'
import { settleOverlays } from './settle-overlays.ts'
import { undoStack } from './undo-stack.ts'

/**
 * Thaws the guest, ends the backup job or commits the overlays, and removes the scratch files: each of them whatever becomes
 * of the one before.
 *
 * @throws GranaryError the first failure; then the intent stays in the journal
 */
export const endCopy = async (
  libvirt: Libvirt,
  intent: PullIntent | OverlayIntent,
  { clock, thaw }: { readonly clock: Clock; readonly thaw: () => Promise<void> },
): Promise<void> => {
  const { domain, folder } = intent
  const steps = undoStack()
  steps.defer(async () => {
    if (intent.kind === 'host-overlay') return await settleOverlays(libvirt, intent)
    await endPull(libvirt, intent, clock)
    await removeScratchFolder(folder)
  })
  steps.defer(thaw)
  await resumeStarved(libvirt, { domain, folder }, steps.undo)
}

/**
 * Gives scratch space back. QEMU pauses a guest whose write finds no room for scratch; now that there is room, that write is
 * tried again, and nothing is lost. A guest that is paused for another reason stays as it is.
 */
export const resumeStarved = async (
  libvirt: Libvirt,
  { domain, folder }: Pick<PullIntent, 'domain' | 'folder'>,
  giveBack: () => Promise<void>,
): Promise<void> => {
  const wasFull = await isScratchFull(dirname(folder))
  await giveBack()
  if (wasFull && (await libvirt.isPausedByError(domain))) await libvirt.run(['resume', domain])
}
