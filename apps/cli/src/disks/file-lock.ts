/** One process at a time changes an image. @module */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { GranaryError, fromSystemError, loadNative } from '@granary/core'
import { expectNoQemu } from './qemu-lock.ts'

/**
 * Takes a file for this process until it is disposed of; the end of the process frees it, too. Programs other than granary
 * don't see this lock.
 *
 * @throws GranaryError `GRANARY_LOCKED` when another process has it, or QEMU has it open
 */
export const lockFile = async (path: string): Promise<AsyncDisposable> => {
  const file = await open(path, constants.O_RDWR | constants.O_NONBLOCK).catch((error: unknown) => {
    throw fromSystemError(error, `opening ${path}`)
  })
  try {
    await expectNoQemu(path)
    const native = await loadNative()
    if (native?.flock(file.fd, 'exclusive') === false)
      throw new GranaryError('GRANARY_LOCKED', `${path}: another process changes this image`, {
        detail: { path },
        retryable: true,
      })
  } catch (error) {
    await file.close()
    throw error
  }
  return { [Symbol.asyncDispose]: async () => await file.close() }
}
