/**
 * How files inside disks are named: `DISK[+DISK…][:VOLUME[@SUBVOLUME][:/PATH]]`.
 *
 * A disk's own name ends at the first `:` or `+` behind its prefix; a backslash before one of these (or before another
 * backslash) makes it a part of the name. A path goes to the end, whatever is in it.
 *
 * @module
 */
import { GranaryError } from '@granary/core'

export interface GuestAddress {
  /** Each as other commands take it, but for `granary:ID`, which is all disks of a snapshot. */
  readonly disks: readonly string[]
  /** The id of a volume, or `guest`. @default all volumes */
  readonly volume: string | undefined
  /** btrfs: the id of a subvolume, whose top is then the root of the path. */
  readonly subvolume: number | undefined
  /** Begins with `/`; empty when none was given. */
  readonly path: string
}

const PREFIX = /(?:raw|qcow2|granary):|nbds?(?:\+unix)?:\/\/(?:\[[^\]]*\]|[^/:+]*)(?::\d+)?/y
const NAME = /(?:\\[\\:+]|[^:+])*/y
const REST = /^(?::([^:@/][^:@]*)(?:@(\d+))?(?::(\/.*)?)?)?$/s

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` */
export const parseGuestAddress = (text: string): GuestAddress => {
  const disks: string[] = []
  let at = 0
  do {
    if (disks.length > 0) at++
    const prefix = match(PREFIX, text, at)
    const name = match(NAME, text, at + prefix.length)
    if (name === '' && !prefix.startsWith('nbd')) throw invalid(text, 'the name of a disk is missing')
    disks.push(prefix + name.replaceAll(/\\([\\:+])/g, '$1'))
    at += prefix.length + name.length
  } while (text[at] === '+')
  const [whole, volume, subvolume, path = ''] = REST.exec(text.slice(at)) ?? []
  if (whole === undefined) throw invalid(text, `"${text.slice(at)}" is no :VOLUME or :VOLUME:/PATH`)
  return { disks, volume, subvolume: subvolume === undefined ? undefined : Number(subvolume), path }
}

const match = (pattern: RegExp, text: string, at: number): string => {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

const invalid = (text: string, message: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${text}: ${message}`, {
    detail: { address: text },
    hint: 'write DISK, DISK:VOLUME or DISK:VOLUME:/PATH, several disks joined by +; a : or + in the name of a disk as \\: or \\+',
  })
