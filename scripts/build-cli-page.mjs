// Writes the tables, usage lines and examples of docs/cli.md anew from the command table; what stands between them is
// written by hand and stays. Run it after a change of a command: npm run cli-page (it needs a build).
import { readFileSync, writeFileSync } from 'node:fs'
import { loadCommands } from '../apps/cli/dist/src/commands/index.js'

const PAGE = 'docs/cli.md'
const commands = await loadCommands()
const MARK = '## Commands\n'
const page = readFileSync(PAGE, 'utf8')
const [head, body] = [page.slice(0, page.indexOf(MARK) + MARK.length), page.slice(page.indexOf(MARK) + MARK.length)]

/** The hand-written part of each section. */
const prose = new Map()
for (const section of body.split(/^### granary /m).slice(1)) {
  const [name, ...lines] = section.split('\n')
  const rest = lines.join('\n').replace(/^```sh\n[^]*?^```$/gm, '')
  const paragraphs = rest
    .split(/\n{2,}/)
    .map(text => text.trim())
    .filter(text => text !== '')
  const isGenerated = (text, i) => /^\|/.test(text) || (i < 2 && /^(granary |[A-Z][^.]*\.$)/.test(text))
  prose.set(
    name,
    paragraphs.filter((text, i) => !isGenerated(text, i)),
  )
}

const cell = text => text.replaceAll('|', String.raw`\|`)
const table = (title, rows) =>
  rows.length === 0
    ? []
    : [
        [
          `| ${title} | meaning |`,
          '| --- | --- |',
          ...rows.map(([name, text]) => `| \`${cell(name)}\` | ${cell(text)} |`),
        ].join('\n'),
      ]
const capital = text => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`

const sections = commands.map(({ name, summary, arguments: given = [], options = [], examples = [] }) =>
  [
    `### granary ${name}`,
    `    granary ${[name, '[options]', ...given.map(argument => argument.name)].join(' ')}`,
    capital(summary),
    ...table(
      'argument',
      given.map(argument => [argument.name, argument.description]),
    ),
    ...table(
      'option',
      options.map(option => [option.flags, `${option.description}${option.isRepeated ? '; may be repeated' : ''}`]),
    ),
    ...(prose.get(name) ?? []),
    ...(examples.length === 0 ? [] : [['```sh', ...examples, '```'].join('\n')]),
  ].join('\n\n'),
)
writeFileSync(PAGE, `${head}\n${sections.join('\n\n')}\n`)
