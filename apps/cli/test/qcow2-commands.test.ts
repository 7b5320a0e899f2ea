import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseJsonLines, seededBytes, untilListening } from '@granary/testing'
import t from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

const MIB = 1024 * 1024

/** 6 MiB: data, a hole, data that compresses well. */
const makeDisk = (path: string): Buffer => {
  writeFileSync(path, seededBytes(2 * MIB, 1))
  truncateSync(path, 4 * MIB)
  writeFileSync(path, Buffer.alloc(2 * MIB, 'granary '), { flag: 'a' })
  return readFileSync(path)
}

const isClean = async (image: string): Promise<boolean> => {
  const { stdout, code } = await peer('qemu-img', 'check', '--output=json', image).then(
    stdout => ({ stdout, code: 0 }),
    (error: { stdout: string; code: number }) => error,
  )
  const { corruptions = 0, leaks = 0 } = JSON.parse(stdout) as { corruptions?: number; leaks?: number }
  return code === 0 && corruptions === 0 && leaks === 0
}

for (const compression of [undefined, 'zlib', 'zstd'] as const)
  t.test(
    `copy and restore make qcow2 images, ${compression ?? 'not'} compressed`,
    { skip: whyNo('qemu-img') },
    async t => {
      const { folder, env } = await createRepository(t)
      const [raw, copied, restored] = [join(folder, 'a.raw'), join(folder, 'c.qcow2'), join(folder, 'r.qcow2')]
      makeDisk(raw)
      const options = compression === undefined ? [] : ['--compression', compression]
      t.equal((await granary(['backup', raw], { env })).code, 0)
      t.equal((await granary(['copy', raw, copied, ...options])).code, 0)
      t.equal((await granary(['restore', 'latest', `qcow2:${restored}`, ...options], { env })).code, 0)
      for (const image of [copied, restored]) {
        t.match(await peer('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, image), 'identical')
        t.ok(await isClean(image), '0 errors, 0 leaks')
      }
      const { 'compressed-clusters': compressed = 0 } = JSON.parse(
        await peer('qemu-img', 'check', '--output=json', copied),
      ) as Record<string, number>
      t.equal(Number(compressed) > 0, compression !== undefined)
      t.match(await granary(['copy', raw, copied]), { code: 11 }, 'never over an image')
      t.same(readdirSync(folder).toSorted(), ['a.raw', 'c.qcow2', 'key', 'r.qcow2', 'repo'])
    },
  )

t.test('a stream, and compression of a raw file, are refused', async t => {
  const folder = scratchFolder(t)
  const input = [seededBytes(MIB, 1)]
  t.equal((await granary(['copy', '-', join(folder, 'a.qcow2')], { input })).code, 15)
  const raw = join(folder, 'a.raw')
  writeFileSync(raw, seededBytes(MIB, 1))
  t.equal((await granary(['copy', raw, join(folder, 'b.raw'), '--compression', 'zstd'])).code, 2)
  t.equal((await granary(['copy', raw, join(folder, 'b.qcow2'), '--compression', 'lzma'])).code, 2)
  t.same(readdirSync(folder), ['a.raw'])
})

t.test(
  'check says what qemu-img check says; a repair goes into a new file',
  { skip: whyNo('qemu-img', 'qemu-io') },
  async t => {
    const folder = scratchFolder(t)
    const [image, repaired] = [join(folder, 'a.qcow2'), join(folder, 'b.qcow2')]
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', image, '4M')
    await peer('qemu-io', '-c', 'write -P 3 0 1M', image)
    t.match(await granary(['check', `qcow2:${image}`]), { code: 0, text: '0 errors, 0 leaks' })

    // One more cluster at the end, which is counted and not used.
    const bytes = Buffer.concat([readFileSync(image), Buffer.alloc(65_536)])
    const table = Number(bytes.readBigUInt64BE(48))
    const block = Number(bytes.readBigUInt64BE(table))
    let free = 0
    while (bytes.readUInt16BE(block + 2 * free) !== 0) free++
    bytes.writeUInt16BE(1, block + 2 * free)
    writeFileSync(image, bytes)
    const leaky = await granary(['check', `qcow2:${image}`, '--json'])
    t.equal(leaky.code, 3, leaky.stderr)
    t.match(parseJsonLines(leaky.text), [
      { type: 'problem', kind: 'leak' },
      { type: 'imageCheck', leaks: 1, corruptions: 0 },
    ])
    t.notOk(await isClean(image), 'qemu-img sees it, too')
    t.equal((await granary(['check', `qcow2:${image}`, '--repair', repaired])).code, 0)
    t.ok(await isClean(repaired))
    t.ok(readFileSync(image).equals(bytes), 'the image itself stays as it was')
    t.equal((await granary(['check', `qcow2:${image}`, '--repair', repaired])).code, 11, 'never over a file')

    bytes.writeUInt16BE(0, block + 2 * (free - 1))
    writeFileSync(image, bytes)
    t.match(await granary(['check', `qcow2:${image}`]), { code: 30, stderr: /GRANARY_CORRUPT/ })
  },
)

t.test('rebase keeps what the disk shows, commit moves it down', { skip: whyNo('qemu-img', 'qemu-io') }, async t => {
  const folder = scratchFolder(t)
  const [base, other, top, flat] = ['base.raw', 'other.raw', 'top.qcow2', 'flat.raw'].map(name =>
    join(folder, name),
  ) as [string, string, string, string]
  makeDisk(base)
  writeFileSync(other, seededBytes(6 * MIB, 7))
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top)
  await peer('qemu-io', '-c', 'write -P 5 3000k 300k', '-c', 'write -z 0 128k', top)
  await peer('qemu-img', 'convert', '-O', 'raw', top, flat)
  const isSame = async (): Promise<boolean> =>
    (await peer('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', flat, top)).includes('identical')

  t.equal((await granary(['rebase', top, other])).code, 0)
  t.ok(await isSame(), 'over another disk')
  t.match(JSON.parse(await peer('qemu-img', 'info', '--output=json', top)), { 'backing-filename': 'other.raw' })
  t.equal((await granary(['commit', top, '--no-backing'])).code, 15)
  t.equal((await granary(['commit', top])).code, 0)
  t.ok(readFileSync(other).equals(readFileSync(flat)), 'the backing file has it all')
  t.ok(await isSame())
  t.ok(await isClean(top))
  t.equal((await granary(['rebase', top])).code, 0)
  t.ok(await isSame(), 'alone')
  t.match(await granary(['commit', top]), { code: 2, stderr: /no backing file/ })
  t.match(await granary(['rebase', top, top]), { code: 2, stderr: /its own backing file/ })
  t.match(await granary(['rebase', base, other]), { code: 2 }, 'raw disks have no backing file')
})

t.test(
  'commit makes a smaller backing file larger, as qemu-img does',
  { skip: whyNo('qemu-img', 'qemu-io') },
  async t => {
    const folder = scratchFolder(t)
    const at = (name: string): string => join(folder, name)
    for (const format of ['raw', 'qcow2']) {
      const [base, top] = [at(`base.${format}`), at(`top-${format}.qcow2`)]
      await peer('qemu-img', 'create', '-q', '-f', format, base, '2M')
      await peer('qemu-io', '-f', format, '-c', 'write -P 4 0 2M', base)
      await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', format, top, '5M')
      await peer('qemu-io', '-c', 'write -P 5 1M 64k', '-c', 'write -P 6 4M 64k', top)
      await peer('qemu-img', 'convert', '-O', 'raw', top, at('flat.raw'))
      t.equal((await granary(['commit', top])).code, 0)
      t.match(await peer('qemu-img', 'compare', '-f', 'raw', '-F', format, at('flat.raw'), base), 'identical')
      t.match(await peer('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', at('flat.raw'), top), 'identical')
      t.ok(await isClean(top))
    }
  },
)

/** File systems that give a file another device number than the one its locks are listed under: overlayfs and btrfs. */
const HIDING_LOCKS = new Set([0x794c7630, 0x9123683e])
const whyNoLocks = (): string | false =>
  HIDING_LOCKS.has(statfsSync(tmpdir()).type) ? 'locks cannot be seen on this file system' : false

t.test('what QEMU has open is not written to', { skip: whyNo('qemu-img', 'qemu-nbd') || whyNoLocks() }, async t => {
  const { folder, env } = await createRepository(t)
  const at = (name: string): string => join(folder, name)
  const [base, top] = [at('base.raw'), at('top.qcow2')]
  makeDisk(base)
  t.equal((await granary(['backup', base], { env })).code, 0)
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top)
  const qemu = spawn('qemu-nbd', ['-t', '-k', at('s'), '-f', 'qcow2', top], { stdio: 'ignore' })
  t.teardown(() => qemu.kill('SIGKILL'))
  await untilListening({ path: at('s') })
  const before = [readFileSync(base), readFileSync(top)]
  for (const words of [
    ['resize', top, '10MiB'],
    ['rebase', top],
    ['commit', top],
    ['serve', top, '--writable', '--listen', `nbd+unix://${at('ours')}`],
    ['serve', base, '--writable', '--listen', `nbd+unix://${at('ours')}`],
    ['restore', 'latest', base, '--overwrite-different'],
  ])
    t.match(await granary(words, { env }), { code: 12, stderr: /QEMU has it open/ }, words.join(' '))
  t.same([readFileSync(base), readFileSync(top)], before)
  t.equal((await granary(['map', top])).code, 0, 'reading is another matter')
  const ended = once(qemu, 'exit')
  qemu.kill()
  await ended
  t.equal((await granary(['resize', top, '10MiB'])).code, 0)
})

t.test('resize and measure say what qemu-img says', { skip: whyNo('qemu-img') }, async t => {
  const folder = scratchFolder(t)
  const [raw, image] = [join(folder, 'a.raw'), join(folder, 'a.qcow2')]
  makeDisk(raw)
  await peer('qemu-img', 'convert', '-O', 'qcow2', raw, image)
  const virtualSize = async (): Promise<unknown> =>
    (JSON.parse(await peer('qemu-img', 'info', '--output=json', image)) as Record<string, unknown>)['virtual-size']
  t.equal((await granary(['resize', image, '10MiB'])).code, 0)
  t.equal(await virtualSize(), 10 * MIB)
  t.match(await granary(['resize', image, '6MiB']), { code: 2, stderr: /GRANARY_INVALID_ARGUMENT/ })
  t.equal((await granary(['resize', image, '6MiB', '--shrink'])).code, 0)
  t.match(await peer('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, image), 'identical')
  t.ok(await isClean(image))
  const theirs = JSON.parse(await peer('qemu-img', 'measure', '--output=json', '-O', 'qcow2', image)) as Record<
    string,
    number
  >
  t.match(parseJsonLines((await granary(['measure', image, '--json'])).text), [
    { requiredBytes: theirs['required'], fullyAllocatedBytes: theirs['fully-allocated'] },
  ])
})
