/** Steps taken, to be undone in reverse. @module */
import { GranaryError, isGranaryError } from '@granary/core'

export interface UndoStack {
  /** Adds a step: what undoes it runs before whatever was added earlier. */
  defer(undo: () => Promise<void>): void
  /** Undoes everything, whatever fails on the way, once. @throws the first failure, after all were tried */
  readonly undo: () => Promise<void>
}

export const undoStack = (): UndoStack => {
  const steps: (() => Promise<void>)[] = []
  return {
    defer: step => void steps.push(step),
    async undo() {
      const failures: unknown[] = []
      for (let step = steps.pop(); step !== undefined; step = steps.pop())
        await step().catch((error: unknown) => failures.push(error))
      if (failures.length > 0) throw failures[0]
    },
  }
}

/**
 * Builds something step by step: what was done is undone when a later step fails.
 *
 * @returns what `build` gives; it owns the stack from then on
 * @throws GranaryError what failed first, and what was left behind because undoing failed, too
 */
export const buildOrUndo = async <Result>(build: (stack: UndoStack) => Promise<Result>): Promise<Result> => {
  const stack = undoStack()
  try {
    return await build(stack)
  } catch (error) {
    throw await undoAfter(error, stack.undo)
  }
}

/**
 * Undoes what was begun because of `failure`.
 *
 * @returns the failure, which says as well what could not be undone: the operator must hear of it now, not at the next start
 */
export const undoAfter = async (failure: unknown, undo: () => PromiseLike<void>): Promise<unknown> => {
  try {
    await undo()
    return failure
  } catch (left) {
    // A reason to abort stays what it is: callers compare it. The journal keeps what is left, and the next start tells of it.
    if (!isGranaryError(failure) || !isGranaryError(left)) return failure
    const { code, detail, hint, retryable } = failure
    const advice = left.hint ?? hint
    return new GranaryError(code, `${failure.message}. ${left.message}`, {
      detail: { ...detail, ...left.detail },
      cause: failure,
      retryable,
      ...(advice === undefined ? {} : { hint: advice }),
    })
  }
}
