import { readFile } from 'node:fs/promises'
import t from 'tap'
import { projectPath } from '@granary/testing'
import { EXIT_CODES, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_WARNINGS } from '../src/exit-codes.ts'

const rowsOf = (page: string): string[][] =>
  page
    .split('\n')
    .filter(line => /^\| \d/.test(line))
    .map(line => line.split('|').map(cell => cell.trim()))

t.test('docs/exit-codes.md and the table agree', async t => {
  const rows = rowsOf(await readFile(projectPath('docs/exit-codes.md'), 'utf8'))
  const coded = rows.filter(([, , code]) => code?.startsWith('`GRANARY_'))
  const shown = Object.fromEntries(coded.map(([, exit, code]) => [code?.replaceAll('`', ''), Number(exit)]))
  t.strictSame(shown, EXIT_CODES)
  t.equal(coded.length, Object.keys(EXIT_CODES).length, 'each code has one row')
  const others = new Set(rows.filter(row => !coded.includes(row)).map(([, exit]) => Number(exit)))
  for (const exit of [EXIT_OK, EXIT_FAILED, EXIT_WARNINGS, EXIT_INTERRUPTED])
    t.ok(others.has(exit), `${exit} is told of`)
})

t.test('no two codes of the same group share an exit code', async t => {
  const exits = Object.values(EXIT_CODES)
  t.equal(new Set(exits).size, exits.length)
})
