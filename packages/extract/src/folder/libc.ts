/**
 * The calls that Node lacks for giving a file all its attributes. Without them extraction works: times lose what is
 * below a microsecond, and attributes, FIFOs and devices are kept for later as if they weren't allowed.
 *
 * @see docs/decisions/0001-koffi.md
 * @module
 */
import { getSystemErrorName } from 'node:util'
import type { Bytes } from '@granary/core'

/** Paths are bytes. Each throws a system error. */
export interface Libc {
  /** Makes a FIFO or a device in an open folder. */
  mknod(folder: number, name: Bytes, mode: number, device: { readonly major: number; readonly minor: number }): void
  /** @param follows whether a link at the end of the path is followed, as one of `/proc/self/fd` must be */
  setXattr(path: Bytes, name: Bytes, value: Bytes, follows: boolean): void
  /** Time of access and of change, nanoseconds; of the file itself. */
  setTimes(folder: number, name: Bytes, atime: bigint, mtime: bigint): void
}

let loaded: Promise<Libc | undefined> | undefined

export const loadLibc = (): Promise<Libc | undefined> => (loaded ??= tryLoad())

/** Where `struct timespec` is two 64-bit numbers and `dev_t` one. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64']

const tryLoad = async (): Promise<Libc | undefined> => {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) return undefined
  try {
    return bind(await import('koffi'))
  } catch {
    return undefined
  }
}

const AT_SYMLINK_NOFOLLOW = 0x100
const SECOND = 1_000_000_000n

interface Koffi {
  load(path: null): { func(declaration: string): unknown }
  errno(): number
}

type CFunction = (...parameters: (number | bigint | Uint8Array | BigInt64Array)[]) => number

const bind = (koffi: Koffi): Libc => {
  const libc = koffi.load(null)
  const mknodat = libc.func('int mknodat(int, const uint8_t *, uint32_t, uint64_t)') as CFunction
  const bindXattr = (name: string): CFunction =>
    libc.func(`int ${name}(const uint8_t *, const uint8_t *, const uint8_t *, size_t, int)`) as CFunction
  const [setxattr, lsetxattr] = [bindXattr('setxattr'), bindXattr('lsetxattr')]
  const utimensat = libc.func('int utimensat(int, const uint8_t *, const int64_t *, int)') as CFunction
  const check = (syscall: string, result: number): void => {
    if (result === 0) return
    const errno = koffi.errno()
    const code = getSystemErrorName(-errno)
    throw Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall })
  }
  return {
    mknod: (folder, name, mode, device) =>
      check('mknodat', mknodat(folder, terminated(name), mode, deviceNumber(device))),
    setXattr(path, name, value, follows) {
      const set = follows ? setxattr : lsetxattr
      // An empty value needs a place all the same.
      const bytes = value.length === 0 ? new Uint8Array(1) : value
      check('setxattr', set(terminated(path), terminated(name), bytes, value.length, 0))
    },
    setTimes: (folder, name, atime, mtime) =>
      check('utimensat', utimensat(folder, terminated(name), timespecs(atime, mtime), AT_SYMLINK_NOFOLLOW)),
  }
}

const terminated = (bytes: Bytes): Uint8Array => Uint8Array.from([...bytes, 0])

const timespecs = (...times: readonly bigint[]): BigInt64Array =>
  BigInt64Array.from(times.flatMap(time => [BigInt.asIntN(64, floorSeconds(time)), time - floorSeconds(time) * SECOND]))

const floorSeconds = (time: bigint): bigint => (time >= 0n ? time / SECOND : -((-time + SECOND - 1n) / SECOND))

/** As `makedev` of glibc and musl. */
const deviceNumber = ({ major, minor }: { readonly major: number; readonly minor: number }): bigint => {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return ((high & 0xfff_ff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xfff_fff00n) << 12n) | (low & 0xffn)
}
