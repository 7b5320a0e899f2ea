/** flock(2): an advisory lock that the kernel releases when its holder ends, however it ends. @module */

/** Values of <sys/file.h> on Linux. */
const LOCK = { shared: 1, exclusive: 2, nonBlocking: 4, unlock: 8 } as const

export interface FileLocks {
  /** Takes a lock on an open file at once, or says that another holds it. */
  tryLock(fd: number, kind: 'shared' | 'exclusive'): boolean
  unlock(fd: number): void
}

/** Undefined where this platform, or this installation, cannot call flock. */
export const loadFileLocks = async (): Promise<FileLocks | undefined> => {
  if (process.platform !== 'linux') return undefined
  const koffi = await import('koffi').then(
    module => module.default,
    () => undefined,
  )
  if (koffi === undefined) return undefined
  const flock = koffi.load(null).func('int flock(int fd, int operation)')
  const call = (fd: number, operation: number): boolean => {
    for (;;) {
      if (flock(fd, operation) === 0) return true
      const errno = koffi.errno()
      if (errno === koffi.os.errno['EAGAIN']) return false
      if (errno === koffi.os.errno['EINTR']) continue
      const code = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
      throw Object.assign(new Error(`${code}: flock`), { code, errno: -errno, syscall: 'flock' })
    }
  }
  return {
    tryLock: (fd, kind) => call(fd, LOCK[kind] | LOCK.nonBlocking),
    unlock: fd => void call(fd, LOCK.unlock),
  }
}
