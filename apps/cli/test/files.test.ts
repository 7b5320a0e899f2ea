import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
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

t.test('cat gives the bytes of files, also of those whose names are no UTF-8', async t => {
  const { folder } = await createRepository(t)
  const disk = join(folder, 'web.img')
  writeFileSync(disk, image)
  const files = wanted.filter(
    ({ type, size, sha256 }) => type === 'file' && size > 0 && size < 1e6 && sha256 !== undefined,
  )
  const odd = files.filter(({ path_hex }) => path_hex !== undefined).slice(0, 3)
  t.ok(odd.length > 0, 'there are odd names')
  for (const { path, path_hex, sha256 } of [...files.slice(0, 3), ...odd]) {
    const words = path_hex === undefined ? [`${disk}:disk:${path}`] : [`${disk}:disk`, '--path-hex', path_hex]
    const { code, stdout, stderr } = await granary(['cat', ...words])
    t.equal(code, 0, stderr)
    t.equal(createHash('sha256').update(stdout).digest('hex'), sha256, path)
  }
})

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
