/** Which disks of a machine go into the copy, how, and why the others don't. @module */
import { GranaryError } from '@granary/core'
import type { Disk, DiskAttachment } from '../engine/resources/disks.ts'
import type { NotCopiedDisk } from '../machine/machine-record.ts'

export interface ChosenDisks {
  /** For the engine's backup. */
  readonly inBackup: readonly DiskAttachment[]
  /** Read by plain transfers, since the engine's backup takes active disks only. */
  readonly plain: readonly DiskAttachment[]
  readonly notCopied: readonly NotCopiedDisk[]
}

/** @param exclude aliases or ids */
export const chooseDisks = (attachments: readonly DiskAttachment[], exclude: readonly string[]): ChosenDisks => {
  const inBackup: DiskAttachment[] = []
  const plain: DiskAttachment[] = []
  const notCopied: NotCopiedDisk[] = []
  const excluded = new Set(exclude)
  for (const attachment of attachments) {
    const { disk } = attachment
    const reason = excluded.has(disk.id) || excluded.has(disk.alias) ? 'excluded' : obstacleOf(disk)
    if (reason !== undefined) notCopied.push({ id: disk.id, alias: disk.alias, reason })
    else if (attachment.isActive) inBackup.push(attachment)
    else plain.push(attachment)
  }
  return { inBackup, plain, notCopied }
}

const obstacleOf = ({ storageType, contentType, isShareable }: Disk): string | undefined => {
  if (storageType !== 'image') return storageType
  if (contentType !== 'data') return contentType
  return isShareable ? 'shareable' : undefined
}

/** @throws GranaryError `GRANARY_UNSUPPORTED` when a disk that wasn't excluded is not in the copy */
export const requireAll = (vm: string, notCopied: readonly NotCopiedDisk[]): void => {
  const missing = notCopied.filter(({ reason }) => reason !== 'excluded')
  if (missing.length === 0) return
  const list = missing.map(({ alias, reason }) => `${alias} (${reason})`).join(', ')
  throw new GranaryError('GRANARY_UNSUPPORTED', `${vm}: not all disks can be in the copy: ${list}`, {
    detail: { vm, disks: list },
    hint: 'leave out --require-all-disks to copy the others, or exclude these by name',
  })
}

/** A name for each disk that a snapshot can have: its alias, made unique and free of "/". */
export const nameDisks = (disks: readonly Disk[]): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  const plainName = ({ alias }: Disk): string => alias.trim().replaceAll('/', '_').slice(0, 150)
  for (const disk of disks) {
    const name = plainName(disk)
    const isUnique = name !== '' && disks.every(other => other === disk || plainName(other) !== name)
    names.set(disk.id, isUnique ? name : `${name === '' ? 'disk' : name}-${disk.id.slice(0, 8)}`)
  }
  return names
}
