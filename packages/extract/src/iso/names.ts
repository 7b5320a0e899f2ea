/**
 * Names in the four views of an image: each has its own limits, and in each all names of a directory are unique.
 * A name that fits stays as it is; only then others are adapted, so that they never take the name of one that fits.
 *
 * @module
 */
import { bytesOfName } from '@granary/guestfs'
import type { Name } from '@granary/guestfs'
import { isDirectory } from './node.ts'
import type { IsoDirectory, IsoNode } from './node.ts'
import { isLatin1 } from './udf/descriptor.ts'
import { linkContent } from './udf/file-entry.ts'

/** What names look like in one view. */
interface NameRules {
  /** The nearest valid text of any length. */
  adapt(name: Name, isFolder: boolean): string
  /** Length of a text, in the units of `limit`. */
  measure(text: string): number
  readonly limit: number
  /** Two names are one when this is the same. */
  fold(text: string): string
  /** Stands before the number that makes a name unique. */
  readonly mark: string
  /** True when the view shows the name itself. */
  isKept(name: Name, text: string): boolean
}

/** Longer endings are no extensions, and are cut with the rest. */
const MAX_EXTENSION_CHARACTERS = 16

const same = (text: string): string => text

const isWhole = (name: Name, text: string): boolean => name.bytes === undefined && text === name.text

/** ECMA-119, 7.5.1 and 7.6.1 at level 3: 30 d-characters, and in files a dot. */
const isoRules: NameRules = {
  adapt(name, isFolder) {
    const text = name.text.toUpperCase().replaceAll(/[^A-Z0-9_.]/gu, '_')
    const dot = isFolder ? -1 : text.lastIndexOf('.')
    const stem = (dot < 0 ? text : text.slice(0, dot)).replaceAll('.', '_')
    return dot < 0 ? stem : `${stem}.${text.slice(dot + 1)}`
  },
  measure: text => text.length - (text.includes('.') ? 1 : 0),
  limit: 30,
  fold: same,
  mark: '_',
  isKept: isWhole,
}

/** RRIP 4.1.4 sets no limit; Linux takes no more than 253 bytes. Any byte may stand in a name. */
const rockRidgeRules: NameRules = {
  adapt: name => Buffer.from(bytesOfName(name)).toString('latin1'),
  measure: text => text.length,
  limit: 253,
  fold: same,
  mark: '~',
  isKept: () => true,
}

const FORBIDDEN_IN_JOLIET = /[\p{Cc}*/:;?\\]/gu

/** Joliet, "Allowed Character Set": 64 units of UCS-2. Windows takes two names that differ by case for one. */
const jolietRules: NameRules = {
  adapt: name => name.text.replaceAll(FORBIDDEN_IN_JOLIET, '_'),
  measure: text => text.length,
  limit: 64,
  fold: text => text.toLowerCase(),
  mark: '~',
  isKept: isWhole,
}

/** UDF 2.1.1: 254 characters below 256, or 127 units of 16 bits. A name that is no UTF-8 can't be had there. */
const udfRules: NameRules = {
  adapt: ({ text, bytes }) => (bytes === undefined ? text : text.replaceAll('?', '_')),
  measure: text => (isLatin1(text) ? text.length : 2 * text.length),
  limit: 254,
  fold: same,
  mark: '~',
  isKept: isWhole,
}

/** Gives the children of a directory their names in every view. */
export const assignNames = ({ children }: IsoDirectory): void => {
  assign(children, isoRules, (node, text) => {
    node.names.iso = isDirectory(node) ? text : `${text.includes('.') ? text : `${text}.`};1`
  })
  assign(children, rockRidgeRules, (node, text) => {
    node.names.rockRidge = text
  })
  assign(children.filter(isInJoliet), jolietRules, (node, text) => {
    node.names.joliet = text
  })
  assign(children.filter(isInUdf), udfRules, (node, text) => {
    node.names.udf = text
  })
}

const isInJoliet = ({ file: { stat } }: IsoNode): boolean => stat.type === 'dir' || stat.type === 'file'

/** A link is in UDF when its target fits into its file entry. */
const isInUdf = (node: IsoNode): boolean =>
  isInJoliet(node) || (node.file.target !== undefined && linkContent(node.file.target) !== undefined)

/** The views in which a file doesn't have its own name, and the name it has there. */
export const changedNames = (node: IsoNode): readonly { readonly view: string; readonly name: string }[] => {
  const { names, name } = node
  const changed = []
  if (names.rockRidge !== rockRidgeRules.adapt(name, false))
    changed.push({ view: 'Rock Ridge', name: Buffer.from(names.rockRidge, 'latin1').toString() })
  if (names.joliet !== undefined && !isWhole(name, names.joliet)) changed.push({ view: 'Joliet', name: names.joliet })
  if (names.udf !== undefined && !isWhole(name, names.udf)) changed.push({ view: 'UDF', name: names.udf })
  if (names.udf === undefined && node.file.target !== undefined)
    changed.push({ view: 'UDF', name: '(not there: the target of the link is too long)' })
  return changed
}

const assign = (nodes: readonly IsoNode[], rules: NameRules, set: (node: IsoNode, text: string) => void): void => {
  const used = new Set<string>()
  const numbers = new Map<string, number>()
  const others: [IsoNode, string][] = []
  for (const node of nodes) {
    const text = rules.adapt(node.name, isDirectory(node))
    const fits = rules.isKept(node.name, text) && rules.measure(text) <= rules.limit
    if (!fits || used.has(rules.fold(text))) others.push([node, text])
    else {
      used.add(rules.fold(text))
      set(node, text)
    }
  }
  for (const [node, text] of others) {
    const name = uniqueName(text, rules, { used, numbers })
    used.add(rules.fold(name))
    set(node, name)
  }
}

interface Taken {
  readonly used: ReadonlySet<string>
  /** The next number to try for a stem, so that a thousand equal stems are not a million trials. */
  readonly numbers: Map<string, number>
}

const uniqueName = (text: string, rules: NameRules, { used, numbers }: Taken): string => {
  if (text !== '' && rules.measure(text) <= rules.limit && !used.has(rules.fold(text))) return text
  const dot = text.lastIndexOf('.')
  const hasExtension = dot > 0 && text.length - dot <= MAX_EXTENSION_CHARACTERS
  const extension = hasExtension ? text.slice(dot) : ''
  const stem = hasExtension ? text.slice(0, dot) : text
  // Room for six digits: more entries than that no image has.
  const shortened = cut(stem, extension + rules.mark + '000000', rules)
  const key = rules.fold(`${shortened}/${extension}`)
  for (let number = numbers.get(key) ?? 1; ; number++) {
    const name = `${shortened}${rules.mark}${number}${extension}`
    if (used.has(rules.fold(name))) continue
    numbers.set(key, number + 1)
    return name
  }
}

/** The longest beginning that fits together with `rest` and doesn't end inside a character. */
const cut = (stem: string, rest: string, rules: NameRules): string => {
  let length = stem.length
  while (length > 0 && rules.measure(stem.slice(0, length) + rest) > rules.limit) length--
  while (length > 0 && length < stem.length && isInsideCharacter(stem.charCodeAt(length), rules)) length--
  return stem.slice(0, length)
}

/** A low surrogate, or in bytes a byte that goes on a sequence of UTF-8. */
const isInsideCharacter = (code: number, rules: NameRules): boolean =>
  rules === rockRidgeRules ? (code & 0xc0) === 0x80 : code >= 0xdc00 && code <= 0xdfff
