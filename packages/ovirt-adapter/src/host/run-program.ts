/** Runs a program of this machine to its end. @module */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'

/** A program and what comes before our own parameters, such as `['ssh', 'host', 'virsh']`. */
export type ProgramCommand = readonly [string, ...string[]]

export interface ProgramResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunProgramOptions extends AbortOptions {
  readonly input?: string
  /** 0: as long as it takes. @default 60000 */
  readonly timeoutMs?: number
}

/** More than any answer of libvirt's: the description of a large domain has some 100 KiB. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024

/**
 * Runs a program and gives back what it printed, whatever its exit code.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such program, `GRANARY_TIMEOUT` (retryable) after `timeoutMs`,
 * `GRANARY_LIMIT` when it prints more than 16 MiB
 */
export const runProgram = async (
  [program, ...parameters]: ProgramCommand,
  { input = '', timeoutMs = 60_000, signal }: RunProgramOptions = {},
): Promise<ProgramResult> => {
  signal?.throwIfAborted()
  const limit = new AbortController()
  const ends = [limit.signal, ...(signal === undefined ? [] : [signal])]
  const child = spawn(program, parameters, { signal: AbortSignal.any(ends), killSignal: 'SIGKILL' })
  const timer = timeoutMs === 0 ? undefined : setTimeout(() => limit.abort(timedOut(program, timeoutMs)), timeoutMs)
  try {
    const exit = new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => resolve(code ?? -1))
    })
    child.stdin.once('error', () => undefined) // A program that ends before it has read everything is no failure.
    child.stdin.end(input)
    const collect = async (stream: Readable): Promise<string> => await textOf(stream, program, limit)
    const [code, stdout, stderr] = await Promise.all([exit, collect(child.stdout), collect(child.stderr)])
    return { code, stdout, stderr }
  } catch (error) {
    signal?.throwIfAborted()
    limit.signal.throwIfAborted()
    throw new GranaryError('GRANARY_NOT_FOUND', `${program} could not be started`, {
      detail: { program },
      cause: error,
      hint: `install the package that has ${program}`,
    })
  } finally {
    clearTimeout(timer)
  }
}

const textOf = async (stream: Readable, program: string, limit: AbortController): Promise<string> => {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of stream as AsyncIterable<Buffer>) {
    length += piece.length
    if (length > MAX_OUTPUT_BYTES) limit.abort(new GranaryError('GRANARY_LIMIT', `${program} prints without an end`))
    else pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

const timedOut = (program: string, timeoutMs: number): GranaryError =>
  new GranaryError('GRANARY_TIMEOUT', `${program} did not end within ${timeoutMs / 1000} s`, {
    detail: { program, timeoutMs },
    retryable: true,
  })
