/** A copy of a stopped VM: its volumes, read where they lie. @module */
import { stat } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { HostCopy, HostDisk } from './host-copy.ts'
import { buildOrUndo } from './undo-stack.ts'
import { openVolume } from './volume.ts'

export interface StoppedVolume {
  readonly diskId: string
  readonly path: string
  /** As the engine states it. */
  readonly format: 'raw' | 'cow'
}

export interface StoppedCopyOptions extends AbortOptions {
  readonly volumes: readonly StoppedVolume[]
  /** Whether the VM is still down and has not been started since: asked of the engine. */
  readonly isStillDown: (options: AbortOptions) => Promise<boolean>
}

/**
 * Opens the volumes of a stopped VM. Whoever starts it meanwhile is noticed by `verify`: by the engine's word, and by the
 * volumes themselves, which no stopped VM changes.
 *
 * @throws GranaryError what opening the volumes throws
 */
export const openStoppedCopy = async (options: StoppedCopyOptions): Promise<HostCopy> =>
  await buildOrUndo(async stack => {
    const { volumes, isStillDown, signal } = options
    const lost = new AbortController()
    const before = await Promise.all(volumes.map(async ({ path }) => await stampOf(path)))
    const disks: HostDisk[] = []
    for (const { diskId, path, format } of volumes) {
      const disk = await openVolume(path, format === 'cow' ? 'qcow2' : 'raw', { signal })
      stack.defer(async () => await disk[Symbol.asyncDispose]())
      disks.push({ name: diskId, diskId, path, disk })
    }
    return {
      disks,
      frozen: 'yes', // Nothing runs that could write: it is as consistent as a shutdown left it.
      signal: lost.signal,
      async verify(verifying = {}) {
        if (!(await isStillDown(verifying))) throw startedMeanwhile('the engine says that it was started')
        for (const [i, { path }] of volumes.entries())
          if ((await stampOf(path)) !== before[i]) throw startedMeanwhile(`${path} was written to`)
      },
      [Symbol.asyncDispose]: stack.undo,
    }
  })

/** Changes when anybody writes to the file, or puts another in its place. */
const stampOf = async (path: string): Promise<string> => {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs].join(':')
  } catch (error) {
    throw fromSystemError(error, `looking at ${path}`)
  }
}

const startedMeanwhile = (how: string): GranaryError =>
  new GranaryError('GRANARY_REMOTE', `the VM was started while its volumes were read: ${how}`, {
    retryable: true,
    hint: 'nothing of this copy is kept; run the backup again, it will be copied as a running VM',
  })
