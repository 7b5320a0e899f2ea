/** What a command is: a row for help, completion and man page, and the calls it makes. @module */
import type { Terminal } from './terminal/terminal.ts'

/** One option of a command, as commander writes it. */
export interface OptionRow {
  /** Such as `--repo <REPO>`. */
  readonly flags: string
  readonly description: string
  /** What completion offers after it. */
  readonly values?: readonly string[] | 'file'
  /** May be given several times; the value is a list. */
  readonly isRepeated?: boolean
}

export interface ArgumentRow {
  /** Such as `<DISK...>` or `[REPO]`. */
  readonly name: string
  readonly description: string
}

/** Option values by their camel-cased names, as given; commands check them. */
export interface OptionValues {
  readonly [name: string]: string | boolean | readonly string[] | undefined
}

export interface Invocation {
  readonly arguments: readonly (string | readonly string[] | undefined)[]
  readonly options: OptionValues
  readonly terminal: Terminal
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/** 0, or 3 when the work is done with warnings. */
export type CommandResult = Promise<0 | 3>

export interface Command {
  /** One to three words. */
  readonly name: string
  readonly summary: string
  readonly arguments?: readonly ArgumentRow[]
  readonly options?: readonly OptionRow[]
  /** Shown below the options. */
  readonly examples?: readonly string[]
  /** Works until it is told to end: then Ctrl-C and SIGTERM are its orderly end, and the exit code is its own. */
  readonly isService?: boolean
  run(invocation: Invocation): CommandResult
}

/** An argument that commander has made sure is there. */
export const textArgument = ({ arguments: given }: Invocation, place: number): string => given[place] as string

export const textOption = ({ options }: Pick<Invocation, 'options'>, name: string): string | undefined => {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

export const listOption = ({ options }: Pick<Invocation, 'options'>, name: string): readonly string[] => {
  const value = options[name]
  return Array.isArray(value) ? (value as readonly string[]) : typeof value === 'string' ? [value] : []
}

export const isGiven = ({ options }: Pick<Invocation, 'options'>, name: string): boolean => options[name] === true
