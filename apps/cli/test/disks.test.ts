import { execFileSync, spawnSync } from 'node:child_process'
import { linkSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLoopDevice, parseJsonLines, runGranary, seededBytes, whyNoLoopDevices } from '@granary/testing'
import t from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'

const MIB = 1024 * 1024

const whyNoQemu = (): string | false => (spawnSync('qemu-img', ['--version']).status === 0 ? false : 'needs qemu-img')

const qemu = (...words: string[]): string => execFileSync('qemu-img', words, { encoding: 'utf8' })

/** 4 MiB: data, a hole, data. */
const makeSparse = (path: string, seed: number): Buffer => {
  writeFileSync(path, seededBytes(MIB, seed))
  truncateSync(path, 3 * MIB)
  writeFileSync(path, seededBytes(MIB, seed + 1), { flag: 'a' })
  return readFileSync(path)
}

t.test(
  'the extension decides what a disk is; what contradicts it is refused, with the way out',
  { skip: whyNoQemu() },
  async t => {
    const { folder, env } = await createRepository(t)
    const raw = join(folder, 'disk.raw')
    const bytes = makeSparse(raw, 1)
    const image = join(folder, 'image.qcow2')
    qemu('convert', '-O', 'qcow2', raw, image)
    const disguised = join(folder, 'disguised.raw')
    linkSync(image, disguised)
    const format = async (disk: string): Promise<unknown> =>
      parseJsonLines((await granary(['info', disk, '--json'])).text)[0]?.['format']
    t.equal(await format(raw), 'raw')
    t.equal(await format(image), 'qcow2')
    t.equal(await format(`raw:${image}`), 'raw', 'a prefix beats the extension')

    for (const words of [
      ['backup', disguised],
      ['copy', disguised, join(folder, 'out.raw')],
      ['map', disguised],
    ]) {
      const { code, stderr } = await granary(words, { env })
      t.equal(code, 2, words[0] as string)
      t.match(stderr, `qcow2:${disguised}`)
    }
    t.match(await granary(['map', `qcow2:${raw}`], { env }), { stderr: /GRANARY_/, text: '' }, 'a raw disk is no image')
    for (const name of ['disk.vmdk', 'disk', 'raw:', 'granary:', 'http://host/x.raw.gz'])
      t.match(await granary(['backup', name], { env }), { code: 2, stderr: /raw:PATH, qcow2:PATH/ }, name)
    t.equal((await granary(['backup', `raw:${disguised}`, '--name', 'bytes'], { env })).code, 0)
    t.ok(
      (await granary(['restore', 'latest', '-'], { env })).stdout.equals(readFileSync(image)),
      'the bytes of the file',
    )
    t.equal((await granary(['backup', `qcow2:${disguised}`, '--name', 'inside'], { env })).code, 0)
    t.ok((await granary(['restore', 'latest', '-'], { env })).stdout.equals(bytes), 'the disk inside')
  },
)

t.test('info says what qemu-img says', { skip: whyNoQemu() }, async t => {
  const folder = scratchFolder(t)
  const raw = join(folder, 'disk.raw')
  makeSparse(raw, 2)
  const image = join(folder, 'image.qcow2')
  qemu('convert', '-O', 'qcow2', raw, image)
  const { 'virtual-size': size } = JSON.parse(qemu('info', '--output=json', image)) as Record<string, unknown>
  t.match(parseJsonLines((await granary(['info', image, '--json'])).text), [
    { type: 'disk', format: 'qcow2', sizeBytes: size },
  ])
})

t.test(
  'a backing file is read from the folder of the image, from elsewhere only when allowed, or not at all',
  { skip: whyNoQemu() },
  async t => {
    const folder = scratchFolder(t)
    const elsewhere = scratchFolder(t)
    const base = join(elsewhere, 'base.raw')
    const bytes = makeSparse(base, 3)
    const image = join(folder, 'top.qcow2')
    qemu('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', image)
    t.match(await granary(['copy', image, join(folder, 'a.raw')]), { code: 15, stderr: /GRANARY_UNSUPPORTED/ })
    t.equal((await granary(['copy', image, join(folder, 'b.raw'), '--allow-backing', elsewhere])).code, 0)
    t.ok(readFileSync(join(folder, 'b.raw')).equals(bytes))
    t.equal(
      (await granary(['copy', image, join(folder, 'c.raw'), '--allow-backing', elsewhere, '--no-backing'])).code,
      15,
    )
    t.match(
      await granary(['copy', image, `raw:${base}`, '--allow-backing', elsewhere, '--overwrite-different']),
      { code: 2, stderr: /what the disk is read from/ },
      'a backing file is a source, too',
    )
    t.ok(readFileSync(base).equals(bytes))
  },
)

t.test('no disk is copied onto itself, whatever it is called', async t => {
  const folder = scratchFolder(t)
  const disk = join(folder, 'disk.raw')
  const bytes = makeSparse(disk, 4)
  symlinkSync(disk, join(folder, 'symlink.raw'))
  linkSync(disk, join(folder, 'link.raw'))
  for (const target of ['disk.raw', 'symlink.raw', 'link.raw', './/disk.raw']) {
    const { code, stderr } = await granary(['copy', disk, `raw:${folder}/${target}`, '--overwrite-different', '--json'])
    t.equal(code, 2, target)
    t.match(
      parseJsonLines(stderr)[0],
      { code: 'GRANARY_INVALID_ARGUMENT', message: /what the disk is read from/ },
      target,
    )
  }
  const shell = `"$0" "$1" copy - "$2" --overwrite-different < "$2"`
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', shell, process.execPath, join(import.meta.dirname, '../../bin/granary.js'), disk],
    { encoding: 'utf8' },
  )
  t.equal(status, 2, 'also by way of standard input')
  t.match(stderr, /what the disk is read from/)
  t.ok(readFileSync(disk).equals(bytes))
})

t.test('a copy is as sparse as its source, through a pipe, too', async t => {
  const folder = scratchFolder(t)
  const source = join(folder, 'source.raw')
  writeFileSync(source, seededBytes(MIB, 5))
  truncateSync(source, 64 * MIB)
  const copied = await granary(['copy', source, join(folder, 'a.raw'), '--json'])
  t.match(parseJsonLines(copied.text), [{ type: 'copied', v: 1, source: `raw:${source}`, writtenBytes: MIB }])
  const piped = await runGranary(['copy', '-', join(folder, 'b.raw')], { input: { path: source } })
  t.equal(piped.code, 0, piped.stderr)
  for (const name of ['a.raw', 'b.raw']) {
    const { size, blocks } = statSync(join(folder, name))
    t.equal(size, 64 * MIB, name)
    t.ok(blocks * 512 <= 2 * MIB, `${name} takes ${blocks * 512} bytes`)
    t.ok(readFileSync(join(folder, name)).equals(readFileSync(source)), name)
  }
  t.match(await granary(['copy', '-', '-']), { code: 2 }, 'from - to - there is nothing to do')
  t.match(await granary(['map', '-']), { code: 2 }, 'a stream has no map')
  t.same(readdirSync(folder).toSorted(), ['a.raw', 'b.raw', 'source.raw'])
})

t.test('--overwrite-different makes a file of random bytes equal: larger, smaller, of the same size', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'vm.raw')
  const bytes = makeSparse(disk, 6)
  await granary(['backup', disk], { env })
  for (const sizeBytes of [bytes.length, bytes.length + 12345, bytes.length - 12345, 0]) {
    const target = join(folder, `target-${sizeBytes}.raw`)
    writeFileSync(target, seededBytes(sizeBytes, 7))
    const { code, stderr } = await granary(['restore', 'latest', target, '--overwrite-different'], { env })
    t.equal(code, 0, stderr)
    t.ok(readFileSync(target).equals(bytes), `${sizeBytes} bytes before`)
    const again = await granary(['restore', 'latest', target, '--overwrite-different', '--json'], { env })
    t.match(parseJsonLines(again.text), [{ writtenBytes: 0, zeroedBytes: 0, unchangedBytes: bytes.length }])
  }
})

t.test(
  'loop devices: read, written over where they differ, and never written to when they are too small',
  { skip: whyNoLoopDevices() },
  async t => {
    const { folder, env } = await createRepository(t)
    const bytes = makeSparse(join(folder, 'vm.raw'), 8)
    await granary(['backup', join(folder, 'vm.raw')], { env })
    const device = createLoopDevice(t, bytes.length + MIB)
    const noise = seededBytes(bytes.length + MIB, 9)
    writeFileSync(device, noise, { flag: 'r+' })
    t.match(await granary(['restore', 'latest', device], { env }), { code: 11 }, 'a device is an existing target')
    const { code, stderr } = await granary(['restore', 'latest', device, '--overwrite-different'], { env })
    t.equal(code, 0, stderr)
    const found = readFileSync(device)
    t.ok(found.subarray(0, bytes.length).equals(bytes))
    t.ok(found.subarray(bytes.length).equals(Buffer.from(noise.subarray(bytes.length))), 'what lies behind stays')
    t.match(await granary(['copy', device, `raw:${device}`, '--overwrite-different']), { code: 2 }, 'not onto itself')
    t.equal((await granary(['backup', device, '--name', 'device'], { env })).code, 0)
    t.ok((await granary(['restore', 'latest', '-'], { env })).stdout.equals(found))

    const small = createLoopDevice(t, 2 * MIB)
    const before = readFileSync(small)
    const refused = await granary(['restore', 'latest', small, '--overwrite-different', '--json'], { env })
    t.equal(refused.code, 23)
    t.match(parseJsonLines(refused.stderr).at(-1), { code: 'GRANARY_SIZE', hint: String })
    t.ok(readFileSync(small).equals(before))
  },
)

t.test('a disk from standard input comes back, whole pieces or not', async t => {
  const { env } = await createRepository(t)
  const bytes = Buffer.from(seededBytes(5 * MIB + 77, 10))
  const { code, text, stderr } = await runGranary(['backup', '-', '--name', 'piped', '--json'], { env, input: bytes })
  t.equal(code, 0, stderr)
  t.match(parseJsonLines(text), [{ name: 'piped', disks: [{ name: 'disk', sizeBytes: bytes.length, source: '-' }] }])
  t.ok((await runGranary(['restore', 'latest', '-'], { env })).stdout.equals(bytes))
})
