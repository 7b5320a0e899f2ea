/** Opens one disk of a machine for the repository: through transfers that may be replaced, and only what changed where that is known. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import { openDisk } from '@granary/dedup-store'
import type { Engine } from '../engine/engine.ts'
import { findBackup } from '../engine/resources/backups.ts'
import type { DiskAttachment } from '../engine/resources/disks.ts'
import type { ReadLimit } from './bandwidth.ts'
import { limitReads } from './bandwidth.ts'
import { changesOnly } from './changes-only.ts'
import type { Base, DiskBase } from './choose-base.ts'
import type { BackupContext } from './settings.ts'
import { TransferDisk } from './transfer-disk.ts'
import type { Passage } from './transfer-disk.ts'
import type { TransferSet } from './transfer-set.ts'

/** One may be lost. */
const KEEP_ALIVES_PER_TIMEOUT = 3

export interface BackupDiskOptions {
  readonly vmId: string
  readonly attachment: DiskAttachment
  readonly transfers: TransferSet
  /** Undefined: the disk is read as it is. */
  readonly backupId?: string | undefined
  /** Undefined: all of it is read. */
  readonly base?: (DiskBase & Pick<Base, 'snapshot'>) | undefined
  readonly limit?: ReadLimit | undefined
  readonly onWarning: (warning: string) => void
}

/** @throws what the engine and imageio do; `GRANARY_REMOTE` when the engine's backup ended meanwhile */
export const openBackupDisk = async (
  context: BackupContext,
  options: BackupDiskOptions,
  abort: AbortOptions,
): Promise<DiskReader> => {
  const { base, attachment, onWarning } = options
  if (base !== undefined) {
    try {
      return await openChanges(context, { ...options, base }, abort)
    } catch (error) {
      if (!isGranaryError(error) || error.code !== 'GRANARY_UNSUPPORTED') throw error
      onWarning(`disk ${attachment.disk.alias} is read in full: its host can't tell what changed`)
    }
  }
  return await openTransferDisk(context, options, { ...abort, isDirty: false })
}

const openChanges = async (
  context: BackupContext,
  options: BackupDiskOptions & { readonly base: NonNullable<BackupDiskOptions['base']> },
  abort: AbortOptions,
): Promise<DiskReader> => {
  const { snapshot, name } = options.base
  const source = await openTransferDisk(context, options, { ...abort, isDirty: true })
  try {
    return changesOnly(source, await openDisk(context.repository, snapshot.id, { disk: name, ...abort }))
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
}

const openTransferDisk = async (
  context: BackupContext,
  { vmId, attachment, transfers, backupId, limit }: BackupDiskOptions,
  { isDirty, signal }: AbortOptions & { readonly isDirty: boolean },
): Promise<DiskReader> => {
  const { engine, openImage, settings } = context
  const open = async (abort: AbortOptions): Promise<Passage> => {
    const opened = await transfers.open(attachment.id, { isPlain: backupId === undefined, ...abort })
    try {
      const { transferUrl, proxyUrl } = opened.transfer
      const image = await openImage({
        transferUrl,
        proxyUrl,
        ca: await engine.imageioCa(abort),
        proxyCa: await engine.proxyCa(abort),
        isDirty,
        connections: settings.limits.connectionsPerTransfer,
        stallTimeoutMs: settings.downloadStallMs,
        keepAliveMs: (settings.transferInactivitySeconds * 1000) / KEEP_ALIVES_PER_TIMEOUT,
        ...abort,
      })
      let isClosed = false
      return {
        image,
        async close() {
          if (isClosed) return
          isClosed = true
          await image[Symbol.asyncDispose]()
          await transfers.release(opened)
        },
      }
    } catch (error) {
      await transfers.release(opened)
      throw error
    }
  }
  const checkAlive = async (abort: AbortOptions): Promise<void> => {
    if (backupId !== undefined) await requireReady(engine, { vmId, backupId, ...abort })
  }
  const { sizeBytes } = attachment.disk
  const disk = await TransferDisk.open({ sizeBytes, clock: engine.clock, open, checkAlive }, { signal })
  return limit === undefined ? disk : limitReads(disk, limit)
}

/**
 * What was read counts only while the engine's backup is alive.
 *
 * @throws GranaryError `GRANARY_REMOTE` when it isn't `ready` any more
 */
export const requireReady = async (
  engine: Engine,
  { vmId, backupId, signal }: AbortOptions & { readonly vmId: string; readonly backupId: string },
): Promise<void> => {
  const backup = await findBackup(engine, vmId, backupId, { signal })
  if (backup?.phase === 'ready') return
  const phase = backup?.phase ?? 'gone'
  throw new GranaryError('GRANARY_REMOTE', `the engine's backup is ${phase} although its disks are being read`, {
    detail: { vm: vmId, backup: backupId, phase },
    hint: "see the engine's events of this machine: it was stopped, or its host or storage failed. The next backup tries again",
  })
}
