/** Disks that a machine is running on. @module */
import { readFile, stat } from 'node:fs/promises'
import { GranaryError } from '@granary/core'

/**
 * QEMU says what it does with an image by locks on single bytes from 100 on, and what it lets others do by those from 200 on.
 *
 * @see QEMU block/file-posix.c, RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE
 */
const LOCK_BYTES = { first: 100, last: 299 } as const

/** `1: OFDLCK ADVISORY  READ -1 fe:00:10086703 203 203`: device (hexadecimal), inode, first and last byte. */
const LOCK_LINE =
  /^\d+: (?:OFDLCK|POSIX) +ADVISORY +(?:READ|WRITE) +-?\d+ ([\da-f]+):([\da-f]+):(\d+) (\d+) (\d+|EOF)$/gm

/**
 * To be called before a disk is written to. Where the system tells of no locks (another than Linux; btrfs, overlay file systems)
 * it finds none.
 *
 * @throws GranaryError `GRANARY_LOCKED` when QEMU has the file or device open
 */
export const expectNoQemu = async (path: string): Promise<void> => {
  const [locks, stats] = await Promise.all([
    readFile('/proc/locks', 'utf8').catch(() => ''),
    stat(path, { bigint: true }).catch(() => undefined), // Whoever opens it says why.
  ])
  if (stats === undefined) return
  const wanted = `${majorOf(stats.dev)}:${minorOf(stats.dev)}:${stats.ino}`
  for (const [, major = '', minor = '', inode = '', first = '', last = ''] of locks.matchAll(LOCK_LINE)) {
    const isQemu = first === last && Number(first) >= LOCK_BYTES.first && Number(first) <= LOCK_BYTES.last
    if (isQemu && `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}` === wanted)
      throw new GranaryError('GRANARY_LOCKED', `${path}: QEMU has it open`, {
        detail: { path },
        retryable: true,
        hint: 'shut the machine down, or end the program that uses it: two that write one disk destroy it',
      })
  }
}

/** As glibc's `gnu_dev_major` and `gnu_dev_minor`. */
const majorOf = (device: bigint): bigint => ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
const minorOf = (device: bigint): bigint => (device & 0xffn) | ((device >> 12n) & ~0xffn)
