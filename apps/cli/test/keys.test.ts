import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines } from '@granary/testing'
import t from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'

const modeOf = (path: string): number => statSync(path).mode & 0o777

const writeSecret = (path: string, content: string | Uint8Array, mode = 0o600): string => {
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

t.test('init makes a key file of 32 bytes for its owner only, and says so', async t => {
  const folder = scratchFolder(t)
  const key = join(folder, 'key')
  const { code, stdout, stderr } = await granary(['init', join(folder, 'repo'), '--key-file', key, '--json'])
  t.equal(code, 0, stderr)
  t.match(parseJsonLines(stdout.toString()), [{ type: 'repository', v: 1, id: /^[0-9a-f]{32}$/, createdKeyFile: key }])
  t.equal(statSync(key).size, 32)
  t.equal(modeOf(key), 0o600)
})

t.test('init uses a key file that exists, as it is', async t => {
  const folder = scratchFolder(t)
  const key = writeSecret(join(folder, 'key'), Buffer.alloc(32, 7))
  const { code, text } = await granary(['init', join(folder, 'repo'), '--key-file', key])
  t.equal(code, 0)
  t.notMatch(text, 'made the key file')
  t.same(readFileSync(key), Buffer.alloc(32, 7))
})

t.test('a key file of another length is refused: no line end, no hexadecimal', async t => {
  const folder = scratchFolder(t)
  for (const [name, content] of [
    ['empty', ''],
    ['short', Buffer.alloc(31)],
    ['line end', Buffer.alloc(33, 10)],
    ['hexadecimal', 'ab'.repeat(32)],
  ] as const) {
    const key = writeSecret(join(folder, name), content)
    const { code, stderr } = await granary(['init', join(folder, `repo-${name}`), '--key-file', key])
    t.equal(code, 2, name)
    t.match(stderr, /expected 32 bytes.*GRANARY_INVALID_ARGUMENT/, name)
    t.notOk(existsSync(join(folder, `repo-${name}`)), 'nothing was made')
  }
})

t.test('an init that fails leaves no new key file, and never touches one that was there', async t => {
  const { folder, repo, key } = await createRepository(t)
  const fresh = join(folder, 'fresh')
  t.equal((await granary(['init', repo, '--key-file', fresh])).code, 11)
  t.notOk(existsSync(fresh))
  t.equal((await granary(['init', join(folder, 'other'), '--key-file', fresh, '--suite', 'rot13'])).code, 15)
  t.notOk(existsSync(fresh))
  t.equal((await granary(['init', repo, '--key-file', key])).code, 11)
  t.ok(existsSync(key))
})

t.test('loose permissions are warned of, and never refused', async t => {
  const { key, env, folder } = await createRepository(t)
  chmodSync(key, 0o644)
  const loose = await granary(['snapshots', '--json'], { env })
  t.equal(loose.code, 0)
  t.match(parseJsonLines(loose.stderr), [{ type: 'warning', v: 1, message: /mode 0644/ }])
  const password = writeSecret(join(folder, 'password'), 'correct horse\n', 0o640)
  const made = await granary(['init', join(folder, 'second'), '--password-file', password])
  t.equal(made.code, 0)
  t.match(made.stderr, /can be read by others/)
})

t.test('without a key or passphrase there is an error, never a question to nobody', async t => {
  const { repo, folder } = await createRepository(t)
  for (const words of [
    ['init', join(folder, 'other')],
    ['snapshots', '--repo', repo],
    ['key', 'export'],
  ]) {
    const { code, stderr } = await granary(words)
    t.equal(code, 2, words[0] as string)
    t.match(stderr, 'GRANARY_INVALID_ARGUMENT')
    t.match(stderr, '--key-file')
  }
  t.notOk(existsSync(join(folder, 'other')))
})

t.test('a flag beats the environment, for the repository and for the secret, also one of the other kind', async t => {
  const { folder, repo, key } = await createRepository(t)
  const wrong = writeSecret(join(folder, 'wrong'), Buffer.alloc(32, 9))
  const password = writeSecret(join(folder, 'password'), 'nobody knows\n')
  const code = async (words: readonly string[], env: Record<string, string>): Promise<number> =>
    (await granary(['snapshots', ...words], { env })).code
  t.equal(await code([], { GRANARY_REPO: repo, GRANARY_KEY_FILE: key }), 0)
  t.equal(await code([], { GRANARY_REPO: repo, GRANARY_KEY_FILE: wrong }), 13)
  t.equal(await code(['--key-file', key], { GRANARY_REPO: repo, GRANARY_KEY_FILE: wrong }), 0)
  t.equal(await code(['--key-file', key], { GRANARY_REPO: repo, GRANARY_PASSWORD_FILE: password }), 0)
  t.equal(await code(['--password-file', password], { GRANARY_REPO: repo, GRANARY_KEY_FILE: key }), 13)
  t.equal(await code(['--repo', repo], { GRANARY_REPO: folder, GRANARY_KEY_FILE: key }), 0)
  t.equal(await code(['--repo', folder], { GRANARY_REPO: repo, GRANARY_KEY_FILE: key }), 10)
  t.equal(await code(['--key-file', key, '--password-file', password], { GRANARY_REPO: repo }), 2, 'both')
  t.equal(await code([], { GRANARY_REPO: '', GRANARY_KEY_FILE: key }), 2, 'an empty variable is none')
  t.equal(
    (await granary(['check', repo], { env: { GRANARY_REPO: folder, GRANARY_KEY_FILE: key } })).code,
    0,
    'positional',
  )
})

t.test('a passphrase is the first line of its file, and nothing else opens what it closed', async t => {
  const folder = scratchFolder(t)
  const repo = join(folder, 'repo')
  const good = writeSecret(join(folder, 'good'), 'correct horse battery staple\nnot this\n')
  const same = writeSecret(join(folder, 'same'), 'correct horse battery staple')
  const wrong = writeSecret(join(folder, 'wrong'), 'correct horse battery stapler\n')
  const empty = writeSecret(join(folder, 'empty'), '\nsecret\n')
  t.equal((await granary(['init', repo, '--password-file', good])).code, 0)
  const env = { GRANARY_REPO: repo }
  t.equal((await granary(['snapshots', '--password-file', same], { env })).code, 0)
  const refused = await granary(['snapshots', '--password-file', wrong, '--json'], { env })
  t.equal(refused.code, 13)
  t.match(parseJsonLines(refused.stderr)[0], { code: 'GRANARY_WRONG_KEY', hint: String })
  t.notMatch(refused.stderr, 'stapler', 'secrets are not repeated')
  t.equal((await granary(['snapshots', '--password-file', empty], { env })).code, 2)
  t.equal((await granary(['snapshots', '--password-file', join(folder, 'missing')], { env })).code, 10)
})

t.test('key slots are listed, added, used and removed; the last one stays', async t => {
  const { folder, repo, env } = await createRepository(t)
  const password = writeSecret(join(folder, 'password'), 'for the safe\n')
  const list = async (): Promise<Record<string, unknown>[]> =>
    parseJsonLines((await granary(['key', 'list', '--json'], { env })).text)
  const [first] = await list()
  t.match(first, { type: 'slot', v: 1, id: /^[0-9a-f]{16}$/, kind: 'key-file', label: String, created: String })

  const added = await granary(['key', 'add', '--new-password-file', password, '--label', 'safe', '--json'], { env })
  t.equal(added.code, 0, added.stderr)
  const newKey = join(folder, 'new-key')
  t.equal((await granary(['key', 'add', '--new-key-file', newKey], { env })).code, 0)
  t.equal(modeOf(newKey), 0o600)
  const slots = await list()
  t.equal(slots.length, 3)
  t.equal(slots.filter(slot => slot['kind'] === 'passphrase').length, 1)
  t.ok(slots.some(slot => slot['label'] === 'safe'))
  t.equal((await granary(['snapshots', '--repo', repo, '--password-file', password])).code, 0)
  t.equal((await granary(['snapshots', '--repo', repo, '--key-file', newKey])).code, 0)

  t.equal(
    (await granary(['key', 'remove', first?.['id'] as string], { env: { ...env, GRANARY_KEY_FILE: newKey } })).code,
    0,
  )
  t.equal((await granary(['snapshots'], { env })).code, 13, 'the removed key opens nothing')
  const env2 = { ...env, GRANARY_KEY_FILE: newKey }
  t.equal((await granary(['key', 'remove', 'ffffffffffffffff'], { env: env2 })).code, 10)
  for (const { id, kind } of slots.filter(slot => slot['kind'] === 'passphrase'))
    t.equal((await granary(['key', 'remove', id as string], { env: env2 })).code, 0, kind as string)
  const last = parseJsonLines((await granary(['key', 'list', '--json'], { env: env2 })).text)[0]
  const refused = await granary(['key', 'remove', last?.['id'] as string], { env: env2 })
  t.equal(refused.code, 2)
  t.match(refused.stderr, /last key slot/)
  t.equal((await granary(['key', 'add'], { env: env2 })).code, 2, 'which secret?')
  t.equal((await granary(['snapshots'], { env: env2 })).code, 0)
})

t.test('a key printed for paper can be typed in again', async t => {
  const { key, env } = await createRepository(t)
  const { code, text } = await granary(['key', 'export'], { env })
  t.equal(code, 0)
  const lines = text.split('\n').filter(line => /^[0-9a-f]{16} {2}[0-9a-f]{4}$/.test(line))
  t.equal(lines.length, 4)
  t.same(Buffer.from(lines.map(line => line.slice(0, 16)).join(''), 'hex'), readFileSync(key))
  const [object] = parseJsonLines((await granary(['key', 'export', '--json'], { env })).text)
  t.match(object, { type: 'key', v: 1, hex: readFileSync(key).toString('hex'), lines })
})
