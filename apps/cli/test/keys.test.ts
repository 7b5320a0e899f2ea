import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
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

t.test('a key printed for paper can be typed in again, and a wrong line is named', async t => {
  const { folder, key, env } = await createRepository(t)
  const { code, text } = await granary(['key', 'export'], { env })
  t.equal(code, 0)
  const page = join(folder, 'page.txt')
  writeFileSync(page, text)
  const [copy, second, third] = [join(folder, 'copy'), join(folder, 'second'), join(folder, 'third')]
  const typed = await granary(['key', 'import', page, copy, '--json'])
  t.equal(typed.code, 0, typed.stderr)
  t.match(parseJsonLines(typed.text), [{ type: 'keyFile', v: 1, kind: 'key-file', path: copy }])
  t.same(readFileSync(copy), readFileSync(key))
  t.equal(modeOf(copy), 0o600)
  t.equal((await granary(['key', 'import', page, copy])).code, 11, 'never over a file')

  const hex = (await granary(['key', 'export', '--hex'], { env })).text
  t.match(hex, /^[0-9a-f]{64}\n$/)
  t.equal((await granary(['key', 'import', '-', second], { input: [Buffer.from(hex)] })).code, 0)
  t.same(readFileSync(second), readFileSync(key))
  const [object] = parseJsonLines((await granary(['key', 'export', '--json'], { env })).text)
  t.match(object, { type: 'key', v: 1, hex: hex.trim(), lines: [/^1 /, /^2 /, /^3 /, /^4 /, /^all /] })

  const line = text.split('\n').find(each => each.startsWith('3 ')) as string
  const mistyped = text.replace(
    line,
    line.replace(/[0-9a-f]$/, digit => (digit === '0' ? '1' : '0')),
  )
  const refused = await granary(['key', 'import', '-', third, '--json'], { input: [Buffer.from(mistyped)] })
  t.equal(refused.code, 2)
  t.match(parseJsonLines(refused.stderr), [{ code: 'GRANARY_INVALID_ARGUMENT', detail: { line: 3 } }])
  t.notOk(existsSync(third))
})

t.test('key create makes a key file, or a pair for escrow, and never half of one', async t => {
  const folder = scratchFolder(t)
  const [key, escrow] = [join(folder, 'key'), join(folder, 'escrow.pem')]
  t.equal((await granary(['key', 'create', key])).code, 0)
  t.equal(statSync(key).size, 32)
  t.equal(modeOf(key), 0o600)
  t.equal((await granary(['key', 'create', key])).code, 11)
  const { code, text } = await granary(['key', 'create', '--escrow', escrow, '--json'])
  t.equal(code, 0)
  t.match(parseJsonLines(text), [{ type: 'keyFile', v: 1, kind: 'escrow', path: escrow, publicPath: `${escrow}.pub` }])
  t.equal(modeOf(escrow), 0o600)
  t.match(readFileSync(`${escrow}.pub`, 'utf8'), /BEGIN PUBLIC KEY/)
  const other = join(folder, 'other')
  writeFileSync(`${other}.pub`, 'here already')
  t.equal((await granary(['key', 'create', '--escrow', other])).code, 11)
  t.notOk(existsSync(other), 'no private key without its public one')
})

t.test('escrow: made with the public key alone, opened with the private one', async t => {
  const { folder, repo, env } = await createRepository(t)
  const escrow = join(folder, 'escrow.pem')
  t.equal((await granary(['key', 'create', '--escrow', escrow])).code, 0)
  t.equal(
    (await granary(['key', 'add', '--new-escrow', escrow], { env })).code,
    2,
    'the private key does not belong here',
  )
  t.equal((await granary(['key', 'add', '--new-escrow', `${escrow}.pub`, '--label', 'notary'], { env })).code, 0)
  const opened = await granary(['key', 'list', '--repo', repo, '--escrow-file', escrow, '--json'])
  t.equal(opened.code, 0, opened.stderr)
  t.match(
    parseJsonLines(opened.text).find(slot => slot['kind'] === 'escrow'),
    { label: 'notary', publicKey: /^[0-9a-f]{64}$/ },
  )
  const another = join(folder, 'another.pem')
  t.equal((await granary(['key', 'create', '--escrow', another])).code, 0)
  t.equal((await granary(['snapshots', '--repo', repo, '--escrow-file', another])).code, 13)
  t.equal((await granary(['snapshots', '--repo', repo, '--escrow-file', `${escrow}.pub`])).code, 2)
})

/** A disk of a few chunks. */
const writeDisk = (path: string, seed: number): string => {
  const disk = Buffer.alloc(1_000_000)
  disk.set(seededBytes(300_000, seed), 100_000)
  writeFileSync(path, disk)
  return path
}

t.test('passwd changes a passphrase, with scrypt where that is asked for, and touches no data', async t => {
  const folder = scratchFolder(t)
  const repo = join(folder, 'repo')
  const old = writeSecret(join(folder, 'old'), 'grain\n')
  const fresh = writeSecret(join(folder, 'fresh'), 'barley\n')
  t.equal((await granary(['init', repo, '--password-file', old, '--kdf', 'scrypt'])).code, 0)
  t.equal((await granary(['init', join(folder, 'x'), '--password-file', old, '--kdf', 'md5'])).code, 2)
  const env = { GRANARY_REPO: repo, GRANARY_PASSWORD_FILE: old }
  t.equal((await granary(['backup', writeDisk(join(folder, 'disk.raw'), 1)], { env })).code, 0)
  const before = treeOf(repo)
  const changed = await granary(['key', 'passwd', '--new-password-file', fresh, '--kdf', 'scrypt', '--json'], { env })
  t.equal(changed.code, 0, changed.stderr)
  t.match(parseJsonLines(changed.text), [{ type: 'slot', kind: 'passphrase' }, { type: 'removed' }])
  t.equal((await granary(['snapshots'], { env })).code, 13, 'the old one opens nothing')
  const env2 = { ...env, GRANARY_PASSWORD_FILE: fresh }
  t.match(parseJsonLines((await granary(['key', 'list', '--json'], { env: env2 })).text), [
    { kind: 'passphrase', kdf: 'scrypt', label: 'first' },
  ])
  const isData = ([path]: readonly [string, string]): boolean => !path.startsWith('keys/') && !path.startsWith('.locks')
  t.strictSame(treeOf(repo).filter(isData), before.filter(isData), 'nothing but the slot changed')
  t.equal((await granary(['restore', 'latest', `raw:${join(folder, 'out.raw')}`], { env: env2 })).code, 0)
  t.equal((await granary(['key', 'passwd', '--new-password-file', fresh], { env })).code, 13)
  t.equal((await granary(['key', 'passwd'], { env: env2 })).code, 2)
})

/** Paths and contents of all files of a folder. */
const treeOf = (folder: string): (readonly [string, string])[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(path => statSync(join(folder, path)).isFile())
    .toSorted()
    .map(path => [path, readFileSync(join(folder, path)).toString('base64')] as const)

t.test('rotation: new keys for what is new, all slots that are kept open, the others are named or go', async t => {
  const { folder, repo, key, env } = await createRepository(t)
  const disk = writeDisk(join(folder, 'disk.raw'), 1)
  const [escrow, second] = [join(folder, 'escrow.pem'), join(folder, 'second')]
  t.equal((await granary(['backup', disk], { env })).code, 0)
  t.equal((await granary(['key', 'create', '--escrow', escrow])).code, 0)
  t.equal((await granary(['key', 'add', '--new-escrow', `${escrow}.pub`], { env })).code, 0)
  t.equal((await granary(['key', 'add', '--new-key-file', second], { env })).code, 0)
  t.equal((await granary(['client', 'add', 'web', join(folder, 'web.client')], { env })).code, 0)

  const refused = await granary(['key', 'rotate', '--keep-escrow', `${escrow}.pub`], { env })
  t.equal(refused.code, 2)
  t.match(refused.stderr, /slots without their secret: [0-9a-f]{16} \(key-file, key-file\)/)
  t.equal((await granary(['snapshots', '--repo', repo, '--key-file', second])).code, 0, 'nothing was changed')

  const rotate = ['key', 'rotate', '--keep-escrow', `${escrow}.pub`, '--remove-others', '--json']
  const rotated = await granary(rotate, { env })
  t.equal(rotated.code, 0, rotated.stderr)
  const [report] = parseJsonLines(rotated.text)
  t.match(report, { type: 'rotation', v: 1, generation: 2, slots: { length: 2 }, removed: { length: 1 } })
  t.equal((await granary(['snapshots', '--repo', repo, '--key-file', second])).code, 13, 'its slot is gone')
  t.equal((await granary(['snapshots', '--repo', repo, '--escrow-file', escrow])).code, 0)

  // What was there is read, what is new is not stored again, and both restore.
  const again = parseJsonLines((await granary(['backup', disk, '--parent', 'none', '--json'], { env })).text).at(-1)
  t.match(again, { type: 'snapshot', disks: [{ newBytes: 0 }] })
  writeDisk(disk, 2)
  t.equal((await granary(['backup', disk], { env })).code, 0)
  for (const { id } of parseJsonLines((await granary(['snapshots', '--json'], { env })).text)) {
    const out = join(folder, `${String(id)}.raw`)
    t.equal((await granary(['restore', String(id), `raw:${out}`, '--key-file', key], { env })).code, 0)
  }
  t.equal((await granary(['check', '--read-data'], { env })).code, 0)
  const old = await granary(['backup', disk, '--repo', repo, '--client-file', join(folder, 'web.client')])
  t.equal(old.code, 13, 'a client from before the rotation needs a new file')
  t.match(old.stderr, /do not reach generation 2/)
})
