import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectPath, seededBytes } from '@granary/testing'
import t from 'tap'
import { peer, whyNo } from './peers.ts'

const MIB = 1024 ** 2

/** Runs an example as its first lines say. */
const run = async (name: string, ...parameters: readonly string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [projectPath('examples', name), ...parameters])
  return stdout
}

/** 40 MiB, more than a window: noise, a run of zeros, the same noise again. */
const makeDisk = async (folder: string): Promise<{ path: string; bytes: Buffer }> => {
  const bytes = Buffer.alloc(40 * MIB)
  const noise = seededBytes(3 * MIB, 5)
  bytes.set(noise)
  bytes.set(noise, 35 * MIB)
  const path = join(folder, 'disk.raw')
  await writeFile(path, bytes)
  return { path, bytes }
}

t.test('first-steps, which is in the README', async t => {
  const folder = t.testdir()
  const { path, bytes } = await makeDisk(folder)
  await run('first-steps.mjs', path, join(folder, 'restored.raw'))
  t.ok((await readFile(join(folder, 'restored.raw'))).equals(bytes), 'the disk came back')
  const readme = await readFile(projectPath('README.md'), 'utf8')
  t.ok(readme.includes(await readFile(projectPath('examples/first-steps.mjs'), 'utf8')), 'the README shows it')
})

t.test('backup-and-restore', async t => {
  const folder = t.testdir()
  const { path, bytes } = await makeDisk(folder)
  const text = await run('backup-and-restore.mjs', path, folder)
  t.match(text, /^[0-9a-f]{8} full: \d+ bytes new\n[0-9a-f]{8} incremental: \d+ bytes new\nrestored 41943040 bytes/)
  t.ok((await readFile(join(folder, 'restored.raw'))).equals(bytes), 'the first state came back')
})

t.test('random-reads', async t => {
  const { path } = await makeDisk(t.testdir())
  const text = await run('random-reads.mjs', path)
  t.equal(text, '40.0 MiB disk, 6.00 MiB of it data\n200 reads, all equal to the source\n')
})

t.test('streams', async t => {
  const folder = t.testdir()
  const { path, bytes } = await makeDisk(folder)
  await run('streams.mjs', path, join(folder, 'sealed'), join(folder, 'restored'))
  t.ok((await readFile(join(folder, 'restored'))).equals(bytes), 'the stream came back')
  t.notOk((await readFile(join(folder, 'sealed'))).includes(bytes.subarray(0, 64)), 'and could not be read meanwhile')
})

t.test('write-only-client', async t => {
  const folder = t.testdir()
  const { path, bytes } = await makeDisk(folder)
  const text = await run('write-only-client.mjs', path, join(folder, 'restored.raw'))
  t.match(
    text,
    /^the client: GRANARY_WRONG_KEY\n\d packs passed, 1 signature verified, 0 problems\nrestored 41943040 bytes\n$/,
  )
  t.ok((await readFile(join(folder, 'restored.raw'))).equals(bytes))
})

t.test('sealed-file', async t => {
  const folder = t.testdir()
  const { path } = await makeDisk(folder)
  const text = await run('sealed-file.mjs', path, join(folder, 'sealed'))
  t.equal(text, '41943040 bytes, 100 reads, all equal to the source\n')
})

t.test('find-files', { skip: whyNo('mkfs.ext4', 'xorriso') }, async t => {
  const folder = t.testdir({ files: { etc: { 'Invoice-1.txt': 'one', 'other.txt': 'two' }, 'invoice-2.txt': 'three' } })
  const disk = join(folder, 'disk.raw')
  await peer('mkfs.ext4', '-q', '-F', '-d', join(folder, 'files'), disk, '16M')
  const image = join(folder, 'found.iso')
  const text = await run('find-files.mjs', disk, 'INVOICE', image)
  t.match(text, /^2 of 6 files have "INVOICE" in their path\n2 files, \d+ bytes\n$/)
  await peer('xorriso', '-osirrox', 'on', '-indev', image, '-extract', '/', join(folder, 'out'))
  t.equal(await readFile(join(folder, 'out', 'disk', 'etc', 'Invoice-1.txt'), 'utf8'), 'one')
})

t.test('files', { skip: whyNo('mkfs.ext4') }, async t => {
  const folder = t.testdir({ top: { etc: { motd: 'hello' } } })
  const disk = join(folder, 'disk.raw')
  await peer('mkfs.ext4', '-q', '-F', '-d', join(folder, 'top'), disk, '8M')
  t.match(await run('files.mjs', disk), /^disk ext4 8\.00 MiB/)
  t.match(await run('files.mjs', disk, 'disk', '/etc', join(folder, 'out')), /1 files, 5 B, 0 failed/)
  t.equal(await readFile(join(folder, 'out', 'motd'), 'utf8'), 'hello')
})

t.test('one-disk', async t => {
  t.match(await run('one-disk.mjs'), /are equal[^]*no damage/)
})
