/** What a configuration file says, whichever format it has. @module */

export interface ConfigEntry {
  readonly key: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/** Something wrong in a file, with the line where there is one. Never a value that may be secret. */
export interface ConfigProblem {
  readonly line?: number
  readonly key?: string
  readonly message: string
}
