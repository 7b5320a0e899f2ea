/** Finds a backup by the id we chose, or on engines that choose their own, by the description that only ours has. @module */
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { findBackup, listBackups } from '../engine/resources/backups.ts'
import type { Backup } from '../engine/resources/backups.ts'

export const findLostBackup = async (
  engine: Engine,
  vmId: string,
  { id, description, signal }: AbortOptions & { readonly id: string; readonly description: string },
): Promise<Backup | undefined> =>
  (await findBackup(engine, vmId, id, { signal })) ??
  // Engines before 4.5 give ids of their own.
  (await listBackups(engine, vmId, { signal })).find(backup => backup.description === description)
