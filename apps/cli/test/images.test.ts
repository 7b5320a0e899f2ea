/** What is read of a qcow2 image, and of what it names. */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
import t from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

const MIB = 1024 * 1024

/** Replaces a name in an image by another of the same length. */
const rename = (image: string, from: string, to: string): void => {
  const bytes = readFileSync(image)
  const at = bytes.indexOf(from)
  if (at < 0 || from.length !== to.length) throw new Error(`${from} cannot become ${to}`)
  bytes.write(to, at)
  writeFileSync(image, bytes)
}

t.test('info tells what an image names, and opens none of it', { skip: whyNo('qemu-img') }, async t => {
  const folder = scratchFolder(t)
  const at = (name: string): string => join(folder, name)
  let visits = 0
  const server = createServer(socket => {
    visits++
    socket.destroy()
  }).listen(at('s'))
  t.teardown(() => server.close())
  execFileSync('mkfifo', [at('pipe.raw')])
  const info = async (name: string): Promise<object | undefined> => {
    const { code, text, stderr } = await granary(['info', at(name), '--json'])
    t.equal(code, 0, `${name}: ${stderr}`)
    return parseJsonLines(text)[0]
  }
  for (const [i, backing] of ['gone.raw', 'pipe.raw', '/dev/zero', `nbd+unix:///?socket=${at('s')}`].entries()) {
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'raw', at(`${i}.qcow2`), '1M')
    t.match(await info(`${i}.qcow2`), { backing: { name: backing, format: 'raw' }, sizeBytes: MIB })
  }
  const [name, evil] = ['data-file-of-this-image.raw', 'json:{"driver":"null-co"}  ']
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${at(name)}`, at('d.qcow2'), '1M')
  rmSync(at(name))
  t.match(await info('d.qcow2'), { dataFile: { name: at(name), isRaw: false } })
  rename(at('d.qcow2'), at(name), evil.padEnd(at(name).length))
  t.match(await info('d.qcow2'), { dataFile: { name: /^json:/ } })
  t.equal(visits, 0, 'nobody connected')
  t.match(await granary(['copy', at('d.qcow2'), at('out.raw')]), { code: 15, stderr: /URL or a description/ })
  t.match(await granary(['copy', at('3.qcow2'), at('out.raw')]), { code: 15, stderr: /URL or a description/ })
  t.equal(visits, 0)
})

t.test(
  'only regular files inside the folder of an image, or an allowed one, are read; no link leads out',
  { skip: whyNo('qemu-img') },
  async t => {
    const folder = scratchFolder(t)
    const elsewhere = scratchFolder(t)
    const image = join(folder, 'top.qcow2')
    writeFileSync(join(elsewhere, 'base.raw'), seededBytes(MIB, 1))
    writeFileSync(join(folder, 'base.raw'), seededBytes(MIB, 1))
    symlinkSync(join(elsewhere, 'base.raw'), join(folder, 'out.raw'))
    execFileSync('mkfifo', [join(folder, 'pipe.raw')])
    const copy = async (backing: string, ...options: string[]) => {
      const args = ['create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'raw', image, '1M']
      await peer('qemu-img', ...args)
      const target = join(folder, 'copy.raw')
      rmSync(target, { force: true })
      const result = await granary(['copy', image, target, ...options])
      const isRight = result.code === 0 && readFileSync(target).equals(Buffer.from(seededBytes(MIB, 1)))
      return { ...result, isRight }
    }
    t.match(await copy('base.raw'), { isRight: true })
    t.match(await copy('base.raw', '--no-backing'), { code: 15 })
    for (const backing of ['out.raw', 'pipe.raw', '/dev/zero', `../${elsewhere.split('/').at(-1)}/base.raw`])
      t.match(await copy(backing), { code: 15, stderr: /GRANARY_UNSUPPORTED/ }, backing)
    t.match(await copy('out.raw', '--allow-backing', elsewhere), { isRight: true }, 'a link into an allowed folder')
    t.match(await copy('pipe.raw', '--allow-backing', '/'), { code: 15, stderr: /not a regular file/ })
    t.match(await copy('/dev/zero', '--allow-backing', '/dev'), { code: 15, stderr: /not a regular file/ })
  },
)

t.test(
  'map has the fields of qemu-img map, whatever the image is made of',
  { skip: whyNo('qemu-img', 'qemu-io') },
  async t => {
    const folder = scratchFolder(t)
    const at = (name: string): string => join(folder, name)
    writeFileSync(at('plain.raw'), Buffer.concat([seededBytes(MIB, 1), Buffer.alloc(MIB, 'text ')]))
    truncateSync(at('plain.raw'), 6 * MIB)
    await peer('qemu-img', 'convert', '-c', '-O', 'qcow2', at('plain.raw'), at('zip.qcow2'))
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'zip.qcow2', '-F', 'qcow2', at('middle.qcow2'), '5M')
    await peer('qemu-io', '-c', 'write -P 1 512k 256k', '-c', 'write -z 0 128k', at('middle.qcow2'))
    const extended = 'extended_l2=on,cluster_size=64k'
    await peer(
      ...(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', extended, '-b', 'middle.qcow2', '-F', 'qcow2'] as const),
      at('top.qcow2'),
      '7M',
    )
    await peer(
      'qemu-io',
      '-c',
      'write -P 2 1M 6k',
      '-c',
      'write -z -u 3M 64k',
      '-c',
      'write -z 4M 66k',
      at('top.qcow2'),
    )
    const old = ['create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', at('old.qcow2'), '3M']
    await peer('qemu-img', ...old)
    await peer('qemu-io', '-c', 'write -P 3 1M 100k', at('old.qcow2'))
    for (const name of ['zip.qcow2', 'middle.qcow2', 'top.qcow2', 'old.qcow2']) {
      const theirs = JSON.parse(await peer('qemu-img', 'map', '--output=json', at(name))) as { compressed?: boolean }[]
      const ours = parseJsonLines((await granary(['map', at(name), '--json'])).text) as { compressed?: boolean }[]
      // QEMU says it from 8.2 on, and cuts its lines there.
      if (theirs[0]?.compressed === undefined) for (const entry of ours) delete entry.compressed
      t.strictSame(ours, theirs, name)
    }
    const ranges = (map: readonly object[]): object[] =>
      (map as { start: number; length: number; data: boolean; zero: boolean }[]).map(entry => {
        const { start, length, data, zero } = entry
        return { start, length, data, zero }
      })
    const raw = parseJsonLines((await granary(['map', at('plain.raw'), '--json'])).text)
    const rawTheirs = JSON.parse(
      await peer('qemu-img', 'map', '-f', 'raw', '--output=json', at('plain.raw')),
    ) as object[]
    t.strictSame(ranges(raw), ranges(rawTheirs), 'a raw disk')
  },
)

t.test(
  'what an image has lost is damage; --lenient reads it as QEMU does',
  { skip: whyNo('qemu-img', 'qemu-io') },
  async t => {
    const folder = scratchFolder(t)
    const at = (name: string): string => join(folder, name)
    writeFileSync(at('whole.raw'), seededBytes(2 * MIB, 1))
    await peer('qemu-img', 'convert', '-O', 'qcow2', at('whole.raw'), at('i.qcow2'))
    truncateSync(at('i.qcow2'), MIB)
    await peer('qemu-img', 'convert', '-O', 'raw', at('i.qcow2'), at('theirs.raw'))
    t.match(await granary(['copy', at('i.qcow2'), at('strict.raw')]), { code: 30, stderr: /past the end of the file/ })
    t.equal((await granary(['map', at('i.qcow2')])).code, 30)
    t.equal((await granary(['copy', at('i.qcow2'), at('ours.raw'), '--lenient'])).code, 0)
    t.ok(readFileSync(at('ours.raw')).equals(readFileSync(at('theirs.raw'))))
    t.equal((await granary(['map', at('i.qcow2'), '--lenient'])).code, 0)
    const serve = ['serve', at('i.qcow2'), '--listen', `nbd+unix://${at('s')}`, '--lenient', '--writable']
    t.match(await granary(serve), { code: 2, stderr: /--lenient goes without --writable/ })
  },
)

t.test(
  'images of version 2: names of 1023 bytes, and bitmaps that nobody vouches for',
  { skip: whyNo('qemu-img') },
  async t => {
    const folder = scratchFolder(t)
    const at = (name: string): string => join(folder, name)
    writeFileSync(at('base.raw'), seededBytes(MIB, 1))
    const name = `${'./'.repeat(507)}/base.raw`
    t.equal(name.length, 1023)
    const options = ['-u', '-o', 'compat=0.10', '-b', name, '-F', 'raw']
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', ...options, at('long.qcow2'), '1M')
    t.equal((await granary(['copy', at('long.qcow2'), at('copy.raw')])).code, 0)
    t.ok(readFileSync(at('copy.raw')).equals(readFileSync(at('base.raw'))))
    t.match(parseJsonLines((await granary(['info', at('long.qcow2'), '--json'])).text), [
      { version: 2, backing: { name } },
    ])
    const long = readFileSync(at('long.qcow2'))
    long.writeUInt32BE(1024, 16)
    writeFileSync(at('long.qcow2'), long)
    t.match(await granary(['info', at('long.qcow2')]), { code: 30, stderr: /name of 1024 bytes/ })

    // Version 2 has no flag to say that bitmaps are up to date: whatever it says of them does not count.
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', at('old.qcow2'), '1M')
    const old = readFileSync(at('old.qcow2'))
    const extension = Buffer.alloc(8 + 24 + 8)
    extension.writeUInt32BE(0x23852875, 0)
    extension.writeUInt32BE(24, 4)
    extension.writeUInt32BE(1, 8)
    extension.writeBigUInt64BE(24n, 16)
    extension.copy(old, 72)
    writeFileSync(at('old.qcow2'), old)
    t.match(parseJsonLines((await granary(['info', at('old.qcow2'), '--json'])).text), [{ version: 2, bitmapCount: 0 }])
    t.equal((await granary(['copy', at('old.qcow2'), at('empty.raw')])).code, 0)
    t.ok(readFileSync(at('empty.raw')).equals(Buffer.alloc(MIB)))
  },
)

t.test('internal snapshots are listed, and read as disks', { skip: whyNo('qemu-img', 'qemu-io') }, async t => {
  const { folder, env } = await createRepository(t)
  const at = (name: string): string => join(folder, name)
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', at('i.qcow2'), '2M')
  await peer('qemu-io', '-c', 'write -P 1 0 1M', at('i.qcow2'))
  await peer('qemu-img', 'snapshot', '-c', 'before', at('i.qcow2'))
  await peer('qemu-img', 'convert', '-O', 'raw', at('i.qcow2'), at('before.raw'))
  await peer('qemu-io', '-c', 'write -P 2 512k 1M', at('i.qcow2'))
  await peer('qemu-img', 'bitmap', '--add', '-g', '128k', at('i.qcow2'), 'b0')
  t.match(parseJsonLines((await granary(['info', at('i.qcow2'), '--json'])).text), [
    {
      snapshots: [{ id: '1', name: 'before', sizeBytes: 2 * MIB, takenAt: /^20/ }],
      bitmaps: [{ name: 'b0', granularityBytes: 131_072, isAuto: true, isInUse: false }],
    },
  ])
  const wanted = readFileSync(at('before.raw'))
  for (const name of ['before', '1']) {
    t.equal((await granary(['copy', at('i.qcow2'), at(`${name}.copy.raw`), '--image-snapshot', name])).code, 0)
    t.ok(readFileSync(at(`${name}.copy.raw`)).equals(wanted), name)
  }
  t.equal((await granary(['backup', at('i.qcow2'), '--image-snapshot', 'before'], { env })).code, 0)
  t.ok((await granary(['restore', 'latest', '-'], { env })).stdout.equals(wanted))
  const map = parseJsonLines((await granary(['map', at('i.qcow2'), '--image-snapshot', 'before', '--json'])).text)
  t.match(map, [
    { start: 0, length: MIB, data: true },
    { start: MIB, data: false },
  ])
  t.match(await granary(['map', at('i.qcow2'), '--image-snapshot', 'after']), { code: 10 })
  t.match(await granary(['map', at('before.raw'), '--image-snapshot', 'x']), { code: 2, stderr: /no internal/ })
  const serve = ['serve', at('i.qcow2'), '--listen', `nbd+unix://${at('s')}`, '--image-snapshot', 'before']
  t.match(await granary([...serve, '--writable', '--overlay', at('o.qcow2')]), { code: 2, stderr: /never written/ })
})
