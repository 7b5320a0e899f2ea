/** Opens the disks of a guest for reading files in them. @module */
import { GranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import { openVolumes } from '@granary/guestfs'
import type { CodePage, VolumeSet } from '@granary/guestfs'
import { textOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { parseDiskAddress } from '../disks/disk-address.ts'
import { openReader } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'
import type { LazyRepository } from '../lazy-repository.ts'
import { UNLOCK_OPTION, unlockOptions } from './unlock-option.ts'

const CODE_PAGES: readonly CodePage[] = ['cp437', 'cp850', 'cp852', 'cp866', 'cp1251']

export const CODE_PAGE_OPTION: OptionRow = {
  flags: '--code-page <NAME>',
  description: 'of short names on FAT that have no long one (default: cp437)',
  values: CODE_PAGES,
}

export const GUEST_OPTIONS: readonly OptionRow[] = [CODE_PAGE_OPTION, UNLOCK_OPTION, ...IMAGE_OPTIONS]

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const codePageOf = (invocation: Invocation): { readonly codePage?: CodePage } => {
  const name = textOption(invocation, 'codePage')
  const codePage = CODE_PAGES.find(candidate => candidate === name)
  if (name !== undefined && codePage === undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--code-page ${name} is none that is known here`, {
      hint: `choose one of: ${CODE_PAGES.join(', ')}`,
    })
  return codePage === undefined ? {} : { codePage }
}

export interface GuestDisks extends AsyncDisposable {
  readonly set: VolumeSet
}

/** Opens disks, finds their volumes, and closes all at the end. */
export const openGuestDisks = async (invocation: Invocation, names: readonly string[]): Promise<GuestDisks> => {
  const repository = lazyRepository(invocation)
  const opened: AsyncDisposable[] = [repository]
  const close = async (): Promise<void> => {
    for (const open of opened.splice(0).toReversed()) await open[Symbol.asyncDispose]()
  }
  const { signal } = invocation
  const keys = await unlockOptions(invocation)
  codePageOf(invocation) // Wrong for one volume is wrong for all: it is no warning.
  try {
    const disks: DiskReader[] = []
    for (const name of await expand(names, repository, signal)) {
      const { disk } = await openReader(name, {
        terminal: invocation.terminal,
        signal,
        openRepository: repository.open,
        ...imageOptionsOf(invocation),
      })
      opened.push(disk)
      disks.push(disk)
    }
    const set = await openVolumes(disks, { signal, ...keys })
    opened.push(set)
    return { set, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** `granary:ID` is all disks of the snapshot. */
const expand = async (
  names: readonly string[],
  repository: LazyRepository,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const all: string[] = []
  for (const name of names) {
    const address = parseDiskAddress(name)
    if (address.kind !== 'granary' || address.disk !== undefined) {
      all.push(name)
      continue
    }
    const { context } = await repository.open()
    const id = await resolveSnapshotId(context, address.snapshot, { signal })
    const { disks } = await readSnapshot(context, id, { signal })
    all.push(...disks.map(disk => `granary:${id}/${disk.name}`))
  }
  return all
}
