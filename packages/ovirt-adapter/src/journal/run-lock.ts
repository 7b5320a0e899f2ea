/** Tells runs that live from runs that died: a lock of the kernel, which ends with its process however that ends. @module */
import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { loadNative } from '@granary/core'

export interface RunLock extends AsyncDisposable {
  /** Gives the lock up and takes its file away. */
  remove(): Promise<void>
}

/**
 * Takes the lock of a run without waiting.
 *
 * @returns undefined when its process lives, or when this system can't tell: then it is left alone
 */
export const takeRunLock = async (
  path: string,
  { isNew }: { readonly isNew: boolean },
): Promise<RunLock | undefined> => {
  const native = await loadNative()
  const handle = await open(path, 'a', 0o600)
  const isTaken = native === undefined ? isNew : isFree(native, handle)
  if (!isTaken) {
    await handle.close()
    return undefined
  }
  return {
    async remove() {
      await rm(path, { force: true })
    },
    [Symbol.asyncDispose]: async () => await handle.close(),
  }
}

const isFree = (native: NonNullable<Awaited<ReturnType<typeof loadNative>>>, handle: FileHandle): boolean =>
  native.flock(handle.fd, 'exclusive')
