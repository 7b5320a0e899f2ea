/** A file that could not be taken along. @module */
import { isGranaryError } from '@granary/core'
import type { Invocation } from '../command.ts'
import { displayName } from '../terminal/display-name.ts'

export const warnOfFile = ({ terminal }: Invocation, path: string, error: unknown): void => {
  const known = isGranaryError(error)
  terminal.warn(`${displayName(path)}: ${known ? error.message : String(error)}`, {
    path,
    ...(known ? { code: error.code } : {}),
  })
}
