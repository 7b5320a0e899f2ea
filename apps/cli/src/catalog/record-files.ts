/** Lists the files of a snapshot into its catalog. @module */
import { formatBytes, isGranaryError } from '@granary/core'
import type { RecordCatalogOptions } from '@granary/catalog'
import type { Repository } from '@granary/dedup-store'
import type { OptionRow } from '../command.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { shortId } from '../snapshot-output.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const FILE_LIST_OPTION: OptionRow = {
  flags: '--file-list',
  description: 'list the files afterwards, for granary find; a failure there is only a warning',
}

/** A backup waits for its list of files no longer than this; `granary catalog add` as long as it takes. */
const BACKUP_TIMEOUT_MS = 30 * 60_000

/** Shows warnings as notices: what a guest's disk is like is no fault of the command. */
export const recordFiles = async (
  terminal: Terminal,
  repository: Repository,
  snapshot: string,
  options: RecordCatalogOptions,
): Promise<void> => {
  const { recordCatalog } = await import('@granary/catalog')
  const progress = startProgress(terminal)
  const started = performance.now()
  const recorded = await recordCatalog(repository, snapshot, {
    ...options,
    onProgress: ({ volume, rows }) => progress.show({ what: `${rows} files, volume ${volume}`, doneBytes: 0 }),
  }).finally(() => progress.end())
  const { rows, warnings, kept, storedBytes } = recorded
  for (const { volume, where, message } of kept)
    terminal.notice(`${volume === undefined ? '' : `volume ${volume}, `}${where}: ${message}`, { snapshot })
  if (warnings > kept.length) terminal.notice(`${warnings - kept.length} more warnings`, { snapshot })
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3))
  terminal.emit({ type: 'catalog', v: 1, snapshot, files: rows, warnings, storedBytes, seconds })
  terminal.say(`${rows} files of ${shortId(snapshot)} listed: ${formatBytes(storedBytes)} stored`)
}

/** After a backup: whatever fails is said, and the backup stays what it is. */
export const recordFilesAfterBackup = async (
  terminal: Terminal,
  repository: Repository,
  snapshot: string,
  signal: AbortSignal,
): Promise<void> => {
  try {
    await recordFiles(terminal, repository, snapshot, { timeoutMs: BACKUP_TIMEOUT_MS, signal })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    terminal.notice(
      `the backup is whole, but its files were not listed: ${message}; later: granary catalog add ${shortId(snapshot)}`,
      { snapshot, ...(isGranaryError(error) ? { code: error.code } : {}) },
    )
  }
}
