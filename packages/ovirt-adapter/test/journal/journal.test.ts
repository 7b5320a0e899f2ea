import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { loadNative } from '@granary/core'
import { Journal } from '../../src/journal/journal.ts'
import { siblingOf } from './sibling.ts'

const ENGINE = 'https://engine/ovirt-engine'

const newFolder = async (test: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-journal-'))
  test.teardown(async () => await rm(folder, { recursive: true, force: true }))
  return folder
}

const hasLocks = (await loadNative()) !== undefined
const skip = hasLocks ? false : 'no file locks on this system'

t.test('the installation keeps its id, and whoever is first makes it', async t => {
  const folder = join(await newFolder(t), 'deep', 'state')
  const all = await Promise.all(Array.from({ length: 5 }, async () => await Journal.open({ folder })))
  t.equal(new Set(all.map(journal => journal.installation)).size, 1)
  t.match(all[0]?.installation, /^[0-9a-f]{16}$/)
  await writeFile(join(folder, 'installation'), 'nonsense')
  await t.rejects(Journal.open({ folder }), { code: 'GRANARY_CORRUPT' })
})

t.test('a run that ends all it began leaves no file', async t => {
  const folder = await newFolder(t)
  const journal = await Journal.open({ folder })
  const [backup, transfer] = await Promise.all([
    journal.begin('backup', ENGINE, { backup: 'b' }),
    journal.begin('transfer', ENGINE, { disk: 'd' }),
  ])
  await transfer.learn({ transfer: 't' })
  t.match(journal.pending, [{ kind: 'backup' }, { kind: 'transfer', facts: { disk: 'd', transfer: 't' } }])
  await transfer.end()
  await transfer.end()
  await backup.end()
  await journal[Symbol.asyncDispose]()
  t.strictSame(await readdir(join(folder, 'runs')), [])
})

t.test('what a killed process began is found by the next start; what lives is left alone', { skip }, async t => {
  const folder = await newFolder(t)
  const child = fork(siblingOf(import.meta.url, 'journal-child'), [folder])
  await once(child, 'message')
  const journal = await Journal.open({ folder })
  t.strictSame(await journal.abandoned(), [], 'it lives')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const [run, ...others] = await journal.abandoned()
  t.strictSame(others, [])
  t.match(
    run?.entries.map(entry => entry.pending),
    [{ kind: 'backup', engine: ENGINE, facts: { backup: 'b', snapshot: 's' } }],
  )
  t.strictSame(await (await Journal.open({ folder })).abandoned(), [], 'one at a time')
  await run?.entries[0]?.end()
  await run?.[Symbol.asyncDispose]()
  t.strictSame(await journal.abandoned(), [])
  t.strictSame(await readdir(join(folder, 'runs')), [])
})

t.test('a file cut off anywhere: the whole lines count, and a line that was being written was never begun', async t => {
  const folder = await newFolder(t)
  const journal = await Journal.open({ folder })
  await (await journal.begin('backup', ENGINE, { backup: 'ä' })).learn({ snapshot: 's' })
  await journal.begin('transfer', ENGINE, { disk: 'd' })
  await journal[Symbol.asyncDispose]()
  const path = join(folder, 'runs', `${journal.run}.jsonl`)
  const whole = await readFile(path)
  const lineEnds = [...whole.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1)
  for (let length = whole.length; length >= 0; length--) {
    await mkdir(join(folder, 'runs'), { recursive: true })
    await writeFile(path, whole.subarray(0, length))
    const [run] = await (await Journal.open({ folder })).abandoned()
    const lines = lineEnds.filter(end => end <= length).length
    t.equal(run?.entries.length ?? 0, Math.max(0, Math.min(1, lines - 1)) + (lines >= 4 ? 1 : 0), `${length} bytes`)
    if (lines >= 3) t.equal(run?.entries[0]?.pending.facts['snapshot'], 's')
    await run?.entries[0]?.learn({ again: true }) // Goes on behind the last whole line.
    await run?.[Symbol.asyncDispose]()
  }
})

t.test('damage within a file is an error that names the line', async t => {
  const folder = await newFolder(t)
  const journal = await Journal.open({ folder })
  await journal.begin('backup', ENGINE, {})
  await journal[Symbol.asyncDispose]()
  const path = join(folder, 'runs', `${journal.run}.jsonl`)
  await appendFile(path, 'nonsense\n{"type":"done","entry":0}\n')
  await t.rejects((await Journal.open({ folder })).abandoned(), { code: 'GRANARY_CORRUPT', detail: { line: 3 } })
  await truncate(path, 0)
  t.strictSame(await (await Journal.open({ folder })).abandoned(), [])
})

t.test('a long run is written anew, and keeps what is not ended', async t => {
  const folder = await newFolder(t)
  const journal = await Journal.open({ folder })
  const kept = await journal.begin('backup', ENGINE, { backup: 'kept' })
  await kept.learn({ snapshot: 's' })
  for (let i = 0; i < 1100; i++) await (await journal.begin('transfer', ENGINE, { i })).end()
  await journal[Symbol.asyncDispose]()
  const lines = (await readFile(join(folder, 'runs', `${journal.run}.jsonl`), 'utf8')).split('\n').length
  t.ok(lines < 1000, `${lines} lines`)
  const [run] = await (await Journal.open({ folder })).abandoned()
  t.match(
    run?.entries.map(entry => entry.pending),
    [{ facts: { backup: 'kept', snapshot: 's' } }],
  )
  await run?.[Symbol.asyncDispose]()
})

t.test('what is learned side by side is all known', async t => {
  const folder = await newFolder(t)
  const journal = await Journal.open({ folder })
  const entry = await journal.begin('restore', ENGINE, {})
  await Promise.all(Array.from({ length: 8 }, async (_, i) => await entry.learn({ [`disk${i}`]: i })))
  t.equal(Object.keys(entry.pending.facts).length, 8)
  await journal[Symbol.asyncDispose]()
})
