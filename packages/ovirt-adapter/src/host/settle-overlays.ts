/**
 * The end of overlays: committed back into their bases, and deleted once that is proven. When it cannot be proven, nothing is
 * deleted and the operator decides: an overlay may hold the only copy of what the guest wrote last.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { OverlayDisk, OverlayIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import { hasToken, removeToken } from './live-token.ts'
import { removeScratchFolder } from './scratch.ts'

/**
 * Commits and deletes what the intent left, in whatever state it is.
 *
 * @throws GranaryError `GRANARY_REMOTE` when an overlay is not proven committed; `detail` names it and its base
 */
export const settleOverlays = async (libvirt: Libvirt, intent: OverlayIntent): Promise<void> => {
  const left = intent.disks.filter(disk => existsSync(disk.overlay))
  const isSameRun = await hasToken(libvirt, intent.domain, intent.token)
  if (!isSameRun && left.length > 0) throw undecided(intent, left, await libvirt.state(intent.domain))
  for (const disk of left) {
    if ((await pathOf(libvirt, intent.domain, disk.target)) === disk.overlay) await commit(libvirt, intent, disk)
    // Seen in the run that was given the overlay: it was committed, or never used.
    if ((await pathOf(libvirt, intent.domain, disk.target)) !== disk.base) throw undecided(intent, [disk], 'running')
    await rm(disk.overlay)
  }
  if (isSameRun) await removeToken(libvirt, intent.domain)
  await removeScratchFolder(intent.folder)
}

/** Where the guest writes to now. */
const pathOf = async (libvirt: Libvirt, domain: string, target: string): Promise<string | undefined> =>
  (await libvirt.domain(domain)).disks.find(disk => disk.target === target)?.path

const commit = async (libvirt: Libvirt, { domain }: OverlayIntent, { target }: OverlayDisk): Promise<void> => {
  if ((await libvirt.run(['blockjob', domain, target, '--info', '--raw'])).includes('Active Block Commit')) {
    // A commit that was begun before us: one that is not ready yet cannot be pivoted, so it is begun anew.
    await libvirt.run(['blockjob', domain, target, '--abort'])
  }
  await libvirt.run(['blockcommit', domain, target, '--active', '--pivot', '--wait'], { timeoutMs: 0 })
}

const undecided = (intent: OverlayIntent, disks: readonly OverlayDisk[], state: string): GranaryError => {
  const commands = disks.map(({ base, overlay }) => `qemu-img commit -d ${overlay} (into ${base})`)
  return new GranaryError(
    'GRANARY_REMOTE',
    `the VM ${intent.domain} was stopped, moved or started again before its overlays were committed (it is ${state} here). Nothing was deleted: ${disks
      .map(({ target, overlay, base }) => `${target}: what the guest wrote last is in ${overlay}, over ${base}`)
      .join('; ')}`,
    {
      detail: {
        domain: intent.domain,
        state,
        overlays: disks.map(disk => disk.overlay).join(', '),
        bases: disks.map(disk => disk.base).join(', '),
      },
      hint: `if the VM has not written to its base since, stop it and run: ${commands.join('; ')}. If it has, the overlay no longer fits: keep it for its files (granary ls qcow2:OVERLAY) and delete it after. Then: granary ovirt clean`,
    },
  )
}
