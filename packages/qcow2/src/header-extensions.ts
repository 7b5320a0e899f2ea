/** Header extensions. @see QEMU docs/interop/qcow2.txt, section "Header extensions" @module */
import type { Bytes } from '@granary/core'
import { EXTENSION, corrupt, viewOf } from './format.ts'

/** An extension as it stands in the header; unknown ones are kept when an image is rewritten. */
export interface HeaderExtension {
  readonly type: number
  readonly data: Bytes
}

const FEATURE_NAME_BYTES = 48

/**
 * Lists the extensions from `start` to the end marker, or to `end` when there is none.
 *
 * @param area the first cluster of the image
 * @throws GranaryError `GRANARY_CORRUPT` when one does not fit
 */
export const readExtensions = (area: Bytes, start: number, end: number): HeaderExtension[] => {
  const view = viewOf(area)
  const extensions: HeaderExtension[] = []
  for (let at = start; at + 8 <= Math.min(end, area.length);) {
    const type = view.getUint32(at)
    const length = view.getUint32(at + 4)
    if (length > Math.min(end, area.length) - at - 8)
      throw corrupt(`header extension ${type.toString(16)} of ${length} bytes does not fit`, { field: 'extension' })
    if (type === EXTENSION.end) break
    extensions.push({ type, data: area.slice(at + 8, at + 8 + length) })
    at += 8 + Math.ceil(length / 8) * 8
  }
  return extensions
}

/** The names of feature bits, as the extension "Feature name table" gives them: `kind:bit` to name. */
export const readFeatureNames = (extensions: readonly HeaderExtension[]): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  const table = extensions.find(extension => extension.type === EXTENSION.featureNames)?.data ?? new Uint8Array()
  for (let at = 0; at + FEATURE_NAME_BYTES <= table.length; at += FEATURE_NAME_BYTES) {
    const text = printable(table.subarray(at + 2, at + FEATURE_NAME_BYTES))
    names.set(`${table[at]}:${table[at + 1]}`, text)
  }
  return names
}

/** A zero-terminated text of an image, fit to be printed: control characters of a hostile one must not reach a terminal. */
const printable = (bytes: Bytes): string => {
  const end = bytes.indexOf(0)
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end))
    .toString('utf8')
    .replace(/\p{Cc}/gu, '?')
}
