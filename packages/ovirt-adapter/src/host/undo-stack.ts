/** Steps taken, to be undone in reverse. @module */

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
 */
export const buildOrUndo = async <Result>(build: (stack: UndoStack) => Promise<Result>): Promise<Result> => {
  const stack = undoStack()
  try {
    return await build(stack)
  } catch (error) {
    await stack.undo().catch(() => undefined) // What failed first is what matters; the journal keeps what could not be undone.
    throw error
  }
}
