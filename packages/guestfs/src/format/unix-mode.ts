/** The type of a file in the upper bits of a Unix mode. @module */
import type { Stat } from '../tree.ts'

const TYPES: Readonly<Record<number, Stat['type']>> = {
  0o01: 'fifo',
  0o02: 'chr',
  0o04: 'dir',
  0o06: 'blk',
  0o10: 'file',
  0o12: 'symlink',
  0o14: 'socket',
}

export const fileTypeOfMode = (mode: number): Stat['type'] | undefined => TYPES[(mode >> 12) & 0o17]
