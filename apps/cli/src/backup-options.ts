/** What options of backups mean. @module */
import { availableParallelism } from 'node:os'
import { GranaryError } from '@granary/core'

/** More workers than this gain nothing: the storage is the limit by then. */
const MOST_WORKERS = 8

export const parseLabels = (texts: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    texts.map(text => {
      const [, key, value] = /^([^=\s]+)=(.*)$/s.exec(text) ?? []
      if (key !== undefined && value !== undefined) return [key, value]
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `label "${text}": expected KEY=VALUE`)
    }),
  )

export const parseWorkers = (text: string | undefined): number => {
  if (text === undefined) return Math.min(availableParallelism(), MOST_WORKERS)
  const workers = Number(text)
  if (Number.isInteger(workers) && workers >= 0 && workers <= 64) return workers
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--workers ${text}: expected a whole number from 0 to 64`)
}
