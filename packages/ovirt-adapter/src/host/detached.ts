/**
 * Programs that nobody's end ends: what is half done on a host must come to its end, even when we are killed. They run in a
 * process group of their own, with their output in files instead of pipes, and hold a lock that the next start waits for.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '@granary/core'
import { runProgram } from './run-program.ts'
import type { ProgramCommand, ProgramResult } from './run-program.ts'

/** Longer than the guest agent may take to freeze and to thaw, and libvirt to get at the domain. */
const LONGEST_MS = 180_000

const lockOf = (folder: string): string => join(folder, 'begin.lock')

/**
 * Runs a program to its end; there is no way to stop it.
 *
 * @param folder of ours, where its output and its lock are kept
 */
export const runDetached = async (command: ProgramCommand, folder: string): Promise<ProgramResult> => {
  const [outPath, errorPath] = [join(folder, 'begin.out'), join(folder, 'begin.err')]
  await using out = await open(outPath, 'w')
  await using error = await open(errorPath, 'w')
  const child = spawn('flock', [lockOf(folder), ...command], { detached: true, stdio: ['ignore', out.fd, error.fd] })
  const timer = setTimeout(() => child.kill('SIGTERM'), LONGEST_MS)
  try {
    const [code] = (await once(child, 'exit')) as [number | null]
    return { code: code ?? -1, stdout: await readFile(outPath, 'utf8'), stderr: await readFile(errorPath, 'utf8') }
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a program that a killed run left running. */
export const awaitDetached = async (folder: string, { signal }: AbortOptions = {}): Promise<void> => {
  if (existsSync(lockOf(folder))) await runProgram(['flock', lockOf(folder), 'true'], { timeoutMs: LONGEST_MS, signal })
}
