/** Programs that speak NBD, started for one test and ended with it. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** What a test must offer: tap's `t`. */
export interface Teardown {
  teardown: (clean: () => unknown) => void
}

/** A reason to skip when one of the programs is missing. */
export const missing = (...programs: readonly string[]): string | false => {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const absent = programs.filter(program => !folders.some(folder => existsSync(join(folder, program))))
  return absent.length === 0 ? false : `${absent.join(', ')} not installed`
}

/** A short path: a unix socket's may have 107 bytes only. */
export const temporaryFolder = (t: Teardown): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-nbd-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Peer {
  readonly process: ChildProcess
  readonly end: () => Promise<void>
}

/** Starts a program and ends it with the test. */
export const startPeer = (t: Teardown, program: string, args: readonly string[]): Peer => {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let message = ''
  child.stderr.on('data', (text: Buffer) => (message += text.toString()))
  const ended = new Promise<void>(resolve => {
    child.once('close', code => {
      if (code !== 0 && code !== null && message !== '') process.emitWarning(`${program}: ${message}`)
      resolve()
    })
  })
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(end)
  return { process: child, end }
}

/**
 * How QEMU calls what Node makes of an abstract name: the Node 20 line fills it up with zeros (`off`),
 * later ones take it as it is (`on`).
 */
export const abstractTight = async (): Promise<'on' | 'off'> => {
  const name = `granary-nbd-probe-${process.pid}`
  const server = createServer()
  await new Promise<void>(resolve => server.listen(`\0${name}`, resolve))
  const bound = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some(line => line.endsWith(`@${name}`))
  await new Promise(resolve => server.close(resolve))
  return bound ? 'on' : 'off'
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export const run = async (
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: options.timeoutMs ?? 60_000, killSignal: 'SIGKILL' })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    child.once('error', reject)
    child.once('close', code => resolve({ code, stdout, stderr }))
    child.stdin.end(options.input ?? '')
  })

/** Runs a program to its end and expects success. */
export const mustRun = (program: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
  return stdout
}
