/**
 * Names as file systems keep them: bytes on ext, xfs and btrfs, UTF-16 units on FAT, exFAT and NTFS.
 * Nothing is lost: where the text alone would lose something, the bytes are beside it.
 *
 * @module
 */
import type { Bytes } from '@granary/core'

/** A name, a path or a link's target. */
export interface Name {
  /** For people: each byte that is no UTF-8, and each unpaired surrogate, is shown as `?`. */
  readonly text: string
  /**
   * Only where `text` is not the whole truth: the bytes on disk, or for a UTF-16 name with an unpaired
   * surrogate its WTF-8 form.
   */
  readonly bytes?: Bytes
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8 = new TextEncoder()

/** With the u flag, pairs are code points and don't match. */
const UNPAIRED_SURROGATE = /\p{Surrogate}/u

/** The name that stands in `bytes`, which are copied where kept. */
export const nameOfBytes = (bytes: Bytes): Name => {
  if (isPlainAscii(bytes)) return { text: String.fromCharCode(...bytes) }
  try {
    return { text: strictUtf8.decode(bytes) }
  } catch {
    return { text: lossyText(bytes), bytes: bytes.slice() }
  }
}

const isPlainAscii = (bytes: Bytes): boolean => {
  if (bytes.length > 255) return false
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) >= 0x80) return false
  return true
}

const lossyText = (bytes: Bytes): string => {
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    text += length === 0 ? '?' : strictUtf8.decode(bytes.subarray(at, at + length))
    at += Math.max(length, 1)
  }
  return text
}

/** Length of the valid UTF-8 sequence at `at`, or 0. */
const sequenceLength = (bytes: Bytes, at: number): number => {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      strictUtf8.decode(bytes.subarray(at, at + length))
      return length
    } catch {
      continue
    }
  }
  return 0
}

/** The name made of little-endian UTF-16 units. */
export const nameOfUtf16 = (bytes: Bytes): Name => {
  let text = ''
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    text += String.fromCharCode((bytes[at] as number) | ((bytes[at + 1] as number) << 8))
  }
  return nameOfUnits(text)
}

/** The name whose UTF-16 units are those of `units`. */
export const nameOfUnits = (units: string): Name => {
  if (!UNPAIRED_SURROGATE.test(units)) return { text: units }
  const points = Array.from(units, point => ({ point, isPaired: !UNPAIRED_SURROGATE.test(point) }))
  return {
    text: points.map(({ point, isPaired }) => (isPaired ? point : '?')).join(''),
    bytes: Uint8Array.from(points.flatMap(({ point, isPaired }) => [...(isPaired ? utf8.encode(point) : wtf8(point))])),
  }
}

const wtf8 = (surrogate: string): Bytes => {
  const code = surrogate.charCodeAt(0)
  return Uint8Array.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
}

/** The bytes of a name: those on disk, or the UTF-8 of its text. */
export const bytesOfName = ({ text, bytes }: Name): Bytes => bytes ?? utf8.encode(text)

/** `parent/child`; the root's own path is the empty name. */
export const joinPath = (parent: Name, child: Name): Name => {
  const text = `${parent.text}/${child.text}`
  if (parent.bytes === undefined && child.bytes === undefined) return { text }
  return { text, bytes: Uint8Array.from([...bytesOfName(parent), 0x2f, ...bytesOfName(child)]) }
}

/** Two names are the same when their bytes are. */
export const isSameName = (a: Name, b: Name): boolean => {
  if (a.bytes === undefined && b.bytes === undefined) return a.text === b.text
  return Buffer.compare(bytesOfName(a), bytesOfName(b)) === 0
}

/** Cuts a path into its names; empty ones and `.` are left out, as the kernel does. */
export const splitPath = (path: string | Bytes): Name[] => {
  const whole: Bytes = typeof path === 'string' ? utf8.encode(path) : path
  const names: Name[] = []
  for (let start = 0; start <= whole.length;) {
    const slash = whole.indexOf(0x2f, start)
    const end = slash < 0 ? whole.length : slash
    const name = nameOfBytes(whole.subarray(start, end))
    if (name.text !== '' && name.text !== '.') names.push(name)
    start = end + 1
  }
  return names
}
