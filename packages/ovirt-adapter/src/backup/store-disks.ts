/** The disks of a started backup as inputs of the repository. @module */
import type { DiskInput } from '@granary/dedup-store'
import { isGranaryError } from '@granary/core'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { NotCopiedDisk } from '../machine/machine-record.ts'
import type { ReadLimit } from './bandwidth.ts'
import { openBackupDisk } from './backup-disk.ts'
import { baseOfDisk } from './choose-base.ts'
import type { Base } from './choose-base.ts'
import type { BackupContext } from './settings.ts'
import type { StartedBackup } from './start-backup.ts'
import { TransferSet } from './transfer-set.ts'

export interface StorePlan {
  readonly inputs: readonly DiskInput[]
  readonly transfers: TransferSet
  /** Grows while disks are opened. */
  readonly notCopied: NotCopiedDisk[]
  readonly warnings: string[]
}

export interface StorePlanOptions {
  readonly vm: Vm
  readonly started: StartedBackup | undefined
  readonly inBackup: readonly DiskAttachment[]
  readonly plain: readonly DiskAttachment[]
  readonly names: ReadonlyMap<string, string>
  readonly base: Base | undefined
  readonly limit: ReadLimit | undefined
}

export const planStore = (context: BackupContext, options: StorePlanOptions): StorePlan => {
  const { started, inBackup, plain } = options
  const { engine, journal, settings } = context
  const transfers = new TransferSet({ engine, journal, settings, vmId: options.vm.id, backupId: started?.backup.id })
  const notCopied: NotCopiedDisk[] = []
  const warnings: string[] = []
  const taken = new Set(started?.disks.map(({ id }) => id))
  for (const { disk } of inBackup.filter(({ id }) => !taken.has(id))) {
    notCopied.push({ id: disk.id, alias: disk.alias, reason: 'left out by the engine' })
  }
  const plan = { transfers, notCopied, warnings }
  const inputs = [
    ...inBackup.filter(({ id }) => taken.has(id)).map(disk => backupInput(context, options, plan, disk)),
    ...plain.map(disk => plainInput(context, options, plan, disk)),
  ]
  return { ...plan, inputs }
}

type Notes = Omit<StorePlan, 'inputs'>

const backupInput = (
  context: BackupContext,
  { vm, started, names, base, limit }: StorePlanOptions,
  { transfers, warnings }: Notes,
  attachment: DiskAttachment,
): DiskInput => {
  const { disk } = attachment
  const mode = started?.disks.find(({ id }) => id === disk.id)?.backupMode
  const found = base === undefined ? undefined : baseOfDisk(base, attachment, mode)
  if (found !== undefined && 'warning' in found) warnings.push(found.warning)
  const diskBase =
    found === undefined || base === undefined || 'warning' in found ? undefined : { ...found, snapshot: base.snapshot }
  return {
    name: names.get(disk.id) ?? disk.alias,
    source: sourceOf(vm, attachment),
    base: diskBase?.name ?? null,
    disk: async abort =>
      await openBackupDisk(
        context,
        {
          vmId: vm.id,
          attachment,
          transfers,
          backupId: started?.backup.id,
          base: diskBase,
          limit,
          onWarning: warning => warnings.push(warning),
        },
        abort,
      ),
  }
}

/** A disk that isn't plugged in: read as it is, or left out where the engine doesn't let us. */
const plainInput = (
  context: BackupContext,
  { vm, names, limit }: StorePlanOptions,
  { transfers, notCopied, warnings }: Notes,
  attachment: DiskAttachment,
): DiskInput => {
  const { disk } = attachment
  const open: DiskInput['disk'] = async abort => {
    const onWarning = (warning: string): void => void warnings.push(warning)
    try {
      return await openBackupDisk(context, { vmId: vm.id, attachment, transfers, limit, onWarning }, abort)
    } catch (error) {
      if (!isGranaryError(error) || !['GRANARY_LOCKED', 'GRANARY_PERMISSION'].includes(error.code)) throw error
      notCopied.push({ id: disk.id, alias: disk.alias, reason: 'inactive' })
      warnings.push(`disk ${disk.alias} is not active, and could not be read beside the backup: ${error.message}`)
      return undefined
    }
  }
  return { name: names.get(disk.id) ?? disk.alias, source: sourceOf(vm, attachment), base: null, disk: open }
}

const sourceOf = ({ name }: Vm, { disk }: DiskAttachment): string => `${name}: disk ${disk.alias} (${disk.id})`
