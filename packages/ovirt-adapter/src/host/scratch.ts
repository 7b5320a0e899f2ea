/**
 * Space on the host that a copy takes while the guest overwrites what is still to be read: the only temporary space there is.
 * It is bounded by watching, since neither libvirt nor QEMU bounds it. A full file system is to be kept from the guest at
 * any price: it would get write errors, or be paused.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, formatBytes, fromSystemError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'

export interface ScratchOptions {
  /** A folder that QEMU may write to, on a local file system. */
  readonly folder: string
  /** Most bytes that one VM's copy may take. @default 16 GiB */
  readonly limitBytes?: number
  /** Bytes of the file system that stay free. @default 1 GiB */
  readonly reserveBytes?: number
  /** @default 1000 */
  readonly watchMs?: number
}

const GiB = 1024 ** 3

const settle = (options: ScratchOptions) => ({ limitBytes: 16 * GiB, reserveBytes: GiB, watchMs: 1000, ...options })

/** What a copy of some seconds needs at least: less is refused before anything begins. */
const LEAST_BYTES = 64 * 1024 * 1024

/**
 * Names a folder of our own inside the scratch folder, to be made once the name is written down.
 *
 * @throws GranaryError `GRANARY_NO_SPACE` when there is too little to begin with, `GRANARY_NOT_FOUND` when the folder is missing
 */
export const planScratchFolder = async (options: ScratchOptions): Promise<string> => {
  const { folder, reserveBytes } = settle(options)
  const freeBytes = await freeBytesOf(folder).catch((error: unknown) => {
    throw fromSystemError(error, `looking at the scratch folder ${folder}`)
  })
  if (freeBytes < reserveBytes + LEAST_BYTES)
    throw new GranaryError('GRANARY_NO_SPACE', `${folder} has ${formatBytes(freeBytes)} free, too little to begin`, {
      detail: { folder, freeBytes, wantedBytes: reserveBytes + LEAST_BYTES },
      hint: 'free some space there, or choose another scratch folder',
    })
  return join(folder, `granary-${randomBytes(6).toString('hex')}`)
}

/** The group of a set-group-id scratch folder is handed on: QEMU's own account must get in. */
export const createScratchFolder = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { mode: 0o770 })
  } catch (error) {
    throw fromSystemError(error, `making the scratch folder ${folder}`)
  }
}

export const removeScratchFolder = async (folder: string): Promise<void> => {
  await rm(folder, { recursive: true, force: true })
}

const freeBytesOf = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** True when QEMU may have found no room there for what a guest wrote. */
export const isScratchFull = async (folder: string): Promise<boolean> =>
  (await freeBytesOf(folder).catch(() => 0)) < LEAST_BYTES

export const vmGone = (): GranaryError =>
  new GranaryError('GRANARY_REMOTE', 'the VM stopped, or was moved, while it was copied', {
    retryable: true,
    hint: 'run the backup again; nothing of this one is kept',
  })

const allocatedBytes = async (file: string): Promise<number> => {
  const found = await stat(file).catch(() => undefined)
  return (found?.blocks ?? 0) * 512
}

const overflow = (folder: string, usedBytes: number, freeBytes: number): GranaryError =>
  new GranaryError(
    'GRANARY_NO_SPACE',
    `the guest overwrote ${formatBytes(usedBytes)} while it was copied, and ${formatBytes(freeBytes)} are free in ${folder}: given up before the guest would suffer`,
    {
      detail: { folder, usedBytes, freeBytes },
      hint: 'allow more scratch space, back up at a quieter hour, or use the backup API of the engine',
    },
  )

export interface WatchOptions {
  readonly clock: Clock
  /** Whether there still is something to watch for. */
  readonly isAlive: (options: AbortOptions) => Promise<boolean>
}

export interface ScratchWatch {
  /** Aborted with the reason why the copy must be given up. */
  readonly signal: AbortSignal
  /** Looks once more. @throws GranaryError the reason why the copy must be given up */
  readonly look: (options?: AbortOptions) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Looks at scratch files again and again, for as long as it is open. */
export const startWatch = (
  files: readonly string[],
  scratch: ScratchOptions,
  { clock, isAlive }: WatchOptions,
): ScratchWatch => {
  const { folder, limitBytes, reserveBytes, watchMs } = settle(scratch)
  const lost = new AbortController()
  const ended = new AbortController()
  const look = async (options: AbortOptions = {}): Promise<void> => {
    lost.signal.throwIfAborted()
    const usedBytes = (await Promise.all(files.map(allocatedBytes))).reduce((sum, bytes) => sum + bytes, 0)
    const freeBytes = await freeBytesOf(folder)
    if (usedBytes > limitBytes || freeBytes < reserveBytes) throw overflow(folder, usedBytes, freeBytes)
    if (!(await isAlive(options))) throw vmGone()
  }
  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(watchMs, ended.signal)
      await look({ signal: ended.signal })
    }
  }
  const watching = watch().catch((error: unknown) => {
    if (!ended.signal.aborted) lost.abort(error)
  })
  return {
    signal: lost.signal,
    look,
    async stop() {
      ended.abort()
      await watching
    },
  }
}
