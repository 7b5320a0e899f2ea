/**
 * Conditions on paths, answered for a page at once: what a directory's path decides is decided once for all its rows,
 * and what a name decides is found by searching the names of the page as one string of bytes.
 *
 * @module
 */
import type { Bytes } from '@granary/core'
import { fold } from '../format/row.ts'

/** What a directory's path says of the rows in it; `name`: it depends on their names. */
type Verdict = 'all' | 'none' | 'name'

export interface PathCondition {
  /** By the directory's folded path, which is empty for the root. */
  verdict(directory: string): Verdict
  /** What must be in the folded names, which have a slash before and behind each. */
  readonly inNames: Bytes
}

export const pathConditions = ({
  prefix,
  suffix,
  contains,
}: {
  readonly prefix?: string
  readonly suffix?: string
  readonly contains?: string
}): PathCondition[] => [
  ...(prefix === undefined || prefix === '' ? [] : [prefixCondition(fold(prefix))]),
  ...(suffix === undefined || suffix === '' ? [] : [suffixCondition(fold(suffix))]),
  ...(contains === undefined || contains === '' ? [] : [containsCondition(fold(contains))]),
]

/** Cuts at the last slash: a name has none, so only what is behind it can be in a name. */
const cut = (text: string): { readonly before: string | undefined; readonly behind: string } => {
  const at = text.lastIndexOf('/')
  return { before: at < 0 ? undefined : text.slice(0, at), behind: text.slice(at + 1) }
}

const prefixCondition = (text: string): PathCondition => {
  const { before, behind } = cut(text)
  return {
    verdict: directory => (`${directory}/`.startsWith(text) ? 'all' : directory === before ? 'name' : 'none'),
    inNames: Buffer.from(`/${behind}`),
  }
}

const suffixCondition = (text: string): PathCondition => {
  const { before, behind } = cut(text)
  return {
    verdict: directory => (before === undefined || directory.endsWith(before) ? 'name' : 'none'),
    inNames: Buffer.from(before === undefined ? `${behind}/` : `/${behind}/`),
  }
}

const containsCondition = (text: string): PathCondition => {
  const { before, behind } = cut(text)
  return {
    verdict(directory) {
      if (`${directory}/`.includes(text)) return 'all'
      return before === undefined || directory.endsWith(before) ? 'name' : 'none'
    },
    inNames: Buffer.from(before === undefined ? behind : `/${behind}`),
  }
}

/**
 * One byte a row: 1 where the name has `pattern` in it. A pattern may begin with the slash before a name, and end with the
 * one behind it.
 *
 * @param lengths of the names, bytes
 */
export const rowsWithName = (names: Bytes, lengths: Uint16Array, pattern: Bytes): Uint8Array => {
  const hits = new Uint8Array(lengths.length)
  const text = Buffer.from(names.buffer, names.byteOffset, names.length)
  let row = 0
  let end = 1 + (lengths[0] as number) // The slash behind the name.
  for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, end)) {
    while (at >= end && row < lengths.length) end += (lengths[++row] as number) + 1
    if (row >= lengths.length) break // The very last slash is before no name.
    hits[row] = 1
  }
  return hits
}
