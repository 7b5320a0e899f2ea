/** flock(2): an advisory lock that the kernel releases when its holder ends, however it ends. @module */
import { getSystemErrorName } from 'node:util'

type FileLock = 'shared' | 'exclusive' | 'none'

export interface FileLocks {
  /** Takes, changes or gives up the lock of an open file without waiting. False when somebody else's is in the way. */
  flock(fileDescriptor: number, lock: FileLock): boolean
}

// <sys/file.h> and <errno.h> on Linux
const OPERATIONS: Readonly<Record<FileLock, number>> = { shared: 1, exclusive: 2, none: 8 }
const LOCK_NB = 4
const EWOULDBLOCK = 11

/** Undefined where this platform, or this installation, cannot call flock. */
export const loadFileLocks = async (): Promise<FileLocks | undefined> => {
  if (process.platform !== 'linux') return undefined
  const koffi = await import('koffi').catch(() => undefined)
  if (koffi === undefined) return undefined
  const flock = koffi.load(null).func('flock', 'int', ['int', 'int'])
  return {
    flock: (fileDescriptor, lock) => {
      if (flock(fileDescriptor, OPERATIONS[lock] | LOCK_NB) === 0) return true
      const errno = koffi.errno()
      if (errno === EWOULDBLOCK) return false
      const code = getSystemErrorName(-errno)
      throw Object.assign(new Error(`${code}: flock`), { code, errno: -errno, syscall: 'flock' })
    },
  }
}
