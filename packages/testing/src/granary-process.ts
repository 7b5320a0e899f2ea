/** The command line as its users run it: a process with arguments, an environment of its own, and streams. @module */
import { spawn } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Bytes } from '@granary/core'
import { projectPath } from './shared-folder.ts'

export interface GranaryOptions {
  /** Variables beside those of the system; none of `GRANARY_…` is inherited. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What standard input gives; a path is read as a file through a pipe; `open` never ends. @default nothing */
  readonly input?: Bytes | { readonly path: string } | 'open'
  /** Who reads standard output: `unread` leaves it to the test, a function gets the pieces. @default it is collected */
  readonly output?: 'unread' | ((bytes: Buffer) => void)
  /** Runs as this user and group. @default as the test */
  readonly userId?: number
}

export interface GranaryResult {
  /** As a shell has it: 128 and the signal's number when a signal ended it. */
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
  /** Standard output as text. */
  readonly text: string
}

export interface GranaryProcess {
  readonly child: ChildProcess
  readonly done: Promise<GranaryResult>
}

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGPIPE: 13,
  SIGTERM: 15,
}

/** Where the command line is, for tests that let a shell start it. */
export const granaryPath = (): string => projectPath('apps', 'cli', 'bin', 'granary.js')

/** What must not reach the command line: settings of its own, and the hooks of the test runner. */
const NOT_INHERITED = /^(GRANARY_|NODE_OPTIONS$|TAP|_TAPJS)/

/** The test's environment without settings of Granary's own. */
export const cleanEnvironment = (added: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !NOT_INHERITED.test(entry[0]),
    ),
  ),
  ...added,
})

/** Starts `granary` and gives back the running process. */
export const startGranary = (parameters: readonly string[], options: GranaryOptions = {}): GranaryProcess => {
  const { env, cwd, input, output, userId } = options
  const stdio: StdioOptions = [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
  // Test runners hook themselves into what is spawned: `env` takes that off again, and becomes the program.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, granaryPath(), ...parameters], {
    stdio,
    // Another user may not write where coverage is gathered.
    env: cleanEnvironment(userId === undefined ? env : { ...env, NODE_V8_COVERAGE: '' }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(userId === undefined ? {} : { uid: userId, gid: userId }),
  })
  return { child, done: finish(child, input, output) }
}

/** Runs `granary` to its end. */
export const runGranary = async (parameters: readonly string[], options: GranaryOptions = {}): Promise<GranaryResult> =>
  await startGranary(parameters, options).done

const finish = async (
  child: ChildProcess,
  input: GranaryOptions['input'],
  output: GranaryOptions['output'],
): Promise<GranaryResult> => {
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on(output === 'unread' ? 'exit' : 'close', (code, signal) =>
      resolve(code ?? 128 + (SIGNAL_NUMBERS[signal as NodeJS.Signals] ?? 0)),
    )
  })
  const [code, stdout, stderr] = await Promise.all([
    ended,
    readOutput(child.stdout as Readable, output),
    collect(child.stderr as Readable),
    child.stdin === null || input === undefined || input === 'open'
      ? undefined
      : pipeline('path' in input ? createReadStream(input.path) : Readable.from([input]), child.stdin).catch(ignore),
  ])
  return { code, stdout, stderr: stderr.toString('utf8'), text: stdout.toString('utf8') }
}

/** A program that ends before it has read everything is no failure of the test's. */
const ignore = (): void => undefined

const readOutput = async (stream: Readable, output: GranaryOptions['output']): Promise<Buffer> => {
  if (output === undefined) return await collect(stream)
  if (output !== 'unread') for await (const chunk of stream) output(chunk as Buffer)
  return Buffer.alloc(0)
}

const collect = async (stream: Readable): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The objects of JSON lines. @throws when a line is none, or an object takes several */
export const parseJsonLines = (text: string): Record<string, unknown>[] => {
  if (text !== '' && !text.endsWith('\n')) throw new Error(`the last line does not end: ${text.slice(-100)}`)
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => {
      const value: unknown = JSON.parse(line)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`no object: ${line}`)
      return value as Record<string, unknown>
    })
}
