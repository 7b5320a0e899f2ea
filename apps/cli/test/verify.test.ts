import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'

/** Where the commit of a snapshot is. */
const commitOf = (repo: string, id: string): string =>
  join(
    repo,
    readdirSync(repo, { recursive: true, encoding: 'utf8' }).find(
      path => path.startsWith('commit/') && path.endsWith(id),
    ) as string,
  )

t.test('verify remembers heads, and misses a tail that was rolled back', async t => {
  const { folder, repo, env } = await createRepository(t)
  const [disk, state] = [join(folder, 'web.raw'), join(folder, 'heads')]
  const ids: string[] = []
  for (let i = 0; i < 3; i++) {
    writeFileSync(disk, seededBytes(100_000, i))
    ids.push(String(parseJsonLines((await granary(['backup', disk, '--json'], { env })).text).at(-1)?.['id']))
  }
  const first = await granary(['verify', '--state', state, '--json'], { env })
  t.equal(first.code, 0, first.stderr)
  t.match(parseJsonLines(first.text), [
    { type: 'series', v: 1, name: 'web', snapshots: 3, forgotten: 0, heads: [{ id: ids[2] }], forks: [] },
    { type: 'verify', v: 1, series: 1, verified: 3, problems: 0 },
  ])
  const shown = await granary(['show', ids[2] as string, '--json'], { env })
  const [{ hash }] = parseJsonLines(shown.text) as [{ hash: string }]
  t.equal((await granary(['verify', '--expect-head', hash], { env })).code, 0)
  t.equal((await granary(['verify', '--expect-head', `${ids[2] as string}:${hash}`], { env })).code, 0)
  t.equal((await granary(['verify', '--expect-head', 'abc'], { env })).code, 2)

  t.equal((await granary(['forget', ids[2] as string], { env })).code, 0)
  t.equal((await granary(['verify', '--state', state], { env })).code, 0, 'a signed forget explains it')

  const away = join(folder, 'away')
  mkdirSync(away)
  renameSync(commitOf(repo, ids[2] as string), join(away, 'commit'))
  for (const path of readdirSync(repo, { recursive: true, encoding: 'utf8' }))
    if (path.startsWith('forget/') && path.endsWith(ids[2] as string)) rmSync(join(repo, path))
  t.equal((await granary(['verify'], { env })).code, 0, 'who remembers nothing misses nothing')
  const before = readFileSync(state, 'utf8')
  const missed = await granary(['verify', '--state', state, '--json'], { env })
  t.equal(missed.code, 31)
  t.match(
    parseJsonLines(missed.text).find(({ type }) => type === 'problem'),
    { kind: 'head', snapshot: ids[2] },
  )
  t.match(parseJsonLines(missed.stderr), [{ type: 'error', code: 'GRANARY_AUTHENTICATION', detail: { problems: 1 } }])
  t.equal(readFileSync(state, 'utf8'), before, 'what was seen is not forgotten')
  const text = await granary(['verify', '--expect-head', hash], { env })
  t.equal(text.code, 31)
  t.match(text.text, /rolled back/)
})

t.test('a state file of something else is refused, and never written over', async t => {
  const { folder, env } = await createRepository(t)
  const state = join(folder, 'heads')
  for (const content of ['', '{}', '[]', 'null', '{"granary":"heads","v":1,"repository":"00","heads":[{"id":"x"}]}']) {
    writeFileSync(state, content)
    t.equal((await granary(['verify', '--state', state], { env })).code, 2, content)
    t.equal(readFileSync(state, 'utf8'), content)
  }
  writeFileSync(state, JSON.stringify({ granary: 'heads', v: 1, repository: '00'.repeat(16), heads: [] }))
  const other = await granary(['verify', '--state', state], { env })
  t.equal(other.code, 2)
  t.match(other.stderr, /remembers repository 0000/)
  t.equal((await granary(['verify', '--state', join(folder, 'no', 'such', 'folder')], { env })).code, 10)
})

t.test('a write-only client on the command line: backs up twice, reads nothing, is shown and revoked', async t => {
  const { folder, repo, env } = await createRepository(t)
  const [disk, file] = [join(folder, 'web.raw'), join(folder, 'web.client')]
  writeFileSync(disk, seededBytes(300_000, 1))
  const added = await granary(['client', 'add', 'web', file, '--json'], { env })
  t.equal(added.code, 0, added.stderr)
  t.match(parseJsonLines(added.text), [{ type: 'client', v: 1, id: /^[0-9a-f]{16}$/, name: 'web', path: file }])
  t.equal((await granary(['client', 'add', 'mail', file], { env })).code, 11, 'never over a file')
  const client = { GRANARY_REPO: repo, GRANARY_CLIENT_FILE: file }
  for (const newBytes of [300_000, 0]) {
    const { code, text, stderr } = await granary(['backup', disk, '--json'], { env: client })
    t.equal(code, 0, stderr)
    t.match(parseJsonLines(text).at(-1), {
      signedBy: 'client',
      signerName: 'web',
      signed: true,
      verified: true,
      disks: [{ newBytes }],
    })
  }
  t.match((await granary(['snapshots'], { env: client })).text, /client web\n.*client web\n2 snapshots/s)
  const out = join(folder, 'out.raw')
  const refused = await granary(['restore', 'latest', `raw:${out}`], { env: client })
  t.equal(refused.code, 13)
  t.match(refused.stderr, /can only write/)
  for (const words of [
    ['gc'],
    ['check'],
    ['forget', 'latest'],
    ['settings', '--compression', 'lz4'],
    ['key', 'list', '--key-file', file],
  ])
    t.not((await granary(words, { env: client })).code, 0, words.join(' '))
  t.equal((await granary(['restore', 'latest', `raw:${out}`], { env })).code, 0)
  t.ok(readFileSync(out).equals(readFileSync(disk)))

  const checked = parseJsonLines((await granary(['check', '--read-data', '--json'], { env })).text).at(-1)
  t.match(checked, { type: 'check', unverifiedPacks: 0 })
  t.ok(Number(checked?.['passedPacks']) > 0)
  t.equal((await granary(['client', 'revoke', 'web'], { env })).code, 0)
  t.match(
    parseJsonLines((await granary(['client', 'list', '--json'], { env })).text),
    [
      { name: 'mail', revoked: true },
      { name: 'web', revoked: true },
    ].toSorted((a, b) => (a.name < b.name ? 1 : -1)),
  )
  writeFileSync(disk, seededBytes(300_000, 2))
  t.equal((await granary(['backup', disk], { env: client })).code, 0, 'the storage still takes it')
  const listed = await granary(['snapshots'], { env })
  t.equal(listed.code, 3)
  t.match(listed.text, /REVOKED client web/)
  const [{ id }] = parseJsonLines((await granary(['snapshots', '--json'], { env })).text).slice(-1) as [{ id: string }]
  const doubtful = await granary(['restore', id, `raw:${out}`, '--overwrite-different', '--json'], { env })
  t.equal(doubtful.code, 3, 'restored, with a warning')
  t.match(parseJsonLines(doubtful.stderr), [{ type: 'warning', message: /REVOKED client web/ }])
  t.ok(readFileSync(out).equals(readFileSync(disk)))
  const copied = await granary(['copy', `granary:${id}`, `raw:${join(folder, 'copy.raw')}`, '--json'], { env })
  t.equal(copied.code, 3, 'every command that reads it says so')
  t.match(parseJsonLines(copied.stderr), [{ type: 'warning', message: /REVOKED client web/ }])
  t.equal((await granary(['verify'], { env })).code, 31)
})
