/**
 * The few calls of the operating system that Node does not offer. They make things faster or safer, never possible:
 * each user has a way without them, which runs wherever `loadNative` gives undefined (another system than Linux,
 * a platform koffi has no prebuilt file for, a library that lacks a symbol).
 *
 * @see docs/decisions/0001-koffi.md
 * @module
 */
import { bindLibc } from './libc.ts'

export type FileLock = 'shared' | 'exclusive' | 'none'

/** File descriptors stay the caller's, and their file offset may move: read and write with positions only. */
export interface Native {
  /** The first offset at or after `offset` that may hold data; undefined when none follows. @throws a system error */
  seekData(fileDescriptor: number, offset: number): number | undefined
  /** The first offset at or after `offset` in a hole, the end of the file at the latest; undefined past the end. @throws a system error */
  seekHole(fileDescriptor: number, offset: number): number | undefined
  /**
   * Takes, changes or gives up the lock of the open file without waiting. False when somebody else's lock is in the way.
   * The lock ends with the last descriptor of this open file, also when the process is killed.
   *
   * @throws a system error
   */
  flock(fileDescriptor: number, lock: FileLock): boolean
  /** Makes a range read as zeros and gives its space back, on files and block devices. False when that is not possible here. */
  punchHole(fileDescriptor: number, offset: number, length: number): Promise<boolean>
  /** Makes a range read as zeros and keeps its space, on files and block devices. False when that is not possible here. */
  zeroRange(fileDescriptor: number, offset: number, length: number): Promise<boolean>
  /** Size of an open block device, bytes. @throws a system error */
  blockDeviceSize(fileDescriptor: number): number
}

let loaded: Promise<Native | undefined> | undefined

/** The calls of this system's C library, or undefined where they cannot be had. Tried once, at the first call. */
export const loadNative = (): Promise<Native | undefined> => (loaded ??= tryLoad())

const tryLoad = async (): Promise<Native | undefined> => {
  if (process.platform !== 'linux') return undefined
  try {
    return bindLibc(await import('koffi'))
  } catch {
    return undefined // Not installed, no prebuilt file, or a symbol is missing: nothing here is worth failing for.
  }
}
