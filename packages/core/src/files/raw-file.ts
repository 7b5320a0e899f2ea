/** A raw file or block device that is open, and how one is opened: only these two kinds, never one that blocks or acts. @module */
import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { GranaryError } from '../errors.ts'
import { loadNative } from '../native/native.ts'
import type { Native } from '../native/native.ts'
import { fromSystemError } from '../system-error.ts'

export interface RawOptions {
  /** The native calls to use; null does without. @default those of the system, where they can be had */
  readonly native?: Native | null
}

export type RawKind = 'file' | 'device'

export interface RawFile {
  readonly handle: FileHandle
  readonly path: string
  readonly kind: RawKind
  readonly native: Native | undefined
  /** Fixed when it is opened; only `resize` changes it. */
  sizeBytes: number
}

/** Sectors of /sys are 512 bytes, whatever the device's own are. */
const SYSFS_SECTOR_BYTES = 512

/**
 * Opens what is there, or with `O_CREAT` a new file.
 *
 * @param flags `O_RDONLY` or `O_RDWR`, and `O_CREAT | O_EXCL` to create
 * @throws GranaryError `GRANARY_UNSUPPORTED` when the path is neither a file nor a block device; else as `fromSystemError` says
 */
export const openRawFile = async (path: string, flags: number, { native }: RawOptions = {}): Promise<RawFile> => {
  const calls = native === undefined ? await loadNative() : (native ?? undefined)
  const isNew = (flags & constants.O_CREAT) !== 0
  try {
    // Looked at before it is opened: opening a terminal, a tape or a watchdog is an action of its own.
    const isDevice = !isNew && kindOf(await stat(path, { bigint: true }), path) === 'device'
    const isWritten = (flags & constants.O_RDWR) !== 0
    // Without O_CREAT, O_EXCL asks the kernel to refuse a device that is mounted or part of another one (EBUSY).
    const guard = isDevice && isWritten ? constants.O_EXCL : 0
    const handle = await open(path, flags | guard | constants.O_NONBLOCK)
    try {
      const stats = await handle.stat({ bigint: true })
      const kind = kindOf(stats, path) // Again: the path may name something else by now.
      const sizeBytes = kind === 'file' ? Number(stats.size) : await deviceSizeBytes(handle, stats, calls)
      return { handle, path, kind, native: calls, sizeBytes }
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw fromSystemError(error, `${isNew ? 'creating' : 'opening'} ${path}`, { detail: { path } })
  }
}

const kindOf = (stats: BigIntStats, path: string): RawKind => {
  if (stats.isFile()) return 'file'
  if (stats.isBlockDevice()) return 'device'
  const found = otherKind(stats)
  throw new GranaryError('GRANARY_UNSUPPORTED', `${path} is ${found}: expected a file or a block device`, {
    detail: { path, found },
    hint:
      found === 'a pipe'
        ? 'Give "-" and redirect standard input or output.'
        : 'Give the path of a disk image or a disk.',
  })
}

const otherKind = (stats: BigIntStats): string => {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isCharacterDevice() ? 'a character device' : 'of an unknown kind'
}

const deviceSizeBytes = async (handle: FileHandle, stats: BigIntStats, native: Native | undefined): Promise<number> =>
  native === undefined ? await sizeBySysfs(stats.rdev) : native.blockDeviceSize(handle.fd)

/** The kernel's own list of block devices, by number. Numbers are packed as makedev(3) does. */
const sizeBySysfs = async (rdev: bigint): Promise<number> => {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')
  return Number(sectors) * SYSFS_SECTOR_BYTES
}
