/** The file that tells which names had to be changed. @module */
import type { Bytes } from '@granary/core'
import { changedNames } from './names.ts'
import { directoriesBelow, pathOf } from './node.ts'
import type { IsoDirectory } from './node.ts'

/** Of the list: paths of deep folders are long, and there may be half a million of them. */
const MAX_LIST_CHARACTERS = 16 * 1024 * 1024

export interface NameList {
  /** Of all names that were changed. */
  readonly count: number
  readonly text: Bytes
}

const INTRODUCTION = [
  'Names that a view of this image can not hold as they are, and what they are called there.',
  'One line a name: view (Rock Ridge: Linux, as iso9660; Joliet: old Windows; UDF: Windows, Linux), name in it, path.',
  'In names and paths \\t, \\n, \\r and \\\\ stand for a tab, an end of line and a backslash.',
  '',
]

export const listChangedNames = (root: IsoDirectory): NameList | undefined => {
  const lines: string[] = []
  let [count, characters] = [0, 0]
  for (const directory of directoriesBelow(root)) {
    const path = pathOf(directory)
    for (const node of directory.children)
      for (const { view, name } of changedNames(node)) {
        count++
        if (characters > MAX_LIST_CHARACTERS) continue
        const line = [view, name, `${path}/${node.name.text}`].map(escape).join('\t')
        lines.push(line)
        characters += line.length
      }
  }
  if (count === 0) return undefined
  if (lines.length < count) lines.push('', `The list ends here: ${count - lines.length} more names were changed.`)
  return { count, text: Buffer.from([...INTRODUCTION, ...lines, ''].join('\n')) }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

const escape = (text: string): string => text.replaceAll(/[\\\t\n\r]/gu, character => ESCAPES[character] ?? character)
