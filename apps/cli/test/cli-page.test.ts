import { readFile } from 'node:fs/promises'
import { projectPath } from '@granary/testing'
import t from 'tap'
import { loadCommands } from '../src/commands/index.ts'
import { COMMON_OPTIONS } from '../src/common-options.ts'
import type { OptionRow } from '../src/command.ts'

/** The section under a heading, up to the next one. */
const sectionOf = (page: string, heading: string): string | undefined => {
  const lines = page.split('\n')
  const from = lines.indexOf(heading)
  if (from < 0) return undefined
  const length = lines.slice(from + 1).findIndex(line => line.startsWith('#'))
  return lines.slice(from + 1, length < 0 ? undefined : from + 1 + length).join('\n')
}

/** First and second cells of all table rows whose first cell is code. */
const rowsOf = (section: string): Record<string, string> =>
  Object.fromEntries(
    [...section.matchAll(/^\| `([^`]+)` +\| (.*?) +\|$/gm)].map(([, name = '', meaning = '']) => [
      name.replaceAll(String.raw`\|`, '|'),
      meaning.replaceAll(String.raw`\|`, '|'),
    ]),
  )

const optionRows = (options: readonly OptionRow[]): [string, string][] =>
  options.map(({ flags, description, isRepeated }) => [
    flags,
    `${description}${isRepeated === true ? '; may be repeated' : ''}`,
  ])

t.test('docs/cli.md says of every command what its help says', async t => {
  const page = await readFile(projectPath('docs/cli.md'), 'utf8')
  const commands = await loadCommands()
  for (const command of commands) {
    const section = sectionOf(page, `### granary ${command.name}`)
    if (section === undefined) {
      t.fail(`granary ${command.name} has no section`)
      continue
    }
    const rows = (command.arguments ?? []).map(({ name, description }) => [name, description] as const)
    t.strictSame(
      rowsOf(section),
      Object.fromEntries([...rows, ...optionRows(command.options ?? [])]),
      `granary ${command.name}`,
    )
    t.ok(section.toLowerCase().includes(`${command.summary.toLowerCase()}.`), `${command.name}: summary`)
    for (const example of command.examples ?? []) t.ok(section.includes(example), example)
  }
  const sections = [...page.matchAll(/^### granary (.+)$/gm)].map(([, name]) => name)
  t.strictSame(
    sections,
    commands.map(({ name }) => name),
    'no section of a command that is gone',
  )
  t.strictSame(
    rowsOf(sectionOf(page, '## Options of every command') ?? ''),
    Object.fromEntries(optionRows(COMMON_OPTIONS)),
  )
})
