import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { parseJsonLines, projectPath } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'

interface Wanted {
  readonly path: string
  readonly path_hex?: string
  readonly type: string
  readonly size: number
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtime: string
  readonly ctime: string
  readonly nlink: number
  readonly ino: number
  readonly target?: string
  readonly sha256?: string
  readonly xattrs?: Readonly<Record<string, { readonly b64?: string }>>
}

const fixture = (name: string): Buffer =>
  brotliDecompressSync(readFileSync(projectPath('packages', 'guestfs', 'test', 'fixtures', name)))

const wanted = (JSON.parse(fixture('ext4.json.br').toString()) as { entries: Wanted[] }).entries
const image = fixture('ext4.img.br')

/** Its path is text. */
const isPlain = ({ path, path_hex }: Wanted): boolean => path_hex === Buffer.from(path).toString('hex')

const pathKey = (row: { path: string; pathHex?: unknown; path_hex?: string }): string =>
  String(row.pathHex ?? row.path_hex ?? Buffer.from(row.path).toString('hex'))

t.test('ls shows of a disk in a snapshot what the kernel showed of it', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'web.raw')
  writeFileSync(disk, image)
  t.equal((await granary(['backup', disk], { env })).code, 0)
  for (const address of ['granary:latest', `raw:${disk}:disk:/`, 'granary:latest/web:disk']) {
    const { code, text, stderr } = await granary(['ls', address, '-R', '--hash', '--json'], { env })
    t.equal(code, 0, stderr)
    const rows = parseJsonLines(text) as unknown as (Wanted & { volume: string; pathHex?: string })[]
    t.equal(rows.length, wanted.length, `${address}: as many files`)
    const byPath = new Map(rows.map(row => [pathKey(row), row]))
    for (const entry of wanted) {
      const row = byPath.get(pathKey(entry))
      const { type, size, mode, uid, gid, mtime, ctime, nlink, ino, target, sha256 } = entry
      const xattrs = Object.fromEntries(
        Object.entries(entry.xattrs ?? {}).flatMap(([name, { b64 }]) => (b64 === undefined ? [] : [[name, b64]])),
      )
      const expected = {
        ...{ volume: 'disk', type, mode, uid, gid, mtime, ctime, nlink, ino },
        ...(type === 'file' || type === 'symlink' ? { size } : {}),
        ...(target === undefined ? {} : { target }),
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(Object.keys(xattrs).length === 0 ? {} : { xattrs }),
      }
      t.match(row, expected, entry.path)
    }
    const fields = 'volume path pathHex type size mode uid gid mtime ctime btime nlink ino target xattrs sha256'.split(
      ' ',
    )
    t.strictSame(
      rows.flatMap(row => Object.keys(row)).filter(field => !fields.includes(field)),
      [],
      'and no other field',
    )
  }
})

t.test('cat gives the bytes of files', async t => {
  const { folder } = await createRepository(t)
  const disk = join(folder, 'web.img')
  writeFileSync(disk, image)
  const files = wanted.filter(
    ({ type, size, sha256 }) => type === 'file' && size > 0 && size < 1e6 && sha256 !== undefined,
  )
  t.ok(files.length > 3)
  for (const { path, sha256 } of files.slice(0, 5)) {
    const { code, stdout, stderr } = await granary(['cat', `${disk}:disk:${path}`])
    t.equal(code, 0, stderr)
    t.equal(createHash('sha256').update(stdout).digest('hex'), sha256, path)
  }
})

const hasMkfs = spawnSync('which', ['mkfs.ext4']).status === 0

t.test(
  'names that are no UTF-8 are listed, read and extracted by their bytes',
  { skip: hasMkfs ? false : 'the program mkfs.ext4 is not here' },
  async t => {
    const { folder } = await createRepository(t)
    const [top, disk] = [join(folder, 'top'), join(folder, 'odd.raw')]
    const name = Buffer.from([0x61, 0xff, 0x1b, 0x62])
    mkdirSync(top)
    writeFileSync(Buffer.concat([Buffer.from(`${top}/`), name]), 'odd')
    execFileSync('truncate', ['-s', '4M', disk])
    execFileSync('mkfs.ext4', ['-q', '-F', '-d', top, disk])
    const rows = parseJsonLines((await granary(['ls', `${disk}:disk`, '--json'])).text)
    const row = rows.find(({ type }) => type === 'file')
    t.match(row, { path: '/a?\u001bb', pathHex: '2f61ff1b62', size: 3 })
    t.match((await granary(['ls', `${disk}:disk`])).text, '/a?\\u{1b}b', 'no name steers the terminal')
    t.equal((await granary(['cat', `${disk}:disk`, '--path-hex', '2f61ff1b62'])).text, 'odd')
    const target = join(folder, 'target')
    await granary(['extract', `${disk}:disk`, '--path-hex', '2f61ff1b62', '--to', target])
    t.strictSame(
      readdirSync(target, { encoding: 'buffer' }).map(each => each.toString('hex')),
      ['61ff1b62'],
    )
  },
)

t.test('volumes, ls and cat say what is not there or not possible', async t => {
  const { folder } = await createRepository(t)
  const [disk, zeros] = [join(folder, 'web.raw'), join(folder, 'zeros.raw')]
  writeFileSync(disk, image)
  writeFileSync(zeros, Buffer.alloc(1 << 20))
  const { text } = await granary(['volumes', `${disk}+raw:${zeros}`, '--json'])
  t.match(parseJsonLines(text), [
    { type: 'volume', v: 1, id: 'd0', kind: 'whole', content: 'ext4', sizeBytes: image.length, source: { disks: [0] } },
    { type: 'volume', v: 1, id: 'd1', whyNot: { reason: 'empty' } },
  ])
  t.match((await granary(['volumes', disk])).text, /VOLUME.*\ndisk +ext4/)
  const folderOf = wanted.find(({ type, path }) => type === 'dir' && path !== '/')?.path ?? ''
  t.match((await granary(['ls', `${disk}:disk:${folderOf}`])).text, `${folderOf}/`)
  const failures: [string[], number, RegExp][] = [
    [['ls', `${disk}:p7`], 10, /choose one of: guest, disk/],
    [['ls', `${disk}:disk:/nowhere`], 10, /nowhere/],
    [['cat', `${disk}:disk:${folderOf}`], 2, /regular file/],
    [['ls', `${disk}:guest`], 10, /no volume holds a system/],
    [['cat', `${disk}+raw:${zeros}:/x`], 2, /no :VOLUME/],
    [['cat', `raw:${zeros}`], 2, /no volume can be read/],
    [['ls', `${disk}:disk@7`], 10, /no subvolume 7/],
    [['ls', disk, '--code-page', 'cp1'], 2, /cp866/],
    [['ls', `${disk}:disk`, '--path-hex', '41'], 2, /begin with 2f/],
  ]
  for (const [words, exitCode, message] of failures) {
    const { code, stderr } = await granary(words)
    t.equal(code, exitCode, words.join(' '))
    t.match(stderr, message)
  }
})

t.test('extract writes to a folder, an archive and standard output', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'web.raw')
  writeFileSync(disk, image)
  t.equal((await granary(['backup', disk], { env })).code, 0)
  const file = wanted.find(
    entry => entry.type === 'file' && entry.size > 0 && entry.size < 1e6 && isPlain(entry) && entry.nlink === 1,
  )
  const path = file?.path ?? ''
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

  const target = join(folder, 'files')
  const all = await granary(['extract', 'granary:latest:disk', '--to', target, '--json'], { env })
  const [report] = parseJsonLines(all.text)
  t.match(report, { type: 'extracted', v: 1, target, failed: 0, files: Number, seconds: Number })
  t.equal(all.code, (report?.['kept'] as number) > 0 ? 3 : 0, 'what could not be set is one warning')
  t.equal(sha256(readFileSync(join(target, path))), file?.sha256)

  const archive = join(folder, 'one.tar')
  t.match(
    (await granary(['extract', `granary:latest:disk:${path}`, '--to', archive], { env })).text,
    /1 files in 0 folders/,
  )
  const piped = await granary(['extract', `granary:latest:disk:${path}`, '--to', '-'], { env })
  t.equal(Buffer.compare(piped.stdout, readFileSync(archive)), 0, 'the same archive')
  t.equal(
    sha256(piped.stdout.subarray(-1024 - Math.ceil((file?.size ?? 0) / 512) * 512).subarray(0, file?.size)),
    file?.sha256,
  )

  const failures: [string[], number][] = [
    [['extract', 'granary:latest:disk', '--to', archive], 11],
    [['extract', 'granary:latest:disk'], 2],
    [['extract', '--to', target], 2],
    [['extract', 'granary:latest:disk:/no/such', '--to', join(folder, 'x')], 10],
    [['extract', '--apply-owners', target, '--to', 'x'], 2],
    [['extract', '--apply-owners', join(folder, 'nowhere')], 10],
  ]
  for (const [words, exitCode] of failures) t.equal((await granary(words, { env })).code, exitCode, words.join(' '))
})

t.test('files that exist are told of one by one, and the exit code is 3', async t => {
  const { folder } = await createRepository(t)
  const disk = join(folder, 'web.raw')
  writeFileSync(disk, image)
  const path =
    wanted.find(entry => entry.type === 'file' && isPlain(entry) && entry.path.lastIndexOf('/') === 0)?.path ?? ''
  const words = ['extract', `${disk}:disk:${path}`, '--to', join(folder, 'files'), '--json']
  await granary(words)
  const { code, stderr, text } = await granary(words)
  t.equal(code, 3)
  t.match(parseJsonLines(text), [{ failed: 1, files: 0 }])
  t.match(parseJsonLines(stderr)[0], { type: 'warning', path: path.slice(1), code: 'GRANARY_EXISTS' })
})
