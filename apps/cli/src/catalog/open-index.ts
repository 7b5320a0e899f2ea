/** Opens the index of catalogs, and brings it up to the repository. @module */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import { CatalogIndex } from '@granary/catalog'
import type { Repository } from '@granary/dedup-store'
import { textOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'
import { shortId } from '../snapshot-output.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const INDEX_OPTION: OptionRow = {
  flags: '--index <FILE>',
  description: 'where the search index is kept (default: in ~/.cache/granary, GRANARY_INDEX)',
  values: 'file',
}

/** It is the caller's to close. */
export const openCatalogIndex = async (invocation: Invocation, repository: Repository): Promise<CatalogIndex> => {
  const path = pathOf(invocation, repository)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw fromSystemError(error, `making ${dirname(path)}`)
  })
  const index = await CatalogIndex.open(path)
  const progress = startProgress(invocation.terminal)
  try {
    const { failed } = await index.sync(repository, {
      signal: invocation.signal,
      onCatalog: ({ snapshot, done, total }) =>
        progress.show({ what: `loading the files of ${shortId(snapshot)}`, doneBytes: done, totalBytes: total }),
    })
    for (const { snapshot, error } of failed)
      invocation.terminal.warn(
        `the list of files of ${shortId(snapshot)} can't be read: ${error.message}; granary catalog add ${shortId(snapshot)} makes it anew`,
        { snapshot, code: error.code },
      )
    return index
  } catch (error) {
    await index[Symbol.asyncDispose]()
    throw error
  } finally {
    progress.end()
  }
}

const pathOf = (invocation: Invocation, { config }: Repository): string => {
  const { env } = invocation.terminal.streams
  const given = textOption(invocation, 'index') ?? env['GRANARY_INDEX']
  if (given !== undefined) return given
  const home = env['HOME']
  const cache = env['XDG_CACHE_HOME'] ?? (home === undefined ? undefined : join(home, '.cache'))
  if (cache === undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'there is no home folder to keep the index in', {
      hint: 'name a file with --index or GRANARY_INDEX',
    })
  return join(cache, 'granary', `${config.id}.catalog`)
}
