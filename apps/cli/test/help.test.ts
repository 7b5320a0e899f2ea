import { parseJsonLines, runGranary } from '@granary/testing'
import t from 'tap'
import { loadCommands } from '../src/commands/index.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { granary, scratchFolder } from './in-process.ts'

const commands = await loadCommands()

t.test('a process of its own says what there is, and which version', async t => {
  const help = await runGranary(['--help'])
  t.equal(help.code, 0)
  t.equal(help.stderr, '')
  for (const { name, summary } of commands) {
    t.match(help.text, ` ${name.split(' ')[0]} `, name)
    if (!name.includes(' ')) t.match(help.text, summary, name)
  }
  t.match((await runGranary(['--version'])).text, /^\d+\.\d+\.\d+\n$/)
})

t.test('every command explains itself, with every option it takes', async t => {
  for (const command of commands) {
    const { code, text } = await granary([...command.name.split(' '), '--help'])
    t.equal(code, 0, command.name)
    const shown = text.replaceAll(/\s+/g, ' ')
    for (const { flags } of command.options ?? []) t.ok(shown.includes(flags), `${command.name} ${flags}`)
    for (const flag of ['--repo', '--key-file', '--password-file', '--json'])
      t.ok(shown.includes(flag), `${command.name} ${flag}`)
    for (const example of command.examples ?? []) t.ok(text.includes(example), `${command.name}: ${example}`)
  }
})

const MISTAKES: readonly (readonly string[])[] = [
  [],
  ['bogus'],
  ['key'],
  ['key', 'bogus'],
  ['restore'],
  ['restore', 'latest'],
  ['snapshots', '--bogus'],
  ['show', 'a', 'b'],
  ['backup', '--name'],
  ['snapshots'],
]

t.test(
  'a mistake on the command line is told with its code, as text and as JSON, and nothing on standard output',
  async t => {
    for (const words of MISTAKES) {
      const name = words.join(' ') || '(nothing)'
      const plain = await granary(words)
      t.equal(plain.code, 2, name)
      t.equal(plain.text, '', name)
      t.match(plain.stderr, 'GRANARY_INVALID_ARGUMENT', name)
      if (words.length === 0 || (words.length === 1 && words[0] === 'key')) continue // Help comes before the error.
      const json = await granary([...words, '--json'])
      t.equal(json.code, 2, name)
      t.equal(json.text, '', name)
      const [error, ...more] = parseJsonLines(json.stderr)
      t.match(error, { type: 'error', v: 1, code: 'GRANARY_INVALID_ARGUMENT', message: String, hint: String }, name)
      t.same(more, [], name)
    }
  },
)

t.test('a command line loads the commands of its first word and no others, and all where there is none', async t => {
  const words = new Set(commands.map(({ name }) => name.split(' ', 1).join()))
  for (const word of words) {
    const loaded = (await loadCommands(word)).map(({ name }) => name)
    const wanted = commands.map(({ name }) => name).filter(name => name.split(' ', 1).join() === word)
    t.strictSame(loaded, wanted, word)
  }
  t.equal((await loadCommands('--json')).length, commands.length)
})

t.test('a word that is nearly a command is met with the command', async t => {
  t.match((await granary(['snapshot'])).stderr, /Did you mean snapshots/)
})

t.test('an error of the system is told with a code, too', async t => {
  const folder = scratchFolder(t)
  const { code, stderr } = await granary(['info', `raw:${folder}/missing`, '--json'])
  t.equal(code, 10)
  t.match(parseJsonLines(stderr)[0], { code: 'GRANARY_NOT_FOUND', hint: String, detail: { errno: 'ENOENT' } })
})

t.test(
  'exit codes lie in the ranges that are documented, and those of the repository differ from those of damage',
  t => {
    for (const [code, exit] of Object.entries(EXIT_CODES)) {
      t.ok(exit === 2 || (exit >= 10 && exit < 40) || exit === 130, `${code} ${exit}`)
    }
    t.equal(new Set(Object.values(EXIT_CODES)).size, Object.keys(EXIT_CODES).length, 'each its own')
    t.end()
  },
)
