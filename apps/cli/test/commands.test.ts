import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'

const MIB = 1024 * 1024

/** A disk of 3 MiB: random bytes, zeros, and an end that is no whole block. */
const makeDisk = (path: string, seed: number): Buffer => {
  const bytes = Buffer.alloc(3 * MIB + 700)
  bytes.set(seededBytes(MIB, seed))
  bytes.set(seededBytes(900, seed + 1), 3 * MIB - 200)
  writeFileSync(path, bytes)
  return bytes
}

type Words = readonly string[]

t.test('one disk, from the first backup to the last byte of it', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'web.raw')
  const first = makeDisk(disk, 1)
  const call = async (words: Words): Promise<Awaited<ReturnType<typeof granary>>> => await granary(words, { env })
  const objects = async (words: Words): Promise<Record<string, unknown>[]> => {
    const { code, text, stderr } = await call([...words, '--json'])
    t.equal(code, 0, `${words.join(' ')}: ${stderr}`)
    return parseJsonLines(text)
  }

  t.same(await objects(['snapshots']), [], 'an empty repository has no snapshot to print')
  const [full] = await objects(['backup', disk, '--label', 'tier=gold', '--label', 'empty='])
  t.match(full, {
    type: 'snapshot',
    v: 1,
    id: /^[0-9a-f]{32}$/,
    name: 'web',
    time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    kind: 'full',
    parent: null,
    labels: { tier: 'gold', empty: '' },
    disks: [{ name: 'web', sizeBytes: first.length, source: `raw:${disk}`, newBytes: Number, storedBytes: Number }],
    warnings: [],
    seconds: Number,
  })
  const second = Buffer.from(first)
  second.set(seededBytes(5000, 99), 2 * MIB)
  writeFileSync(disk, second)
  const [incremental] = await objects(['backup', disk])
  const [firstId, secondId] = [full?.['id'] as string, incremental?.['id'] as string]
  t.match(incremental, { kind: 'incremental', parent: firstId })
  const [alone] = await objects(['backup', disk, '--parent', 'none', '--name', 'other', '--disk-name', 'root'])
  t.match(alone, { kind: 'full', parent: null, name: 'other', disks: [{ name: 'root', newBytes: 0 }] })
  const thirdId = alone?.['id'] as string
  t.match((await objects(['backup', disk, '--parent', firstId.slice(0, 8)]))[0], { parent: firstId })

  const listed = await objects(['snapshots'])
  t.same(
    listed.map(snapshot => [snapshot['type'], snapshot['id']]).slice(0, 3),
    [firstId, secondId, thirdId].map(id => ['snapshot', id]),
    'only snapshots, oldest first',
  )
  t.ok(listed.every(snapshot => ['id', 'name', 'time', 'disks'].every(field => field in snapshot)))
  t.same(
    (await objects(['snapshots', '--name', 'other'])).map(snapshot => snapshot['id']),
    [thirdId],
  )
  t.match(await objects(['show', firstId.slice(0, 6)]), [
    { type: 'snapshot', id: firstId, hash: String, signer: String, suite: 'aes-256-gcm', compression: 'zstd:3' },
  ])
  t.match((await call(['snapshots'])).text, new RegExp(`${firstId.slice(0, 8)} .* web .* full`))
  t.match((await call(['show', 'latest'])).text, 'DISK')

  const ranges = await objects(['diff', firstId, secondId])
  t.ok(ranges.length > 0 && ranges.every(range => range['type'] === 'range' && range['disk'] === 'web'))
  const covers = ranges.some(
    range =>
      (range['offset'] as number) <= 2 * MIB &&
      (range['offset'] as number) + (range['length'] as number) >= 2 * MIB + 5000,
  )
  t.ok(covers, 'the change is in the diff')
  t.same(await objects(['diff', secondId, 'latest']), [], 'nothing changed')

  const target = join(folder, 'out.raw')
  t.match(await objects(['restore', firstId.slice(0, 8), target]), [
    { type: 'restored', v: 1, snapshot: firstId, disk: 'web', target, sizeBytes: first.length, writtenBytes: Number },
  ])
  t.ok(readFileSync(target).equals(first))
  t.ok((await call(['restore', `${secondId}/web`, '-'])).stdout.equals(second), 'to standard output')
  t.ok((await call(['restore', 'latest', '-', '--json'])).stdout.equals(second), 'which is the disk, also with --json')
  t.ok((await call(['copy', `granary:${firstId}`, '-'])).stdout.equals(first))
  const again = await call(['restore', 'latest', target])
  t.equal(again.code, 11, 'an existing target is not touched')
  t.match(again.stderr, /--overwrite-different/)
  t.ok(readFileSync(target).equals(first))
  t.equal((await call(['restore', 'latest', target, '--overwrite-different'])).code, 0)
  t.ok(readFileSync(target).equals(second))
  t.same(readdirSync(folder).toSorted(), ['key', 'out.raw', 'repo', 'web.raw'])
})

t.test('several disks make one snapshot, and come back into a folder', async t => {
  const { folder, env } = await createRepository(t)
  const disks = ['root', 'data'].map((name, i) => ({
    name,
    path: join(folder, `${name}.img`),
    bytes: makeDisk(join(folder, `${name}.img`), 10 + i),
  }))
  const made = await granary(['backup', ...disks.map(disk => disk.path), '--name', 'db', '--json'], { env })
  t.match(parseJsonLines(made.text), [{ name: 'db', disks: [{ name: 'root' }, { name: 'data' }] }])
  const refused = await granary(['restore', 'latest', join(folder, 'one.raw'), '--json'], { env })
  t.equal(refused.code, 0, 'a name that does not exist becomes a folder for several disks')
  for (const { name, bytes } of disks) t.ok(readFileSync(join(folder, 'one.raw', `${name}.raw`)).equals(bytes), name)
  const one = join(folder, 'data.copy.raw')
  t.equal((await granary(['restore', 'latest/data', one], { env })).code, 0)
  t.ok(readFileSync(one).equals(disks[1]?.bytes as Buffer))
  t.match(await granary(['restore', 'latest', one], { env }), { code: 2, stderr: /is no folder/ })
  t.match(await granary(['restore', 'latest', '-'], { env }), { code: 2, text: '' })
  mkdirSync(join(folder, 'some'))
  t.match(await granary(['restore', 'latest/swap', join(folder, 'none/')], { env }), { code: 10, stderr: /root, data/ })
  t.notOk(existsSync(join(folder, 'none')), 'nothing was made for a disk that is not there')
  t.equal((await granary(['restore', 'latest/root', join(folder, 'some')], { env })).code, 0)
  t.same(readdirSync(join(folder, 'some')), ['root.raw'])
  t.match(await granary(['backup', disks[0]?.path as string, disks[0]?.path as string], { env }), {
    code: 2,
    stderr: /--disk-name/,
  })
  t.match(await granary(['backup', disks[0]?.path as string, '--label', 'nokey'], { env }), { code: 2 })
  t.match(await granary(['backup', disks[0]?.path as string, '--workers', 'many'], { env }), { code: 2 })
})

t.test('ids: too short, unknown, ambiguous, latest of nothing', async t => {
  const { folder, env } = await createRepository(t)
  for (const id of ['latest', 'abc', 'abcd', 'f'.repeat(32)]) {
    const { code, stderr } = await granary(['show', id, '--json'], { env })
    t.equal(code, 10, id)
    t.match(parseJsonLines(stderr)[0], { code: 'GRANARY_NOT_FOUND', hint: /granary snapshots/ }, id)
  }
  t.ok(folder)
})

t.test(
  'forgetting: a dry run forgets nothing, a policy keeps what it says, and collection gives the space back',
  async t => {
    const { folder, env } = await createRepository(t)
    const disk = join(folder, 'vm.raw')
    const ids: string[] = []
    for (let i = 0; i < 4; i++) {
      makeDisk(disk, 100 + i * 10)
      const { text } = await granary(['backup', disk, '--json'], { env })
      ids.push(parseJsonLines(text)[0]?.['id'] as string)
    }
    const count = async (): Promise<number> =>
      parseJsonLines((await granary(['snapshots', '--json'], { env })).text).length
    const doomed = async (words: Words): Promise<unknown[]> =>
      parseJsonLines((await granary(['forget', ...words, '--json'], { env })).text)
        .filter(object => object['type'] === 'forget')
        .map(object => [object['id'], object['dryRun']])
    t.same(
      await doomed(['--keep-last', '2', '--dry-run']),
      ids.slice(0, 2).map(id => [id, true]),
    )
    t.equal(await count(), 4, 'a dry run')
    t.same(await doomed([ids[0] as string, '--dry-run']), [[ids[0], true]])
    t.equal(await count(), 4, 'a dry run by id')
    t.same(await doomed(['--keep-last', '2', '--name', 'other']), [], 'of another series')
    for (const words of [[], [ids[0] as string, '--keep-last', '1'], ['--keep-last', 'x'], ['--keep-last', '0']])
      t.equal((await granary(['forget', ...words], { env })).code, 2, words.join(' ') || 'nothing')
    t.equal(await count(), 4, 'mistakes forget nothing')
    t.same(
      await doomed(['--keep-last', '2']),
      ids.slice(0, 2).map(id => [id, false]),
    )
    t.equal(await count(), 2)
    t.equal((await granary(['show', ids[0] as string], { env })).code, 10)

    const collect = async (words: Words): Promise<Record<string, unknown>> =>
      parseJsonLines((await granary(['gc', ...words, '--json'], { env })).text)[0] as Record<string, unknown>
    const dry = await collect(['--dry-run'])
    t.match(dry, { type: 'collection', v: 1, dryRun: true, deletedBytes: Number })
    t.ok((dry['deletedBytes'] as number) > MIB)
    t.match(await collect([env['GRANARY_REPO'] as string]), { dryRun: false, deletedBytes: dry['deletedBytes'] })
    t.match(await collect([]), { deletedBytes: 0 }, 'nothing is left to collect')
    const target = join(folder, 'out.raw')
    t.equal((await granary(['restore', ids[2] as string, target], { env })).code, 0, 'what was kept is whole')
  },
)

t.test('check reads what it is told to, and says so', async t => {
  const { folder, repo, env } = await createRepository(t)
  makeDisk(join(folder, 'vm.raw'), 5)
  await granary(['backup', join(folder, 'vm.raw')], { env })
  const check = async (words: Words): Promise<Record<string, unknown>> => {
    const { code, text, stderr } = await granary(['check', ...words, '--json'], { env })
    t.equal(code, 0, `${words.join(' ')} ${stderr}`)
    return parseJsonLines(text).at(-1) as Record<string, unknown>
  }
  t.match(await check([]), { type: 'check', v: 1, snapshots: 1, packs: 2, readBytes: 0, damages: 0 })
  const all = await check([repo, '--read-data'])
  t.ok((all['readBytes'] as number) > MIB)
  t.equal((await check(['--read-data', repo]))['readBytes'], all['readBytes'], 'the next word is the repository')
  t.equal((await check(['--read-data=100%']))['readBytes'], all['readBytes'])
  for (const share of ['0', '101', 'x'])
    t.equal((await granary(['check', `--read-data=${share}`], { env })).code, 2, share)
})

t.test('check --repair-index makes a damaged index anew', async t => {
  const { folder, repo, env } = await createRepository(t)
  makeDisk(join(folder, 'vm.raw'), 5)
  await granary(['backup', join(folder, 'vm.raw')], { env })
  const [segment] = readdirSync(join(repo, 'index')) as [string]
  const path = join(repo, 'index', segment)
  chmodSync(path, 0o600)
  truncateSync(path, 500)
  t.match(await granary(['check'], { env }), { code: 30, stderr: /index/ })
  t.match(await granary(['gc'], { env }), { code: 30 })
  const { code, text } = await granary(['check', '--repair-index', '--json'], { env })
  t.equal(code, 0)
  const lines = parseJsonLines(text)
  t.match(lines[0], { type: 'indexRepaired', v: 1, indexedPacks: 2, unreadablePacks: [] })
  t.match(lines.at(-1), { type: 'check', damages: 0, unindexedPacks: 0 })
  t.match(await granary(['check', '--repair-index'], { env }), { code: 0, text: /0 damaged segments made anew/ })
  t.equal((await granary(['gc'], { env })).code, 0)
})

t.test(
  'suite, compression and chunker are chosen at init, and a wrong name is refused with the right ones',
  async t => {
    const { folder, env } = await createRepository(t, [
      '--suite',
      'chacha20-poly1305',
      '--compression',
      'lz4',
      '--chunker',
      'fixed:64k',
    ])
    const bytes = makeDisk(join(folder, 'vm.raw'), 6)
    t.equal((await granary(['backup', join(folder, 'vm.raw')], { env })).code, 0)
    t.match(parseJsonLines((await granary(['show', 'latest', '--json'], { env })).text), [
      { suite: 'chacha20-poly1305', compression: 'lz4' },
    ])
    t.ok((await granary(['restore', 'latest', '-'], { env })).stdout.equals(bytes))
    for (const [flag, value] of [
      ['--compression', 'zstd:20'],
      ['--compression', 'gzip'],
      ['--chunker', 'grid:1k'],
      ['--suite', 'rot13'],
    ] as const) {
      const { code, stderr } = await granary([
        'init',
        join(folder, 'new'),
        '--key-file',
        join(folder, 'key'),
        flag,
        value,
      ])
      t.ok(code === 2 || code === 15, `${flag} ${value}: ${code}`)
      t.match(stderr, /GRANARY_(INVALID_ARGUMENT|UNSUPPORTED)/)
      t.notOk(existsSync(join(folder, 'new')))
    }
  },
)
