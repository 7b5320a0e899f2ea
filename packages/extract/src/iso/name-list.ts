/** The file that tells which names had to be changed. @module */
import type { Bytes } from '@granary/core'
import { changedNames } from './names.ts'
import { directoriesBelow, pathOf } from './node.ts'
import type { IsoDirectory } from './node.ts'

export interface NameList {
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
  for (const directory of directoriesBelow(root)) {
    for (const node of directory.children)
      for (const { view, name } of changedNames(node)) lines.push([view, name, pathOf(node)].map(escape).join('\t'))
  }
  if (lines.length === 0) return undefined
  return { count: lines.length, text: Buffer.from([...INTRODUCTION, ...lines, ''].join('\n')) }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

const escape = (text: string): string => text.replaceAll(/[\\\t\n\r]/gu, character => ESCAPES[character] ?? character)
