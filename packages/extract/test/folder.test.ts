import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync, chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { memoryDisk } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'
import t from 'tap'
import { OWNERS_FILE, applyOwners, extractToFolder, selectedItems, writeTar } from '../src/index.ts'
import type { ExtractReport, ExtractStep, FolderOptions } from '../src/index.ts'
import { differencesOnDisk, hasProgram } from './helpers/compare.ts'
import { openFixture, wantedEntries } from './helpers/fixture.ts'
import { brokenFrom, bytes, item } from './helpers/hostile-tree.ts'
import { memorySink } from './helpers/memory-sink.ts'
import { asNobody, isRoot, scratchFolder } from './helpers/scratch.ts'

const skip = hasProgram('python3') ? false : 'the program python3 is not here'
const rootSkip = skip || (isRoot ? false : 'only root may give files away')

const extractFixture = async (target: string, options: FolderOptions = {}): Promise<ExtractReport> => {
  await using tree = await openFixture()
  const errors: string[] = []
  const steps = selectedItems([{ tree, node: tree.root, path: { text: '' } }])
  const report = await extractToFolder(steps, target, {
    onError: (path, error) => errors.push(`${path}: ${String(error)}`),
    ...options,
  })
  if (errors.length > 0) throw new Error(errors.join('\n'))
  return report
}

async function* stepsOf(...steps: ExtractStep[]): AsyncGenerator<ExtractStep> {
  yield* steps
}

t.test('root gets everything as the kernel showed it', { skip: rootSkip }, async t => {
  const target = join(scratchFolder(t), 'new', 'folder')
  const wanted = wantedEntries()
  const report = await extractFixture(target, { devices: true })
  t.strictSame(differencesOnDisk(target, wanted, { hasOwners: true, hasDevices: true, hasXattrs: true }), [])
  t.equal(report.failed, 0)
  t.equal(report.folders, wanted.filter(({ type }) => type === 'dir').length - 1)
  t.equal(report.files + report.hardLinks, wanted.filter(({ type }) => type === 'file').length)
  t.equal(report.kept, 0)
  t.notOk(existsSync(join(target, OWNERS_FILE)), 'nothing is kept for later')
})

t.test('an ordinary user gets the content, and root sets the rest later', { skip }, async t => {
  const scratch = scratchFolder(t)
  chmodSync(scratch, 0o777)
  const target = join(scratch, 'files')
  const wanted = wantedEntries()
  const report = await asNobody(async () => await extractFixture(target))
  t.ok(report.kept > 0, `${report.kept} files are kept`)
  t.strictSame(
    differencesOnDisk(target, [...wanted, { path: `/${OWNERS_FILE}`, type: 'socket' } as (typeof wanted)[0]], {
      hasOwners: false,
      hasDevices: false,
      hasXattrs: false,
    }),
    [],
  )
  const rows = readFileSync(join(target, OWNERS_FILE), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.equal(rows.length, report.kept)
  const setId = wanted.filter(({ type, mode }) => type === 'file' && Number.parseInt(mode, 8) & 0o6000)
  t.ok(setId.length > 0)
  for (const { path_hex = '' } of setId) {
    const place = Buffer.concat([Buffer.from(target), Buffer.from(path_hex, 'hex')])
    t.equal(statSync(place).mode & 0o6000, 0, 'the rights of an owner are not given to another')
  }
  if (!isRoot) return
  const applied = await applyOwners(target, {
    devices: true,
    onError: (path, error) => t.fail(`${path}: ${String(error)}`),
  })
  t.match(applied, { applied: report.kept, failed: 0, leftOut: 0 })
  t.strictSame(
    differencesOnDisk(target, [...wanted, { path: `/${OWNERS_FILE}`, type: 'socket' } as (typeof wanted)[0]], {
      hasOwners: true,
      hasDevices: true,
      hasXattrs: true,
    }),
    [],
  )
})

t.test(
  'without native calls only microseconds, attributes, FIFOs and devices are missing',
  { skip: rootSkip },
  async t => {
    const target = join(scratchFolder(t), 'files')
    const report = await extractFixture(target, { libc: null })
    t.ok(report.kept > 0)
    t.match(await applyOwners(target, { devices: true }), { applied: report.kept, failed: 0 })
    const wanted = [
      ...wantedEntries(),
      { path: `/${OWNERS_FILE}`, type: 'socket' } as ReturnType<typeof wantedEntries>[0],
    ]
    t.strictSame(
      differencesOnDisk(target, wanted, { hasOwners: true, hasDevices: true, hasXattrs: true, mtimes: 'none' }),
      [],
    )
  },
)

t.test('what exists is not overwritten, and the others come', async t => {
  const target = join(scratchFolder(t), 'files')
  const errors: [string, unknown][] = []
  const onError = (path: string, error: unknown): unknown => errors.push([path, error])
  await extractToFolder(stepsOf(item({ path: 'a', content: bytes('first') })), target, { onError })
  const report = await extractToFolder(
    stepsOf(
      item({ path: 'a', content: bytes('second') }),
      item({ path: 'dir', type: 'dir' }),
      item({ path: 'dir/b', content: bytes('third') }),
    ),
    target,
    { onError },
  )
  t.equal(readFileSync(join(target, 'a'), 'utf8'), 'first')
  t.equal(readFileSync(join(target, 'dir/b'), 'utf8'), 'third')
  t.match(errors, [['a', { code: 'GRANARY_EXISTS' }]])
  t.match(report, { files: 1, folders: 1, failed: 1 })
})

t.test("a file that can't be read leaves nothing, and the others come", async t => {
  const target = join(scratchFolder(t), 'files')
  const errors: [string, unknown][] = []
  const report = await extractToFolder(
    stepsOf(
      item({ path: 'small', content: brokenFrom(1000, 0) }),
      item({ path: 'large', content: brokenFrom(10_000_000, 5_000_000) }),
      { kind: 'error', path: { text: 'damaged' }, error: new Error('inode 7') },
      item({ path: 'good', content: bytes('content') }),
    ),
    target,
    { onError: (path, error) => errors.push([path, error]) },
  ).catch((error: unknown) => error)
  t.match(report, { message: 'inode 7' }, 'a bug ends it')
  t.match(
    errors.map(([path]) => path),
    ['small', 'large'],
  )
  t.match(errors[0]?.[1], { code: 'GRANARY_UNSUPPORTED' })
  t.strictSame(readdirSync(target), [])
})

t.test('an abort leaves no half file', async t => {
  const target = join(scratchFolder(t), 'files')
  const controller = new AbortController()
  const endless: DiskReader = {
    ...brokenFrom(2 ** 40, Infinity),
    async read(offset: number, part: Bytes) {
      if (offset > 3_000_000) controller.abort(new Error('enough'))
      part.fill(1)
    },
  }
  await t.rejects(
    extractToFolder(
      stepsOf(item({ path: 'done', content: bytes('x') }), item({ path: 'endless', content: endless })),
      target,
      { signal: controller.signal },
    ),
    { message: 'enough' },
  )
  t.strictSame(readdirSync(target), ['done'])
})

t.test('holes stay holes', async t => {
  const target = join(scratchFolder(t), 'files')
  const sparse: DiskReader = {
    ...memoryDisk(new Uint8Array(0)),
    sizeBytes: 2 ** 40,
    async read(_offset, part) {
      part.fill(7)
    },
    async *extents() {
      yield { offset: 0, length: 4096, kind: 'data' as const }
      yield { offset: 4096, length: 2 ** 40 - 8192, kind: 'hole' as const }
      yield { offset: 2 ** 40 - 4096, length: 4096, kind: 'data' as const }
    },
  }
  const report = await extractToFolder(stepsOf(item({ path: 'sparse', content: sparse })), target)
  const found = statSync(join(target, 'sparse'))
  t.equal(found.size, 2 ** 40)
  t.ok(found.blocks < 1000, `${found.blocks} blocks`)
  t.equal(report.bytes, 8192)
  t.equal(execFileSync('tail', ['-c', '2', join(target, 'sparse')]).toString('hex'), '0707')
})

t.test('sockets and named streams are left out and counted', async t => {
  const steps = (): AsyncGenerator<ExtractStep> =>
    stepsOf(
      item({ path: 'download.exe', content: bytes('x'), streams: ['Zone.Identifier', 'other'] }),
      item({ path: 'folder', type: 'dir', streams: ['note'] }),
      item({ path: 'listening', type: 'socket' }),
    )
  t.match(await extractToFolder(steps(), join(scratchFolder(t), 'files')), { files: 1, folders: 1, leftOut: 4 })
  t.match(await writeTar(steps(), memorySink()), { files: 1, folders: 1, leftOut: 4 })
})
