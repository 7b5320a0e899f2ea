import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockCiphers, suites } from '@granary/transform'
import { parseJsonLines, seededBytes, sharedPath } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'

// Every suite through four commands: a busy machine takes its time.
t.setTimeout(process.env['GRANARY_TEST_LONG'] === undefined ? 600_000 : 1_800_000)

/** A small disk for every suite; in the long run a real one with partitions, FAT and NTFS. */
const diskContent = async (folder: string): Promise<Buffer> => {
  const image = sharedPath('guestfs', 'images', 'windows-mbr.qcow2')
  if (process.env['GRANARY_TEST_LONG'] === undefined || image === undefined)
    return Buffer.concat([seededBytes(150_000, 1), Buffer.alloc(200_000), seededBytes(777, 2)])
  const raw = join(folder, 'windows.raw')
  await granary(['copy', `qcow2:${image}`, `raw:${raw}`])
  return readFileSync(raw)
}

t.test('every suite makes a repository, backs up, restores and is checked', async t => {
  const { folder: scratch } = await createRepository(t)
  const content = await diskContent(scratch)
  t.comment(`${suites.length} suites, a disk of ${content.length} bytes`)
  for (const { name } of suites) {
    const { folder, env } = await createRepository(t, ['--suite', name])
    const [disk, target] = [join(folder, 'disk.raw'), join(folder, 'out.raw')]
    writeFileSync(disk, content)
    const backup = await granary(['backup', disk, '--workers', '0'], { env })
    t.equal(backup.code, 0, `${name}: ${backup.stderr}`)
    const restore = await granary(['restore', 'latest', `raw:${target}`], { env })
    t.equal(restore.code, 0, `${name}: ${restore.stderr}`)
    t.ok(readFileSync(target).equals(content), name)
    t.equal((await granary(['check', '--read-data'], { env })).code, 0, name)
    t.match(parseJsonLines((await granary(['show', 'latest', '--json'], { env })).text)[0], { suite: name })
  }
})

t.test('settings are shown and changed; snapshots of every suite stay readable', async t => {
  const { folder, env } = await createRepository(t)
  const settings = async (words: readonly string[] = []): Promise<unknown> => {
    const { code, text, stderr } = await granary(['settings', ...words, '--json'], { env })
    t.equal(code, 0, stderr)
    return parseJsonLines(text)
  }
  const first = { type: 'settings', v: 1, suite: 'aes-256-gcm', compression: 'zstd:3', chunker: 'grid:128k' }
  t.strictSame(await settings(), [first])
  mkdirSync(join(folder, 'disks'))
  const disk = join(folder, 'disks', 'web.raw')
  const versions: Buffer[] = []
  for (const suite of ['aes-256-gcm', 'kuznyechik-mgm', 'kalyna-256-512-ctr-blake3']) {
    t.strictSame(await settings(['--suite', suite]), [{ ...first, suite }])
    versions.push(Buffer.from(seededBytes(200_000, versions.length)))
    writeFileSync(disk, versions.at(-1) as Buffer)
    t.equal((await granary(['backup', disk], { env })).code, 0)
  }
  const changed = ['--compression', 'lz4', '--chunker', 'fixed:64k']
  const last = { ...first, suite: 'kalyna-256-512-ctr-blake3', compression: 'lz4', chunker: 'fixed:64k' }
  t.strictSame(await settings(changed), [last])
  t.strictSame(await settings(), [last], 'and they stay')
  t.match((await granary(['settings'], { env })).text, /suite +kalyna-256-512-ctr-blake3\ncompression +lz4/)
  for (const [i, { id }] of (
    parseJsonLines((await granary(['snapshots', '--json'], { env })).text) as { id: string }[]
  ).entries())
    t.ok((await granary(['restore', id, '-'], { env })).stdout.equals(versions[i] as Buffer), `version ${i}`)
  t.equal((await granary(['check', '--read-data'], { env })).code, 0)
})

t.test('a suite that does not exist is refused by init and by settings, with the names there are', async t => {
  const { folder, env } = await createRepository(t)
  for (const words of [
    ['settings', '--suite', 'rot13'],
    ['init', join(folder, 'other'), '--suite', 'rot13'],
  ]) {
    const { code, stderr } = await granary([...words, '--json'], { env })
    t.not(code, 0)
    t.match(parseJsonLines(stderr)[0], { code: 'GRANARY_UNSUPPORTED', hint: /serpent-256-ctr-blake3/ })
  }
})

t.test('every cipher of the table has a suite for each of its keys', async t => {
  const names = new Set(suites.map(({ name }) => name))
  for (const { name, sizes } of blockCiphers)
    for (const { blockBits, keyBits } of sizes)
      for (const bits of keyBits) {
        const size = name === 'kalyna' && blockBits !== bits ? `${blockBits}-${bits}` : bits
        t.ok(names.has(`${name}-${size}-ctr-blake3`), `${name} ${size}`)
      }
})
