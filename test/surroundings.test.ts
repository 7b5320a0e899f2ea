/** What surrounds a backup fails: no space, no permission, sources that end or break, folders that are something else. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memoryDisk, openRawReader } from '@granary/core'
import { backup, listSnapshots } from '@granary/dedup-store'
import {
  createLoopDevice,
  faultyReader,
  mountTmpfs,
  parseJsonLines,
  runGranary,
  seededBytes,
  whyNoLoopDevices,
  whyNoMounts,
} from '@granary/testing'
import type { GranaryOptions, GranaryResult } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { KEY, MIB, createRepository, filesIn, openFolder, scratchFolder, sizeOf, temporariesIn } from './product.ts'

t.setTimeout(600_000)

const NOBODY = 65_534

/** Why nobody can be asked to run the program, or false: a clone in root's own folder is closed to others. */
const whyNotNobody = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root to be another user'
  const { status } = spawnSync(process.execPath, ['--check', fileURLToPath(import.meta.url)], { uid: NOBODY })
  return status === 0 ? false : 'other users may not enter the folder of this clone'
}

interface Place {
  readonly folder: string
  readonly repo: string
  readonly granary: (words: readonly string[], options?: GranaryOptions) => Promise<GranaryResult>
}

/** A repository at `repo` with one snapshot, `before`. */
const prepare = async (t: Test, where?: string): Promise<Place> => {
  const folder = scratchFolder(t)
  const repo = join(where ?? folder, 'repo')
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  const env = { GRANARY_REPO: repo, GRANARY_KEY_FILE: join(folder, 'key') }
  const granary: Place['granary'] = async (words, options = {}) => await runGranary(words, { env, ...options })
  await using repository = await createRepository(repo)
  await backup(repository, [{ name: 'disk', source: 'test', disk: memoryDisk(BEFORE) }], { name: 'before', workers: 0 })
  return { folder, repo, granary }
}

const BEFORE = seededBytes(2 * MIB, 1)

/** Fails as it should: with this code, a hint, and nothing on standard output; and what was there before is as it was. */
const failsWith = async (
  t: Test,
  place: Place,
  { words, code, exit, ...options }: { words: readonly string[]; code: string; exit: number } & GranaryOptions,
): Promise<void> => {
  const { code: got, text, stderr } = await place.granary([...words, '--json'], options)
  const what = words.join(' ')
  t.equal(got, exit, `${what}: ${stderr}`)
  t.equal(text, '', `${what}: nothing on standard output`)
  t.match(parseJsonLines(stderr).at(-1), { type: 'error', code, message: String, hint: /./ }, what)
  t.notMatch(stderr, /\n\s+at /, `${what}: no stack trace`)
}

const isAsBefore = async (t: Test, place: Place): Promise<void> => {
  t.same(temporariesIn(place.repo), [], 'no temporary file is left')
  t.ok((await place.granary(['restore', 'latest', '-'])).stdout.equals(BEFORE), 'the snapshot before is whole')
  await using repository = await openFolder(place.repo)
  t.same(
    (await listSnapshots(repository.context)).map(snapshot => snapshot.name),
    ['before'],
  )
}

t.test('a folder that is no repository, or one of a newer format', async t => {
  const place = await prepare(t)
  const other = join(place.folder, 'other')
  mkdirSync(other)
  writeFileSync(join(other, 'letter.txt'), 'dear')
  for (const repo of [other, join(place.folder, 'missing'), join(place.folder, 'key')])
    await failsWith(t, place, { words: ['snapshots', '--repo', repo], code: 'GRANARY_NOT_FOUND', exit: 10 })
  await failsWith(t, place, { words: ['init', other], code: 'GRANARY_EXISTS', exit: 11 })
  t.same(readdirSync(other), ['letter.txt'])
  await failsWith(t, place, { words: ['snapshots', '--repo', 'gopher://host/'], code: 'GRANARY_UNSUPPORTED', exit: 15 })

  const config = join(place.repo, 'config')
  const bytes = readFileSync(config)
  writeFileSync(
    config,
    Buffer.concat([Buffer.from(bytes.toString('latin1').replace('"format":1', '"format":2'), 'latin1')]),
  )
  for (const words of [['snapshots'], ['restore', 'latest', '-'], ['gc'], ['check']])
    await failsWith(t, place, { words, code: 'GRANARY_UNSUPPORTED', exit: 15 })
  writeFileSync(config, bytes)
  writeFileSync(config, Buffer.from(bytes.toString('latin1').replace('"write":[]', '"write":["quantum"]'), 'latin1'))
  await failsWith(t, place, { words: ['snapshots'], code: 'GRANARY_UNSUPPORTED', exit: 15 })
  writeFileSync(config, bytes)
  await isAsBefore(t, place)
})

t.test(
  'a full disk under the repository: nothing is lost, and what fitted is used once there is room',
  { skip: whyNoMounts() },
  async t => {
    const small = mountTmpfs(t, 48 * MIB)
    const place = await prepare(t, small)
    const disk = join(place.folder, 'big.raw')
    writeFileSync(disk, seededBytes(80 * MIB, 2))
    await failsWith(t, place, { words: ['backup', disk], code: 'GRANARY_NO_SPACE', exit: 20 })
    await isAsBefore(t, place)
    const kept = sizeOf(place.repo)
    execFileSync('mount', ['-o', `remount,size=${160 * MIB}`, small])
    const { code, text, stderr } = await place.granary(['backup', disk, '--json'])
    t.equal(code, 0, stderr)
    const [snapshot] = parseJsonLines(text) as { disks: { newBytes: number }[] }[]
    t.ok(
      (snapshot?.disks[0]?.newBytes ?? 0) <= 80 * MIB - (kept - 3 * MIB),
      'what had been stored was not stored again',
    )
    t.equal((await place.granary(['check', '--read-data'])).code, 0)
  },
)

t.test('a full disk under the target: nothing of it stays', { skip: whyNoMounts() }, async t => {
  const place = await prepare(t)
  const small = mountTmpfs(t, MIB)
  await failsWith(t, place, {
    words: ['restore', 'latest', join(small, 'out.raw')],
    code: 'GRANARY_NO_SPACE',
    exit: 20,
  })
  t.same(readdirSync(small), [])
})

t.test('sources that are not there, are something else, or may not be read', async t => {
  const place = await prepare(t)
  const pipe = join(place.folder, 'pipe.raw')
  execFileSync('mkfifo', [pipe])
  writeFileSync(join(place.folder, 'text.qcow2'), 'no image')
  for (const [disk, code, exit] of [
    [join(place.folder, 'missing.raw'), 'GRANARY_NOT_FOUND', 10],
    [`raw:${place.folder}`, 'GRANARY_UNSUPPORTED', 15],
    [pipe, 'GRANARY_UNSUPPORTED', 15],
    ['raw:/dev/null', 'GRANARY_UNSUPPORTED', 15],
    [join(place.folder, 'text.qcow2'), 'GRANARY_CORRUPT', 30],
  ] as const)
    await failsWith(t, place, { words: ['backup', disk], code, exit })
  await isAsBefore(t, place)
})

t.test('no permission: to the repository, to the source, to the target', { skip: whyNotNobody() }, async t => {
  const place = await prepare(t)
  chmodSync(place.folder, 0o755)
  chmodSync(join(place.folder, 'key'), 0o644)
  const secret = join(place.folder, 'secret.raw')
  writeFileSync(secret, 'secret', { mode: 0o600 })
  const open = join(place.folder, 'open.raw')
  writeFileSync(open, seededBytes(MIB, 3))
  const asNobody = { code: 'GRANARY_PERMISSION', exit: 21, userId: NOBODY }
  const repo = ['--repo', place.repo]
  await failsWith(t, place, { words: ['backup', open, ...repo], ...asNobody })
  await failsWith(t, place, { words: ['copy', secret, '-'], ...asNobody })
  await failsWith(t, place, { words: ['copy', open, join(place.folder, 'target.raw')], ...asNobody })
  await failsWith(t, place, { words: ['init', join(place.folder, 'new')], ...asNobody })
  chmodSync(place.repo, 0o700)
  await failsWith(t, place, { words: ['snapshots'], ...asNobody })
  chmodSync(place.repo, 0o755)
  t.notOk(filesIn(place.folder).has('target.raw'))
  await isAsBefore(t, place)
})

t.test('a source that shrinks or fails midway makes no snapshot', async t => {
  const place = await prepare(t)
  await using repository = await openFolder(place.repo)
  const content = seededBytes(96 * MIB, 4)
  for (const workers of [0, 1]) {
    const path = join(place.folder, `shrinks-${workers}.raw`)
    writeFileSync(path, content)
    await using disk = await openRawReader(path)
    const input = { name: 'disk', source: path, disk, fileDescriptor: disk.fileDescriptor }
    const onProgress = (): void => truncateSync(path, 40 * MIB)
    await t.rejects(backup(repository, [input], { name: 'cut', workers, onProgress }), { code: 'GRANARY_SIZE' })
    const broken = faultyReader(memoryDisk(content), { errorAt: 70 * MIB })
    await t.rejects(
      backup(repository, [{ ...input, fileDescriptor: undefined, disk: broken } as never], { name: 'bad', workers }),
      { code: 'GRANARY_IO' },
    )
  }
  await isAsBefore(t, place)
})

/** Devices of which a part can't be read are the kernel's to make. */
const whyNoMapper = (): string | false => {
  const why = whyNoLoopDevices()
  if (why !== false) return why
  return spawnSync('dmsetup', ['targets'], { encoding: 'utf8' }).stdout?.includes('error')
    ? false
    : 'needs the device mapper'
}

t.test('a device with a bad sector is told by its place, and makes no snapshot', { skip: whyNoMapper() }, async t => {
  const place = await prepare(t)
  const loop = createLoopDevice(t, 64 * MIB)
  const name = `granary-test-${process.pid}`
  const sectors = (64 * MIB) / 512
  const bad = 40 * 2048
  const table = `0 ${bad} linear ${loop} 0\n${bad} 8 error\n${bad + 8} ${sectors - bad - 8} linear ${loop} ${bad + 8}\n`
  execFileSync('dmsetup', ['create', name], { input: table })
  t.teardown(() => void execFileSync('dmsetup', ['remove', '--retry', name]))
  const { code, stderr } = await place.granary(['backup', `/dev/mapper/${name}`, '--json'])
  t.equal(code, 22)
  t.match(parseJsonLines(stderr).at(-1), { code: 'GRANARY_IO', message: /\(EIO\)/, hint: String })
  await isAsBefore(t, place)
})
