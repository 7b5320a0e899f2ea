import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { cleanEnvironment, granaryPath, parseJsonLines, runGranary, seededBytes, startGranary } from '@granary/testing'
import type { GranaryProcess } from '@granary/testing'
import t from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'

const MIB = 1024 * 1024

/** Temporary files of a repository. */
const temporaries = (repo: string): string[] =>
  (readdirSync(repo, { recursive: true }) as string[]).filter(path => path.includes('.tmp-'))

/** Resolves when the process is in the middle of its work, as `isThere` finds. */
const seen = async (isThere: () => boolean, { child }: GranaryProcess): Promise<void> => {
  while (!isThere()) {
    if (child.exitCode !== null) throw new Error(`it ended before it was seen: ${child.exitCode}`)
    await setTimeout(5)
  }
}

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : [])

for (const [signal, expected] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  t.test(`${signal} in the middle of a backup leaves no snapshot and no temporary file`, async t => {
    const { repo, env } = await createRepository(t)
    await granary(['backup', '-', '--name', 'before'], { env, input: [seededBytes(MIB, 1)] })
    // Standard input stays open: the backup can't end by itself.
    const running = startGranary(['backup', '-', '--name', 'cut', '--json'], { env, input: 'open' })
    running.child.stdin?.on('error', () => undefined)
    running.child.stdin?.write(seededBytes(48 * MIB, 2))
    await seen(() => temporaries(repo).length > 0, running)
    running.child.kill(signal)
    const { code, text, stderr } = await running.done
    t.equal(code, expected)
    t.equal(text, '')
    t.match(parseJsonLines(stderr).at(-1), {
      type: 'error',
      code: 'GRANARY_ABORTED',
      message: `interrupted by ${signal}`,
    })
    t.same(temporaries(repo), [])
    const listed = parseJsonLines((await granary(['snapshots', '--json'], { env })).text)
    t.same(
      listed.map(snapshot => snapshot['name']),
      ['before'],
    )
    t.equal((await granary(['check', '--read-data'], { env })).code, 0)
  })
}

t.test('Ctrl-C in the middle of a restore ends it, also while nobody reads its output, and its pin goes', async t => {
  const { folder, repo, env } = await createRepository(t)
  await granary(['backup', '-'], { env, input: [seededBytes(24 * MIB, 3)] })
  const running = startGranary(['restore', 'latest', '-'], { env, output: 'unread' })
  await seen(() => namesIn(join(repo, 'pins')).length > 0, running)
  await once(running.child.stdout as Readable, 'readable')
  running.child.kill('SIGINT')
  const { code, stderr } = await running.done
  t.equal(code, 130)
  t.match(stderr, /GRANARY_ABORTED/)
  t.same(readdirSync(join(repo, 'pins')), [])
  t.same(readdirSync(folder).toSorted(), ['key', 'repo'])
})

/** Writes a file of which the end never comes, and is in the middle of it when this resolves. */
const startCopy = async (folder: string, target: string): Promise<GranaryProcess> => {
  const running = startGranary(['copy', '-', target], { input: 'open' })
  running.child.stdin?.on('error', () => undefined)
  running.child.stdin?.write(seededBytes(8 * MIB, 4))
  const hasData = (): boolean => (statSync(`${target}.granary-partial`, { throwIfNoEntry: false })?.blocks ?? 0) > 0
  await seen(hasData, running)
  return running
}

t.test('Ctrl-C in the middle of a new file leaves nothing of it', async t => {
  const folder = scratchFolder(t)
  const running = await startCopy(folder, join(folder, 'out.raw'))
  running.child.kill('SIGINT')
  t.equal((await running.done).code, 130)
  t.same(readdirSync(folder), [])
})

t.test('what a killed one left has not the name of a whole file, and goes with the next one', async t => {
  const folder = scratchFolder(t)
  const target = join(folder, 'out.raw')
  const running = await startCopy(folder, target)
  running.child.kill('SIGKILL')
  t.equal((await running.done).code, 137)
  t.same(readdirSync(folder), ['out.raw.granary-partial'])
  const bytes = Buffer.from(seededBytes(MIB, 5))
  const { code, stderr } = await runGranary(['copy', '-', target], { input: bytes })
  t.equal(code, 0, stderr)
  t.ok(readFileSync(target).equals(bytes))
  t.same(readdirSync(folder), ['out.raw'])
})

t.test('two that write one file: the second is told, the first goes on', async t => {
  const folder = scratchFolder(t)
  const target = join(folder, 'out.raw')
  const first = await startCopy(folder, target)
  const second = await runGranary(['copy', '-', target, '--json'], { input: seededBytes(MIB, 6) })
  t.equal(second.code, 12)
  t.match(parseJsonLines(second.stderr).at(-1), { code: 'GRANARY_LOCKED', retryable: true, hint: String })
  first.child.stdin?.end()
  t.equal((await first.done).code, 0)
  t.ok(readFileSync(target).equals(Buffer.from(seededBytes(8 * MIB, 4))))
})

t.test('a file that came to be meanwhile is not replaced', async t => {
  const folder = scratchFolder(t)
  const target = join(folder, 'out.raw')
  const running = await startCopy(folder, target)
  writeFileSync(target, 'mine')
  running.child.stdin?.end()
  const { code, stderr } = await running.done
  t.equal(code, 11, stderr)
  t.equal(readFileSync(target, 'utf8'), 'mine')
  t.same(readdirSync(folder), ['out.raw'])
})

t.test('a failure while standard input stays open ends the program', async t => {
  const { repo, folder } = await createRepository(t)
  writeFileSync(join(folder, 'wrong'), Buffer.alloc(32))
  const { code } = await runGranary(['backup', '-', '--repo', repo, '--key-file', join(folder, 'wrong')], {
    input: 'open',
  })
  t.equal(code, 13)
})

t.test('a reader that has seen enough ends the program quietly', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'vm.raw')
  writeFileSync(disk, seededBytes(8 * MIB, 5))
  await runGranary(['backup', disk], { env })
  for (const words of ['restore latest -', `copy ${disk} -`, 'snapshots --json']) {
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', `"$0" "$1" ${words} | head -c 10 | wc -c; echo "\${PIPESTATUS[0]}"`, process.execPath, granaryPath()],
      { encoding: 'utf8', env: cleanEnvironment(env) },
    )
    const [bytes, code] = stdout.trim().split('\n')
    t.equal(bytes?.trim(), '10', words)
    t.ok(code === '141' || (words === 'snapshots --json' && code === '0'), `${words}: ${code}`)
    t.equal(stderr, '', words)
  }
})
