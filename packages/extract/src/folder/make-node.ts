/** Makes FIFOs and devices. @module */
import { isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { onTarget } from '../report.ts'
import type { Libc } from './libc.ts'
import type { OpenFolder } from './open-folder.ts'

/** Types of files in a mode. @see inode(7) */
const TYPE_BITS = { chr: 0o020_000, blk: 0o060_000, fifo: 0o010_000 } as const

export type NodeType = keyof typeof TYPE_BITS

/** Only its owner may open it until its attributes are set. False when this user, or this system, can't make one. */
export const tryMakeNode = async (
  folder: OpenFolder,
  name: Bytes,
  type: NodeType,
  device: { readonly major: number; readonly minor: number },
  libc: Libc | undefined,
): Promise<boolean> => {
  if (libc === undefined) return false
  try {
    await onTarget(`making a ${type}`, () => libc.mknod(folder.fd, name, TYPE_BITS[type] | 0o600, device))
    return true
  } catch (error) {
    if (isGranaryError(error) && error.detail['errno'] === 'EPERM') return false
    throw error
  }
}
