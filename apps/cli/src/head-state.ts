/** A file that remembers the last snapshot of each series, so that the next run notices when it is gone. @module */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Head } from '@granary/dedup-store'

const MAX_BYTES = 16 * 1024 * 1024

/** A head and its series. */
export interface SeenHead extends Head {
  readonly series: string
}

interface HeadState {
  readonly granary: 'heads'
  readonly v: 1
  /** Id of the repository. */
  readonly repository: string
  readonly heads: readonly SeenHead[]
}

/**
 * What was seen of a repository; nothing when there is no such file yet.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the file is something else, or of another repository
 */
export const readHeadState = async (path: string, repository: string): Promise<readonly SeenHead[]> => {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw fromSystemError(error, `reading ${path}`)
  }
  const state = parse(text)
  if (state === undefined) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is no state file of \`granary verify\``, {
      detail: { path },
      hint: 'give a file of its own; it is made when it does not exist',
    })
  }
  if (state.repository !== repository) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} remembers repository ${state.repository}`, {
      detail: { path, expected: state.repository, found: repository },
      hint: 'is this the repository you mean? If it is, give another state file',
    })
  }
  return state.heads
}

const parse = (text: string): HeadState | undefined => {
  if (text.length > MAX_BYTES) return undefined
  try {
    const state = JSON.parse(text) as Partial<HeadState> | null
    const isState = state?.granary === 'heads' && state.v === 1 && typeof state.repository === 'string'
    if (!isState || !Array.isArray(state.heads)) return undefined
    const isHead = (head: Partial<SeenHead>): boolean =>
      /^[0-9a-f]{32}$/.test(head.id ?? '') && /^[0-9a-f]{64}$/.test(head.hash ?? '') && typeof head.series === 'string'
    return (state.heads as Partial<SeenHead>[]).every(isHead) ? (state as HeadState) : undefined
  } catch {
    return undefined
  }
}

/** Replaces the file in one step: a crash leaves the old one or the new one. */
export const writeHeadState = async (path: string, repository: string, heads: readonly SeenHead[]): Promise<void> => {
  const state: HeadState = { granary: 'heads', v: 1, repository, heads }
  const fresh = `${path}.new`
  try {
    await writeFile(fresh, `${JSON.stringify(state, undefined, 2)}\n`, { flush: true })
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true })
    throw fromSystemError(error, `writing ${path}`)
  }
}
