/** The C library through koffi. glibc and musl; the numbers below are the same on every architecture of Linux. @module */
import { getSystemErrorName } from 'node:util'
import type { FileLock, Native } from './native.ts'

/** What we use of koffi, so that our published types do not need it. */
interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: string[]): unknown }
  errno(): number
}

/** A bound function; `async` runs it on a thread of the pool. */
interface CFunction {
  (...parameters: number[]): number
  async(...parametersAndCallback: [...number[], (error: unknown, result: number) => void]): void
}

// lseek(2)
const SEEK_END = 2
const SEEK_DATA = 3
const SEEK_HOLE = 4
const ENXIO = 6
// flock(2)
const LOCK_NB = 4
const LOCK_OPERATIONS: Readonly<Record<FileLock, number>> = { shared: 1, exclusive: 2, none: 8 }
const EWOULDBLOCK = 11
// fallocate(2). On block devices (Linux 4.9) the same two modes discard and zero: no ioctl is needed.
const FALLOC_FL_KEEP_SIZE = 0x01
const FALLOC_FL_PUNCH_HOLE = 0x02
const FALLOC_FL_ZERO_RANGE = 0x10

/** Binds the symbols. @throws Error when one is missing */
export const bindLibc = (koffi: Koffi): Native => {
  const libc = koffi.load(null)
  // glibc has a 32-bit and a 64-bit form on 32-bit machines; musl has the 64-bit form only, under the plain name.
  const bind64 = (name: string, result: string, parameters: string[]): CFunction => {
    try {
      return libc.func(`${name}64`, result, parameters) as CFunction
    } catch {
      return libc.func(name, result, parameters) as CFunction
    }
  }
  const lseek = bind64('lseek', 'int64_t', ['int', 'int64_t', 'int'])
  const fallocate = bind64('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t'])
  const flock = libc.func('flock', 'int', ['int', 'int']) as CFunction

  const seek = (fileDescriptor: number, offset: number, whence: number): number | undefined => {
    const found = lseek(fileDescriptor, offset, whence)
    if (found >= 0) return found
    const errno = koffi.errno()
    if (errno === ENXIO) return undefined
    throw systemError('lseek', errno)
  }
  const allocate = (fileDescriptor: number, mode: number, offset: number, length: number): Promise<boolean> =>
    new Promise((resolve, reject) => {
      // Any failure is "not here": the caller then writes zeros, which says what is wrong, or works.
      const settle = (error: unknown, result: number): void => (error ? reject(error) : resolve(result === 0))
      fallocate.async(fileDescriptor, mode | FALLOC_FL_KEEP_SIZE, offset, length, settle)
    })

  return {
    seekData: (fileDescriptor, offset) => seek(fileDescriptor, offset, SEEK_DATA),
    seekHole: (fileDescriptor, offset) => seek(fileDescriptor, offset, SEEK_HOLE),
    flock(fileDescriptor, lock) {
      if (flock(fileDescriptor, LOCK_OPERATIONS[lock] | LOCK_NB) === 0) return true
      const errno = koffi.errno()
      if (errno === EWOULDBLOCK) return false
      throw systemError('flock', errno)
    },
    punchHole: (fileDescriptor, offset, length) => allocate(fileDescriptor, FALLOC_FL_PUNCH_HOLE, offset, length),
    zeroRange: (fileDescriptor, offset, length) => allocate(fileDescriptor, FALLOC_FL_ZERO_RANGE, offset, length),
    blockDeviceSize(fileDescriptor) {
      const sizeBytes = seek(fileDescriptor, 0, SEEK_END)
      if (sizeBytes === undefined) throw systemError('lseek', ENXIO)
      return sizeBytes
    },
  }
}

/** An error in the form that `node:fs` gives its own, so that `fromSystemError` reads both. */
const systemError = (syscall: string, errno: number): Error => {
  const code = getSystemErrorName(-errno)
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall })
}
