/** Options of the commands that write a disk. @module */
import { GranaryError } from '@granary/core'
import { textOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'

export const TARGET_OPTIONS: readonly OptionRow[] = [
  { flags: '--overwrite-different', description: 'write to an existing target, and only what differs' },
  {
    flags: '--compression <NAME>',
    description: 'compress a new qcow2 image: zlib (every QEMU reads it) or zstd',
    values: ['zlib', 'zstd'],
  },
]

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no compression of qcow2 */
export const compressionOf = (invocation: Invocation): 'zlib' | 'zstd' | undefined => {
  const text = textOption(invocation, 'compression')
  if (text === undefined || text === 'zlib' || text === 'zstd') return text
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--compression ${text}: expected zlib or zstd`)
}
