/** Which paths a target may get. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Name } from '@granary/guestfs'

const SLASH = 0x2f
const DOT = 0x2e

/**
 * The names of a path from the top of the target on. A file system's reader gives none of those that are refused here;
 * that nothing leaves the target must not hang on it.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` for `.`, `..`, an empty name, one with a NUL
 */
export const targetNames = (path: Name): Bytes[] => {
  const bytes = bytesOfName(path)
  if (bytes.length === 0) return []
  const names: Bytes[] = []
  for (let start = 0; start <= bytes.length;) {
    const slash = bytes.indexOf(SLASH, start)
    const end = slash < 0 ? bytes.length : slash
    const name = bytes.subarray(start, end)
    if (!isPossible(name))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path.text}: no file may be called "${textOf(name)}"`, {
        detail: { path: path.text },
      })
    names.push(name)
    start = end + 1
  }
  return names
}

const isPossible = (name: Bytes): boolean =>
  name.length > 0 && !name.includes(0) && !(name.length <= 2 && name.every(byte => byte === DOT))

const textOf = (name: Bytes): string => Buffer.from(name).toString('latin1').replaceAll('\0', '\\0')
