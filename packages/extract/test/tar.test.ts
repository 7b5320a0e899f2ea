import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import { createPartialOutput, selectedItems, writeTar } from '../src/index.ts'
import type { ExtractStep, TarOptions } from '../src/index.ts'
import { paxTime } from '../src/tar/pax.ts'
import { differencesOnDisk, hasProgram } from './helpers/compare.ts'
import { openFixture, wantedEntries } from './helpers/fixture.ts'
import { brokenFrom, bytes, item } from './helpers/hostile-tree.ts'
import { memorySink } from './helpers/memory-sink.ts'
import type { MemorySink } from './helpers/memory-sink.ts'
import { isRoot, scratchFolder } from './helpers/scratch.ts'

async function* stepsOf(...steps: ExtractStep[]): AsyncGenerator<ExtractStep> {
  yield* steps
}

const PYTHON = `
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extraction_filter = lambda member, path: member
    archive.extractall(sys.argv[2])
`

/** Programs that extract archives, and what each of them sets. */
const READERS = {
  tar: {
    words: (file: string, to: string) => [
      'tar',
      '--xattrs',
      '--xattrs-include=*',
      '--same-owner',
      '-xpf',
      file,
      '-C',
      to,
    ],
    hasXattrs: true,
    mtimes: 'nanoseconds',
  },
  bsdtar: {
    words: (file: string, to: string) => ['bsdtar', '-xpf', file, '-C', to],
    hasXattrs: false,
    mtimes: 'nanoseconds',
  },
  python3: {
    words: (file: string, to: string) => ['python3', '-c', PYTHON, file, to],
    hasXattrs: false,
    mtimes: 'none',
  },
} as const

const run = (words: readonly string[]): void => {
  const [program = '', ...parameters] = words
  execFileSync(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } })
}

const rootSkip = isRoot
  ? hasProgram('python3')
    ? false
    : 'the program python3 is not here'
  : 'only root may give files away'

t.test('readers of archives extract what the kernel showed', { skip: rootSkip }, async t => {
  const scratch = scratchFolder(t)
  const file = join(scratch, 'fixture.tar')
  await using tree = await openFixture()
  {
    await using output = await createPartialOutput(file)
    const report = await writeTar(selectedItems([{ tree, node: tree.root, path: { text: '' } }]), output)
    t.equal(report.failed, 0)
    t.notOk(existsSync(file), 'it has no name yet')
    await output.publish()
  }
  t.equal(statSync(file).size % 512, 0)
  const wanted = wantedEntries()
  for (const [name, { words, hasXattrs, mtimes }] of Object.entries(READERS)) {
    if (!hasProgram(name)) {
      t.comment(`the program ${name} is not here`)
      continue
    }
    const target = join(scratch, name)
    mkdirSync(target)
    run(words(file, target))
    const options = { hasOwners: true, hasDevices: true, hasXattrs, mtimes } as const
    t.strictSame(differencesOnDisk(target, wanted, options).slice(0, 10), [], name)
  }
})

const listed = (sink: MemorySink, t: { teardown(action: () => void): void }): string[] => {
  const file = join(scratchFolder(t), 'x.tar')
  writeFileSync(file, sink.bytes)
  return execFileSync('tar', ['-tf', file])
    .toString()
    .trim()
    .split('\n')
    .filter(line => line !== '')
}

t.test("a file that can't be read leaves no trace in a file, and ends a pipe", async t => {
  const large = brokenFrom(20_000_000, 11_000_000)
  const steps = (): AsyncIterable<ExtractStep> =>
    stepsOf(
      item({ path: 'before', content: bytes('1') }),
      item({ path: 'small', content: brokenFrom(1000, 10) }),
      item({ path: 'large', content: large }),
      item({ path: 'after', content: bytes('2') }),
    )
  const errors: string[] = []
  const sink = memorySink()
  const report = await writeTar(steps(), sink, { onError: path => errors.push(path) })
  t.strictSame(errors, ['small', 'large'])
  t.match(report, { files: 2, failed: 2, bytes: 2 })
  t.strictSame(listed(sink, t), ['before', 'after'])
  const pipe = memorySink(false)
  await t.rejects(writeTar(steps(), pipe, { onError: () => undefined }), {
    code: 'GRANARY_UNSUPPORTED',
    message: /large.*the archive ends here/,
  })
  t.throws(() => listed(pipe, t), 'a reader sees that it is cut off')
})

/** Data and holes in turns, by offsets. */
const sparseFile = (sizeBytes: number, ranges: readonly (readonly [number, number])[]): DiskReader => {
  const content = (offset: number): number =>
    ranges.some(([at, length]) => offset >= at && offset < at + length) ? 1 + (offset % 255) : 0
  return {
    ...memoryDisk(new Uint8Array(0)),
    sizeBytes,
    async read(offset, target) {
      for (let i = 0; i < target.length; i++) target[i] = content(offset + i)
    },
    async *extents() {
      let at = 0
      for (const [offset, length] of ranges) {
        if (offset > at) yield { offset: at, length: offset - at, kind: 'hole' as const }
        yield { offset, length, kind: 'data' as const }
        at = offset + length
      }
      if (at < sizeBytes) yield { offset: at, length: sizeBytes - at, kind: 'zero' as const }
    },
  }
}

t.test('files with holes are sparse in the archive, and right in every reader', async t => {
  const MIB = 1 << 20
  const files: Readonly<Record<string, DiskReader>> = {
    'dir/holes': sparseFile(5 * MIB + 77, [
      [0, 4096],
      [2 * MIB, 8192],
      [5 * MIB, 77],
    ]),
    'all-hole': sparseFile(3 * MIB, []),
    'end-hole': sparseFile(4 * MIB + 1, [[512, 1024]]),
    'no-holes': sparseFile(MIB, [[0, MIB]]),
    'odd-ranges': sparseFile(4 * MIB, [
      [100, 3],
      [700, 500],
      [3 * MIB + 1, 1000],
    ]),
  }
  const steps = (): AsyncIterable<ExtractStep> =>
    stepsOf(
      item({ path: 'dir', type: 'dir' }),
      ...Object.entries(files).map(([path, content]) => item({ path, content })),
    )
  const contents: Readonly<Record<string, Uint8Array>> = Object.fromEntries(
    await Promise.all(
      Object.entries(files).map(async ([path, file]) => {
        const all = new Uint8Array(file.sizeBytes)
        await file.read(0, all)
        return [path, all] as const
      }),
    ),
  )
  for (const options of [{}, { sparse: false }] satisfies TarOptions[]) {
    const sink = memorySink()
    await writeTar(steps(), sink, options)
    t.equal(sink.position > 10 * MIB, options.sparse === false, `${sink.position} bytes`)
    const scratch = scratchFolder(t)
    writeFileSync(join(scratch, 'x.tar'), sink.bytes)
    for (const [name, { words }] of Object.entries(READERS)) {
      if (!hasProgram(name)) continue
      const target = join(scratch, name)
      mkdirSync(target)
      run(words(join(scratch, 'x.tar'), target).filter(word => word !== '--same-owner'))
      for (const [path, wanted] of Object.entries(contents))
        t.equal(Buffer.compare(readFileSync(join(target, path)), wanted), 0, `${name}: ${path}`)
    }
  }
})

t.test('names, owners, sizes and times of every length', { skip: rootSkip }, async t => {
  const long = (letter: string, length: number): string => letter.repeat(length)
  const paths: (string | Uint8Array)[] = [
    ...[99, 100, 101, 155, 255].map(length => long('n', length)),
    `${long('d', 200)}/${long('e', 200)}/${long('f', 200)}`,
    'имя файла',
    Uint8Array.from([0x61, 0xff, 0xfe, 0x62]),
    'line\nbreak',
  ]
  const folders = [long('d', 200), `${long('d', 200)}/${long('e', 200)}`].map(path =>
    item({ path, type: 'dir', stat: { mode: 0o755, uid: 0, gid: 0 } }),
  )
  const contents = paths.map((_, index) => seededBytes(index * 300, index))
  const stats = { mode: 0o640, uid: 4_000_000_000, gid: 2_097_152 }
  const sink = memorySink()
  await writeTar(
    stepsOf(
      ...folders,
      ...paths.map((path, index) =>
        item({
          path,
          content: contents[index] as Uint8Array,
          stat: { ...stats, mtime: BigInt(index) * 1_000_000_001n },
        }),
      ),
      item({ path: 'link', type: 'symlink', target: long('t', 300), stat: { mode: 0o777 } }),
      item({ path: 'attributes', xattrs: [{ name: { text: 'user.a=b' }, value: bytes('x') }] }),
    ),
    sink,
  )
  const scratch = scratchFolder(t)
  writeFileSync(join(scratch, 'x.tar'), sink.bytes)
  for (const name of ['tar', 'bsdtar'] as const) {
    if (!hasProgram(name)) continue
    const target = join(scratch, name)
    mkdirSync(target)
    run(READERS[name].words(join(scratch, 'x.tar'), target))
    for (const [index, path] of paths.entries()) {
      const place = Buffer.concat([Buffer.from(`${target}/`), Buffer.from(path as string)])
      t.equal(
        Buffer.compare(readFileSync(place), contents[index] as Uint8Array),
        0,
        `${name}: ${String(path).slice(0, 20)}`,
      )
      const { uid, gid, mode, mtimeNs } = statSync(place, { bigint: true })
      t.strictSame(
        [uid, gid, mode & 0o7777n, mtimeNs],
        [4_000_000_000n, 2_097_152n, 0o640n, BigInt(index) * 1_000_000_001n],
      )
    }
    t.ok(readdirSync(target).includes('link'))
  }
})

t.test('times are written exactly, before 1970 too', async t => {
  t.equal(paxTime(0n), '0.000000000')
  t.equal(paxTime(1_500_000_000_000_000_001n), '1500000000.000000001')
  t.equal(paxTime(-1n), '-0.000000001')
  t.equal(paxTime(-1_500_000_000n), '-1.500000000')
})

t.test('hostile names are errors of their own, in an archive as well', async t => {
  const errors: string[] = []
  const sink = memorySink()
  await writeTar(stepsOf(...['../x', '/x', 'a\0b', 'a/../b', 'fine'].map(path => item({ path }))), sink, {
    onError: path => errors.push(path),
  })
  t.strictSame(errors, ['../x', '/x', 'a\0b', 'a/../b'])
  t.strictSame(listed(sink, t), ['fine'])
})

t.test("an archive that isn't finished leaves nothing, and none is overwritten", async t => {
  const folder = scratchFolder(t)
  const file = join(folder, 'x.tar')
  {
    await using output = await createPartialOutput(file)
    await output.write(bytes('begun'))
    t.equal(readdirSync(folder).length, 1)
  }
  t.strictSame(readdirSync(folder), [])
  await using output = await createPartialOutput(file)
  await output.write(bytes('mine'))
  writeFileSync(file, 'theirs')
  await t.rejects(output.publish(), { code: 'GRANARY_EXISTS' })
  t.equal(readFileSync(file, 'utf8'), 'theirs')
  await t.rejects(createPartialOutput(file), { code: 'GRANARY_EXISTS' })
})
