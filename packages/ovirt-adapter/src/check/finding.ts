/** What a check found. @module */
import { isGranaryError } from '@granary/core'

export interface Finding {
  /** Short and stable: `engine`, `storage nfs-data`. */
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped'
  readonly text: string
  /** What to do about it. */
  readonly hint?: string
  /** Facts for programs. */
  readonly detail?: Readonly<Record<string, unknown>>
}

/** A failure as a finding; what is no failure of the platform is thrown on. */
export const findingOf = (name: string, error: unknown, hint?: string): Finding => {
  if (!isGranaryError(error)) throw error
  const advice = error.hint ?? hint
  return { name, status: 'failed', text: error.message, ...(advice === undefined ? {} : { hint: advice }) }
}
