/** How disks are named on the command line: `raw:PATH`, `qcow2:PATH`, `granary:ID/DISK`, an NBD URI, `-`, or a path whose extension decides. @module */
import { extname } from 'node:path'
import { GranaryError } from '@granary/core'

export type DiskAddress =
  | {
      readonly kind: 'raw' | 'qcow2'
      readonly path: string
      /** The extension chose, not the user. */ readonly isGuess: boolean
    }
  | { readonly kind: 'granary'; readonly snapshot: string; readonly disk: string | undefined }
  | { readonly kind: 'nbd'; readonly uri: string }
  | { readonly kind: 'stream' }

/** The schemes of `@granary/nbd`, which is loaded only by what connects. */
export const isNbdAddress = (text: string): boolean => /^nbds?(\+unix)?:/.test(text)

const EXTENSIONS: Readonly<Record<string, 'raw' | 'qcow2'>> = { '.raw': 'raw', '.img': 'raw', '.qcow2': 'qcow2' }

/**
 * Reads the name of a disk. Content never decides: a guest writes it, and could make its raw disk pass for another format.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it names none
 */
export const parseDiskAddress = (text: string): DiskAddress => {
  if (text === '-') return { kind: 'stream' }
  if (isNbdAddress(text)) return { kind: 'nbd', uri: text }
  const [, prefix, rest = ''] = /^(raw|qcow2|granary):(.*)$/s.exec(text) ?? []
  if (prefix === 'granary') {
    const [, snapshot = '', disk] = /^([^/]*)(?:\/(.+))?$/s.exec(rest) ?? []
    if (snapshot === '') throw invalid(text, 'expected granary:ID or granary:ID/DISK')
    return { kind: 'granary', snapshot, disk }
  }
  if (prefix !== undefined) {
    if (rest === '') throw invalid(text, 'the path is missing')
    return { kind: prefix as 'raw' | 'qcow2', path: rest, isGuess: false }
  }
  const byExtension = EXTENSIONS[extname(text).toLowerCase()]
  if (byExtension !== undefined) return { kind: byExtension, path: text, isGuess: true }
  if (text.startsWith('/dev/')) return { kind: 'raw', path: text, isGuess: false }
  throw invalid(text, 'its extension says no format')
}

const invalid = (text: string, message: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${text}: ${message}`, {
    detail: { disk: text },
    hint: 'write raw:PATH, qcow2:PATH, granary:ID/DISK, nbd://HOST/EXPORT, - for a stream, or a path that ends in .raw, .img or .qcow2',
  })
