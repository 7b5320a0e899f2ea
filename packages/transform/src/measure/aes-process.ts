/** AES in processes that do nothing else. @module */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { siblingModule } from '@granary/core'
import { measureAesHere } from './aes.ts'
import type { AesFigures } from './aes.ts'
import { median } from './race.ts'

/** One process in ten or twenty keeps its pages by chance, from the start: the median of several is none of these. */
const PROCESSES = 5

export interface MeasureAesOptions {
  /** CPU time of each of the five processes, seconds: a tenth is too short to tell a slow moment from the machine. */
  readonly seconds: number
  /** Node, or what runs JavaScript like it. @default process.execPath */
  readonly program?: string
  readonly signal?: AbortSignal
}

/**
 * Measures AES in processes of its own, one after the other, and gives the medians; in this process where none can be
 * started, as in a program packed into one file.
 *
 * @throws the signal's reason, when it fires
 */
export const measureAes = async (options: MeasureAesOptions): Promise<AesFigures> => {
  try {
    const runs: AesFigures[] = []
    while (runs.length < PROCESSES) runs.push(await measureInOwnProcess(options))
    return {
      aesMegabytesPerSecond: median(runs.map(run => run.aesMegabytesPerSecond)),
      aesPiecesMegabytesPerSecond: median(runs.map(run => run.aesPiecesMegabytesPerSecond)),
      aesInOwnProcess: true,
    }
  } catch {
    options.signal?.throwIfAborted()
    return measureAesHere(options.seconds / 2)
  }
}

const measureInOwnProcess = async ({ seconds, program, signal }: MeasureAesOptions): Promise<AesFigures> => {
  const worker = siblingModule(import.meta.url, 'aes.worker')
  await access(worker) // A program packed into one file must not be made to start itself.
  signal?.throwIfAborted()
  const child = fork(worker, [String(seconds / 2)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    ...(program !== undefined && { execPath: program }),
    ...(signal !== undefined && { signal }),
  })
  const over = new AbortController()
  child.once('disconnect', () => over.abort()) // After the last message, where `exit` may come before it.
  try {
    const [figures] = (await once(child, 'message', { signal: over.signal })) as [AesFigures]
    return figures
  } finally {
    child.kill()
  }
}
