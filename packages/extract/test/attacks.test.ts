import { execFileSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { OWNERS_FILE, applyOwners, extractToFolder } from '../src/index.ts'
import type { ExtractStep } from '../src/index.ts'
import { hasProgram } from './helpers/compare.ts'
import { bytes, item } from './helpers/hostile-tree.ts'
import { isRoot, scratchFolder } from './helpers/scratch.ts'

interface Arena {
  readonly target: string
  readonly outside: string
  readonly errors: Map<string, unknown>
  readonly extract: (steps: Iterable<ExtractStep> | AsyncIterable<ExtractStep>) => Promise<void>
  /** Everything outside the target is what it was. */
  readonly check: () => void
}

const SECRET = 'a secret of the host'

const arena = (t: Test): Arena => {
  const scratch = scratchFolder(t)
  const [target, outside] = [join(scratch, 'target'), join(scratch, 'outside')]
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), SECRET)
  const before = statSync(join(outside, 'secret'), { bigint: true })
  const errors = new Map<string, unknown>()
  return {
    target,
    outside,
    errors,
    async extract(steps) {
      const all = (async function* () {
        yield* steps
      })()
      await extractToFolder(all, target, { onError: (path, error) => errors.set(path, error) })
    },
    check() {
      t.strictSame(readdirSync(scratch).sort(), ['outside', 'target'], 'nothing beside the target')
      t.strictSame(readdirSync(outside), ['secret'], 'nothing came into the other folder')
      t.equal(readFileSync(join(outside, 'secret'), 'utf8'), SECRET)
      const { mode, uid, mtimeNs, nlink } = statSync(join(outside, 'secret'), { bigint: true })
      t.strictSame(
        { mode, uid, mtimeNs, nlink },
        { mode: before.mode, uid: before.uid, mtimeNs: before.mtimeNs, nlink: before.nlink },
      )
    },
  }
}

t.test('names that lead out of the target, or that no file can have, are errors of their own', async t => {
  const { extract, check, errors, target } = arena(t)
  const paths = [
    '../outside/x',
    '..',
    '.',
    '/etc/granary-test',
    'a/../../outside/y',
    'a//b',
    'a/',
    'a\0b',
    'a/.',
    './a',
    'a/..',
  ]
  await extract([
    ...paths.map(path => item({ path, content: bytes('evil') })),
    ...paths.map(path => item({ path, type: 'dir' })),
    item({ path: 'good' }),
  ])
  for (const path of paths) t.match(errors.get(path), { code: 'GRANARY_INVALID_ARGUMENT' }, JSON.stringify(path))
  t.strictSame(readdirSync(target), ['good'])
  check()
})

t.test('a file behind a link of the guest goes nowhere', async t => {
  const { extract, check, errors, target, outside } = arena(t)
  await extract([
    item({ path: 'absolute', type: 'symlink', target: outside }),
    item({ path: 'absolute/secret', content: bytes('evil') }),
    item({ path: 'absolute/new', content: bytes('evil') }),
    item({ path: 'absolute', type: 'dir', stat: { mode: 0o777, uid: 1, gid: 1 } }),
    item({ path: 'relative', type: 'symlink', target: '../outside/secret' }),
    item({ path: 'relative', content: bytes('evil') }),
    item({ path: 'relative', type: 'dir' }),
  ])
  t.equal(readlinkSync(join(target, 'absolute')), outside, 'the link itself is what the guest says')
  t.strictSame([...errors.keys()].sort(), ['absolute', 'absolute/new', 'absolute/secret', 'relative'])
  check()
})

t.test('links and pipes that are there already are not followed, not opened, not replaced', async t => {
  const { extract, check, errors, target, outside } = arena(t)
  mkdirSync(target)
  symlinkSync(join(outside, 'secret'), join(target, 'file'))
  symlinkSync(outside, join(target, 'dir'))
  execFileSync('mkfifo', [join(target, 'pipe'), join(target, 'folder')])
  await extract([
    item({ path: 'file', content: bytes('evil'), stat: { mode: 0o777 } }),
    item({ path: 'dir', type: 'dir', stat: { mode: 0o777 } }),
    item({ path: 'dir/x', content: bytes('evil') }),
    item({ path: 'pipe', content: bytes('evil') }),
    item({ path: 'folder', type: 'dir' }),
    item({ path: 'folder/x', content: bytes('evil') }),
    item({ path: 'file', type: 'symlink', target: 'elsewhere' }),
  ])
  t.equal(errors.size, 6)
  t.equal(readlinkSync(join(target, 'file')), join(outside, 'secret'))
  check()
})

t.test('a folder that is swapped for a link while files go into it leads nowhere', async t => {
  const { extract, check, target, outside } = arena(t)
  await extract(
    (async function* (): AsyncGenerator<ExtractStep> {
      yield item({ path: 'a', type: 'dir', stat: { mode: 0o700, mtime: 1n } })
      yield item({ path: 'a/first', content: bytes('1') })
      renameSync(join(target, 'a'), join(target, 'moved'))
      symlinkSync(outside, join(target, 'a'))
      yield item({ path: 'a/second', content: bytes('2') })
      yield item({ path: 'a/link', type: 'symlink', target: 'x' })
      yield item({ path: 'a/below', type: 'dir' })
      yield item({ path: 'a/below/third', content: bytes('3') })
      yield item({ path: 'b', content: bytes('4') })
      yield item({ path: 'a/fourth', content: bytes('5') })
    })(),
  )
  t.strictSame(readdirSync(join(target, 'moved')).sort(), ['below', 'first', 'link', 'second'])
  check()
})

t.test('a further name is never linked to what somebody put in the place of the first', async t => {
  const { extract, check, target, outside } = arena(t)
  const file = (path: string): ExtractStep =>
    item({ path, content: bytes('the file'), linkKey: 'k', stat: { nlink: 9 } })
  await extract(
    (async function* (): AsyncGenerator<ExtractStep> {
      yield item({ path: 'a', type: 'dir' })
      yield file('a/secret')
      yield item({ path: 'b', type: 'dir' })
      yield file('b/linked')
      renameSync(join(target, 'a'), join(target, 'moved'))
      symlinkSync(outside, join(target, 'a'))
      yield file('b/second')
      unlinkSync(join(target, 'a'))
      mkdirSync(join(target, 'a'))
      // As far as the attacker can: the file itself, under the name of the first.
      linkSync(join(outside, 'secret'), join(target, 'a', 'secret'))
      yield file('b/third')
      unlinkSync(join(target, 'a', 'secret'))
      symlinkSync(join(outside, 'secret'), join(target, 'a', 'secret'))
      yield file('b/fourth')
    })(),
  )
  for (const name of ['linked', 'second', 'third', 'fourth'])
    t.equal(readFileSync(join(target, 'b', name), 'utf8'), 'the file', name)
  t.equal(statSync(join(target, 'b', 'linked')).ino, statSync(join(target, 'moved', 'secret')).ino)
  check()
})

t.test('device nodes are made only when they are asked for', async t => {
  const { extract, check, target } = arena(t)
  const stat = { rdev: { major: 8, minor: 0 }, mode: 0o666, uid: 0, gid: 0 }
  await extract([
    item({ path: 'sda', type: 'blk', stat }),
    item({ path: 'mem', type: 'chr', stat }),
    item({ path: 'socket', type: 'socket' }),
  ])
  t.strictSame(readdirSync(target), [OWNERS_FILE])
  if (isRoot) {
    t.match(await applyOwners(target), { applied: 0, leftOut: 2, failed: 0 })
    t.strictSame(readdirSync(target), [OWNERS_FILE])
    t.match(await applyOwners(target, { devices: true }), { applied: 2, leftOut: 0 })
    t.ok(statSync(join(target, 'sda')).isBlockDevice() && statSync(join(target, 'mem')).isCharacterDevice())
    t.equal(statSync(join(target, 'sda')).rdev, 0x800)
  }
  check()
})

t.test("a guest's file of the name of our list is refused", async t => {
  const { extract, check, errors, target } = arena(t)
  await extract([
    item({ path: OWNERS_FILE, content: bytes('{"path":"../outside/secret","type":"file","uid":1}\n') }),
    item({ path: 'good' }),
  ])
  t.match(errors.get(OWNERS_FILE), { code: 'GRANARY_EXISTS' })
  t.strictSame(readdirSync(target), ['good'])
  check()
})

t.test('a list of owners changes nothing outside its folder, and nothing of another kind', async t => {
  const { check, target, outside } = arena(t)
  mkdirSync(join(target, 'dir'), { recursive: true })
  writeFileSync(join(target, 'dir', 'file'), 'x')
  symlinkSync(join(outside, 'secret'), join(target, 'link'))
  symlinkSync(outside, join(target, 'way'))
  const rows = [
    { path: '../outside/secret', type: 'file', uid: 1, gid: 1, mode: '0777' },
    { path: join(outside, 'secret'), type: 'file', uid: 1, gid: 1 },
    { path: 'link', type: 'file', uid: 1, gid: 1, mode: '4777' },
    { path: 'way/secret', type: 'file', uid: 1, gid: 1 },
    { path: 'dir', type: 'file', uid: 1, gid: 1 },
    { path: '', type: 'dir', mode: '0777' },
    { path: 'gone', type: 'file', mode: '0777' },
    { path: 'dir/file', type: 'file', mode: '0640' },
  ]
  writeFileSync(join(target, OWNERS_FILE), rows.map(row => `${JSON.stringify(row)}\n`).join(''))
  const failed: string[] = []
  t.match(await applyOwners(target, { onError: path => failed.push(path) }), { applied: 1, failed: 7 })
  t.strictSame(
    failed,
    rows.slice(0, -1).map(({ path }) => path),
  )
  t.equal(statSync(join(target, 'dir', 'file')).mode & 0o7777, 0o640)
  check()
  for (const line of [
    'nonsense',
    '{}',
    '{"path":"a","type":"file","uid":-1}',
    '{"path":"a","type":"file","mode":"x"}',
    '[]',
    'null',
  ]) {
    writeFileSync(join(target, OWNERS_FILE), `${line}\n`)
    await t.rejects(applyOwners(target), { code: 'GRANARY_CORRUPT' }, line)
  }
})

t.test(
  'random hostile trees stay inside',
  { skip: hasProgram('mkfifo') ? false : 'the program mkfifo is not here' },
  async t => {
    const rounds = process.env['GRANARY_TEST_LONG'] === undefined ? 60 : 3000
    t.comment(`${rounds} trees of 30 files`)
    const { extract, check, outside } = arena(t)
    const random = seededRandom(11)
    const pick = <Value>(values: readonly Value[]): Value => values[random(values.length)] as Value
    const parts = ['a', 'b', '..', '.', '', 'secret', 'outside', '\0', '-', ' ', 'c\n', '\u202e', 'я', 'x'.repeat(300)]
    const targets = [outside, '..', '../outside', '/', '.', 'a', '../../..', join(outside, 'secret'), 'x'.repeat(300)]
    const types = ['file', 'dir', 'symlink', 'fifo', 'chr', 'blk', 'socket'] as const
    for (let round = 0; round < rounds; round++) {
      await extract(
        Array.from({ length: 30 }, () =>
          item({
            path: Array.from({ length: 1 + random(4) }, () => pick(parts)).join('/'),
            type: pick(types),
            content: bytes('evil'),
            target: pick(targets),
            stat: { mode: 0o777, uid: 0, gid: 0, nlink: 2 },
            ...(random(2) === 0 ? {} : { linkKey: String(random(3)) }),
          }),
        ),
      )
    }
    check()
  },
)

t.test('a pipe, a link or a second name in the place of the list is refused, and nobody waits', async t => {
  const traps: ((path: string, outside: string) => void)[] = [
    path => execFileSync('mkfifo', [path]),
    (path, outside) => symlinkSync(join(outside, 'secret'), path),
    (path, outside) => linkSync(join(outside, 'secret'), path),
    path => mkdirSync(path),
  ]
  for (const trap of traps) {
    const { extract, target, outside } = arena(t)
    mkdirSync(target)
    trap(join(target, OWNERS_FILE), outside)
    await t.rejects(extract([item({ path: 'a', type: 'blk' })]))
    await t.rejects(applyOwners(target))
    t.equal(readFileSync(join(outside, 'secret'), 'utf8'), SECRET)
    t.strictSame(readdirSync(target), [OWNERS_FILE])
  }
})
