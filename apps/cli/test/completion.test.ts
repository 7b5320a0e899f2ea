import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { granary, scratchFolder } from './in-process.ts'

const whyNo = (shell: string): string | false =>
  spawnSync(shell, ['--version']).status === 0 ? false : `needs ${shell}`

/** Words that bash offers for a line, after the script was loaded. */
const bashOffers = (script: string, words: readonly string[]): string[] => {
  const program = `source '${script}' || exit 9
COMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
_granary || true
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', program], {
    encoding: 'utf8',
    cwd: dirname(script), // Files of the current folder are offered, too.
    env: { ...process.env, LC_ALL: 'C' }, // It warns of a locale that is not installed, as one that comes by ssh may be.
  })
  if (status !== 0 || stderr !== '') throw new Error(`bash ${status}: ${stderr}`)
  return stdout.split('\n').filter(word => word !== '')
}

const saveScript = async (t: Test, shell: string): Promise<string> => {
  const path = join(scratchFolder(t), `granary.${shell}`)
  const { code, text } = await granary(['completion', shell])
  t.equal(code, 0)
  writeFileSync(path, text)
  return path
}

t.test('bash completes commands, second words, options and their values', { skip: whyNo('bash') }, async t => {
  const script = await saveScript(t, 'bash')
  t.same(bashOffers(script, ['granary', 'rest']), ['restore'])
  t.same(bashOffers(script, ['granary', 'key', 'e']), ['export'])
  t.same(bashOffers(script, ['granary', 'restore', '--over']), ['--overwrite-different'])
  t.same(bashOffers(script, ['granary', 'init', '--suite', 'ch']), ['chacha20-poly1305'])
  t.same(bashOffers(script, ['granary', 'settings', '--suite', 'kuz']), ['kuznyechik-mgm', 'kuznyechik-256-ctr-blake3'])
  t.same(bashOffers(script, ['granary', 'completion', '--js']), ['--json'])
})

t.test('zsh takes the script', { skip: whyNo('zsh') }, async t => {
  const script = await saveScript(t, 'zsh')
  const { status, stderr } = spawnSync('zsh', ['-f', '-n', script], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.equal(stderr, '')
})

t.test('fish takes the script, and completes with it', { skip: whyNo('fish') }, async t => {
  const script = await saveScript(t, 'fish')
  const program = `source ${script}; complete -C 'granary res'`
  const { status, stdout, stderr } = spawnSync('fish', ['--no-config', '-c', program], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.match(stdout, /^restore\t/m)
})

t.test('another shell is refused by name', async t => {
  const { code, stderr } = await granary(['completion', 'tcsh'])
  t.equal(code, 2)
  t.match(stderr, /expected bash, zsh or fish \(GRANARY_INVALID_ARGUMENT\)/)
})
