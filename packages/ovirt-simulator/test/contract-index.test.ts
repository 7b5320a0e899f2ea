/**
 * Whether every section of the contract that states what was read in the engine's source ([S]) or captured from the real
 * thing ([R]) has a test that names it: `§4.3 ...`. How the engine answers is tested here, what a client must make of it
 * in ovirt-adapter.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { projectPath, sharedPath } from '@granary/testing'
import t from 'tap'

const path = sharedPath('ovirt', 'CONTRACT.md')
const skip = path === undefined ? 'no ../shared/ovirt/CONTRACT.md' : false

/** The contract's reference part; flows, anecdotes and tables of attributes follow it. */
const LAST_SECTION = 11

interface Section {
  readonly number: string
  readonly isMarked: boolean
}

/** Sections in their order. What the heading of a section says holds for those in it. */
const sectionsOf = (contract: string): Section[] => {
  const sections: { number: string; isMarked: boolean }[] = []
  const marked = new Set<string>()
  for (const line of contract.split('\n')) {
    const [, number] = /^#{2,3} (\d+(?:\.\d+)?)[. ]/.exec(line) ?? []
    if (number !== undefined) sections.push({ number, isMarked: marked.has(number.split('.')[0] ?? '') })
    const current = sections.at(-1)
    if (current === undefined || !/\[[SR](?:\]|: | )/.test(line)) continue
    current.isMarked = true
    if (number !== undefined) marked.add(number)
  }
  return sections.filter(section => Number.parseInt(section.number, 10) <= LAST_SECTION)
}

/** The titles of all tests of a package. */
const titlesOf = (name: string): string[] => {
  const folder = projectPath('packages', name, 'test')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .flatMap(file => [
      ...readFileSync(join(folder, file), 'utf8').matchAll(/(?:\btest\(\s*|\[\s*(?='§))(?:`([^`]*)`|'([^']*)')/g),
    ])
    .map(([, template, plain]) => template ?? plain ?? '')
}

const namedIn = (titles: readonly string[]): Set<string> =>
  new Set(titles.flatMap(title => [...title.matchAll(/§(\d+(?:\.\d+)?)/g)].map(([, number = '']) => number)))

t.test('every section with a statement that was read or captured is named by a test', { skip }, async t => {
  const sections = sectionsOf(readFileSync(path ?? '', 'utf8'))
  const marked = sections.filter(({ isMarked }) => isMarked).map(({ number }) => number)
  t.ok(marked.length > 25, `${marked.length} sections are marked`)
  const named = namedIn(['ovirt-simulator', 'ovirt-adapter'].flatMap(titlesOf))
  t.same(
    marked.filter(number => !named.has(number)),
    [],
    'sections without a test',
  )
  const known = new Set(sections.map(({ number }) => number))
  t.same(
    [...named].filter(number => Number.parseInt(number, 10) <= LAST_SECTION && !known.has(number)),
    [],
    'sections that tests name, and the contract does not have',
  )
})

t.test('sections are found by their marks, and by those of the section that they are in', async t => {
  const contract = ['## 1. One', '### 1.1 a **[S]**', 'text', '### 1.2 b', 'a **[R: r91]** fact', '### 1.3 c [I]']
  const six = ['## 6. Six (**[R]**)', '### 6.1 d', '## 12. Flows [S]']
  t.same(
    sectionsOf([...contract, ...six].join('\n')).map(({ number, isMarked }) => [number, isMarked]),
    [
      ['1', false],
      ['1.1', true],
      ['1.2', true],
      ['1.3', false],
      ['6', true],
      ['6.1', true],
    ],
  )
  t.same([...namedIn(['§0.2 §1.1 a', 'b (§4.3)', 'c'])], ['0.2', '1.1', '4.3'])
})
