/** What an image names is opened by consent only, and by the folder rule never outside the folder. */
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { seededBytes } from '@granary/testing'
import { createFile, createQcow2, filesInFolder, openFileToRead, openQcow2File, readQcow2Info } from '../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const inside = join(root, 'images')
const outside = join(root, 'secrets')
mkdirSync(join(inside, 'below'), { recursive: true })
mkdirSync(outside)

const content = seededBytes(65_536, 1)
for (const path of [join(inside, 'base.raw'), join(inside, 'below', 'base.raw'), join(outside, 'base.raw')])
  writeFileSync(path, content)
symlinkSync(join(outside, 'base.raw'), join(inside, 'leads-out.raw'))
symlinkSync(join(inside, 'base.raw'), join(inside, 'stays.raw'))
symlinkSync(outside, join(inside, 'folder-out'))
symlinkSync('/dev/zero', join(inside, 'device.raw'))
execFileSync('mkfifo', [join(inside, 'pipe.raw')])

const overlay = async (name: string, backing: string, format: 'raw' | 'qcow2' = 'raw'): Promise<string> => {
  const path = join(inside, name)
  rmSync(path, { force: true })
  const file = await createFile(path)
  await createQcow2(file, { sizeBytes: 65_536, backing: { name: backing, format } })
  await file[Symbol.asyncDispose]?.()
  return path
}

const reads = async (path: string, folders: readonly string[]): Promise<boolean> => {
  const disk = await openQcow2File(path, { resolve: filesInFolder(folders) })
  const found = new Uint8Array(disk.sizeBytes)
  await disk.read(0, found)
  await disk[Symbol.asyncDispose]()
  return Buffer.compare(found, content) === 0
}

t.test('files inside the folder', async t => {
  for (const name of [
    'base.raw',
    './base.raw',
    'below/base.raw',
    'below/../base.raw',
    join(inside, 'base.raw'),
    'stays.raw',
  ])
    t.equal(await reads(await overlay('o.qcow2', name), [inside]), true, name)
})

t.test('everything else', async t => {
  const names = [
    '../secrets/base.raw',
    join(outside, 'base.raw'),
    'leads-out.raw',
    'folder-out/base.raw',
    'device.raw',
    'pipe.raw',
    'below',
    '/dev/zero',
    'json:{"driver":"raw","file":{"driver":"file","filename":"base.raw"}}',
    'file:base.raw',
    'nbd://localhost/x',
    'https://localhost/base.raw',
    'fat:rw:below',
    '.',
    'base.raw\0',
  ]
  for (const name of names)
    await t.rejects(reads(await overlay('o.qcow2', name), [inside]), { name: 'GranaryError' }, name)
  await t.rejects(reads(await overlay('o.qcow2', 'missing.raw'), [inside]), { code: 'GRANARY_NOT_FOUND' })
  t.equal(await reads(await overlay('o.qcow2', '../secrets/base.raw'), [inside, outside]), true, 'a second folder')
})

t.test('nothing without consent, and describing an image opens nothing', async t => {
  const path = await overlay('o.qcow2', 'pipe.raw')
  await t.rejects(openQcow2File(path), { code: 'GRANARY_UNSUPPORTED', detail: { kind: 'backing', name: 'pipe.raw' } })
  const file = await openFileToRead(path)
  t.strictSame((await readQcow2Info(file)).backing, { name: 'pipe.raw', format: 'raw' })
  await file[Symbol.asyncDispose]?.()
})

t.test('a format that is not stated is not guessed', async t => {
  const resolve = filesInFolder([inside])
  const reference = { kind: 'backing', name: 'base.raw', from: join(inside, 'o.qcow2') } as const
  await t.rejects(resolve({ ...reference, format: undefined }), { code: 'GRANARY_UNSUPPORTED' })
  await t.rejects(resolve({ ...reference, format: 'vmdk' }), { code: 'GRANARY_UNSUPPORTED' })
  await t.rejects(resolve({ ...reference, format: 'raw', from: undefined }), { code: 'GRANARY_UNSUPPORTED' })
})

t.test('loops, under any name, and chains without end', async t => {
  const path = await overlay('a.qcow2', 'b.qcow2', 'qcow2')
  linkSync(path, join(inside, 'b.qcow2'))
  await t.rejects(reads(path, [inside]), { code: 'GRANARY_CORRUPT' })
  await overlay('c0.qcow2', 'base.raw')
  for (let depth = 1; depth <= 70; depth++) await overlay(`c${depth}.qcow2`, `c${depth - 1}.qcow2`, 'qcow2')
  t.equal(await reads(join(inside, 'c60.qcow2'), [inside]), true, '61 images')
  await t.rejects(reads(join(inside, 'c70.qcow2'), [inside]), { code: 'GRANARY_LIMIT' })
})
