/**
 * The end of overlays: committed back into their bases, and deleted once that is proven. When it cannot be proven, nothing is
 * deleted and the operator decides: an overlay may hold the only copy of what the guest wrote last.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GranaryError, isGranaryError } from '@granary/core'
import type { OverlayDisk, OverlayIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import { hasToken, removeToken } from './live-token.ts'
import { isInBase } from './overlay-content.ts'
import { removeScratchFolder } from './scratch.ts'

/**
 * Commits and deletes what the intent left, in whatever state it is.
 *
 * @throws GranaryError `GRANARY_REMOTE` when an overlay is not proven committed; `detail` names it and its base
 */
export const settleOverlays = async (libvirt: Libvirt, intent: OverlayIntent): Promise<void> => {
  await expectScratch(intent)
  const left = intent.disks.filter(disk => existsSync(disk.overlay))
  if (await hasToken(libvirt, intent.domain, intent.token)) await settleInRun(libvirt, intent, left)
  else await settleAfterRun(libvirt, intent, left)
  await removeScratchFolder(intent.folder)
}

/** What would be thrown if it were settled now, without changing anything. */
export const lookAtOverlays = async (libvirt: Libvirt, intent: OverlayIntent): Promise<void> => {
  await expectScratch(intent)
  if (await hasToken(libvirt, intent.domain, intent.token)) return
  await listProven(
    libvirt,
    intent,
    intent.disks.filter(disk => existsSync(disk.overlay)),
  )
}

/** The run that was given the overlays goes on: they are committed live. */
const settleInRun = async (libvirt: Libvirt, intent: OverlayIntent, left: readonly OverlayDisk[]): Promise<void> => {
  const { domain, token } = intent
  for (const disk of left) {
    await commit(libvirt, intent, disk)
    // Only together they are the proof: the guest writes to its base, and it is the run that was given the overlay. So it was
    // committed, or never used. The run is asked for last: a VM that was started again from its base has lost the mark.
    const path = await pathOf(libvirt, domain, disk.target)
    if (!(await hasToken(libvirt, domain, token))) return await settleAfterRun(libvirt, intent, left)
    if (path !== disk.base) throw uncommitted(intent, disk, `the VM writes to ${path ?? 'no file'}`)
    await rm(disk.overlay)
  }
  await removeToken(libvirt, domain)
}

/** Nobody writes to the overlays any more: they go if an operator has committed them. */
const settleAfterRun = async (libvirt: Libvirt, intent: OverlayIntent, left: readonly OverlayDisk[]): Promise<void> => {
  for (const disk of await listProven(libvirt, intent, left)) await rm(disk.overlay, { force: true })
}

/** @returns all of `left` when every one stands in its base. @throws GranaryError `GRANARY_REMOTE` when one does not */
const listProven = async (
  libvirt: Libvirt,
  intent: OverlayIntent,
  left: readonly OverlayDisk[],
): Promise<readonly OverlayDisk[]> => {
  if (left.length === 0) return left
  const state = await libvirt.state(intent.domain)
  const used = state === 'absent' ? [] : (await libvirt.domain(intent.domain)).disks.map(({ path }) => path)
  const undecided: OverlayDisk[] = []
  for (const disk of left)
    if (!existsSync(disk.overlay)) continue
    else if (used.includes(disk.overlay) || !(await isInBase(disk))) undecided.push(disk)
  if (undecided.length > 0) throw lost(intent, undecided, state)
  return left
}

/** Where the guest writes to now. */
const pathOf = async (libvirt: Libvirt, domain: string, target: string): Promise<string | undefined> =>
  (await libvirt.domain(domain)).disks.find(disk => disk.target === target)?.path

const MOST_ATTEMPTS = 3

/** Commits an overlay that is in use. A commit of a run of ours that was killed may end by itself beside it. */
const commit = async (libvirt: Libvirt, intent: OverlayIntent, disk: OverlayDisk): Promise<void> => {
  const { domain } = intent
  const { target, overlay } = disk
  for (let attempt = 1; (await pathOf(libvirt, domain, target)) === overlay; attempt++) {
    try {
      if ((await libvirt.run(['blockjob', domain, target, '--info', '--raw'])).includes('Active Block Commit')) {
        // One that is not ready yet cannot be pivoted, so it is begun anew.
        await libvirt.run(['blockjob', domain, target, '--abort'])
      }
      await libvirt.run(['blockcommit', domain, target, '--active', '--pivot', '--wait'], { timeoutMs: 0 })
    } catch (error) {
      if (!isGranaryError(error) || error.code !== 'GRANARY_REMOTE') throw error
      if (!(await hasToken(libvirt, domain, intent.token))) return
      if (attempt === MOST_ATTEMPTS) throw uncommitted(intent, disk, error.message)
    }
  }
}

/** A scratch folder that is not mounted looks as if there were no overlays. */
const expectScratch = async ({ domain, folder, scratchInode }: OverlayIntent): Promise<void> => {
  if (existsSync(folder)) return
  const scratch = dirname(folder)
  const found = await stat(scratch).catch(() => undefined)
  if (found?.ino === scratchInode) return
  throw new GranaryError(
    'GRANARY_REMOTE',
    `the scratch folder ${scratch} is not the one that overlays of ${domain} were made in`,
    {
      detail: { domain, folder },
      hint: `mount what was at ${scratch}: what the guest wrote last may be there`,
    },
  )
}

const placesOf = (disks: readonly OverlayDisk[]): string =>
  disks
    .map(({ target, overlay, base }) => `${target}: what the guest wrote last is in ${overlay}, over ${base}`)
    .join('; ')

const detailOf = (domain: string, disks: readonly OverlayDisk[]) => ({
  domain,
  overlays: disks.map(disk => disk.overlay).join(', '),
  bases: disks.map(disk => disk.base).join(', '),
})

const uncommitted = ({ domain }: OverlayIntent, disk: OverlayDisk, words: string): GranaryError =>
  new GranaryError(
    'GRANARY_REMOTE',
    `an overlay of the VM ${domain} could not be committed: ${words}. Nothing was deleted: ${placesOf([disk])}`,
    {
      detail: detailOf(domain, [disk]),
      hint: `keep the VM running, see what is in the way, and run: virsh blockcommit ${domain} ${disk.target} --active --pivot --wait; granary ovirt clean --yes`,
    },
  )

const lost = ({ domain }: OverlayIntent, disks: readonly OverlayDisk[], state: string): GranaryError => {
  const commands = disks.map(({ base, overlay }) => `qemu-img commit -d ${overlay} (into ${base})`)
  return new GranaryError(
    'GRANARY_REMOTE',
    `the VM ${domain} was stopped, moved or started again before its overlays were committed (it is ${state} here). Nothing was deleted: ${placesOf(disks)}`,
    {
      detail: { ...detailOf(domain, disks), state },
      hint: `if the VM has not written to its base since, stop it and run: ${commands.join('; ')}; granary ovirt clean --yes then sees it and deletes the overlay. If it has, the overlay no longer fits: keep it for its files (granary ls qcow2:OVERLAY), delete it after, then: granary ovirt clean --yes`,
    },
  )
}
