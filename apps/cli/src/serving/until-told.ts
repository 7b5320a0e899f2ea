/** How commands that serve end: when they are told to, with everything closed. @module */
import { once } from 'node:events'

export const aborted = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort')
}

/** The last first: an overlay before its base. Each is closed, whatever becomes of the others. */
export const closeAll = async (opened: readonly AsyncDisposable[]): Promise<void> => {
  const failures: unknown[] = []
  for (const one of opened.toReversed())
    try {
      await one[Symbol.asyncDispose]()
    } catch (error) {
      failures.push(error)
    }
  if (failures.length > 0) throw failures[0]
}
