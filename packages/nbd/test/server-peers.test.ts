import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader, DiskWriter, Extent } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { serveNbd } from '../src/index.ts'
import type { NbdServer } from '../src/index.ts'
import { abstractTight, missing, run, temporaryFolder } from './peers.ts'

const MiB = 1024 * 1024
const SERVE_MAIN = fileURLToPath(new URL('./serve-main.js', import.meta.url))

const content = (): Uint8Array => {
  const bytes = seededBytes(8 * MiB, 1)
  bytes.fill(0, MiB, 3 * MiB)
  bytes.fill(0, 5 * MiB, 5 * MiB + 65_536)
  return bytes
}

const serve = async (bytes: Uint8Array, tcp = false): Promise<{ server: NbdServer; folder: string; uri: string }> => {
  const folder = temporaryFolder(t)
  const disk = memoryDisk(bytes)
  const bitmap: Pick<DiskReader, 'extents'> = {
    async *extents({ offset = 0, length = bytes.length - offset } = {}) {
      for (let at = offset; at < offset + length;) {
        const end = Math.min(offset + length, at - (at % MiB) + MiB)
        yield { offset: at, length: end - at, kind: 'data', dirty: Math.floor(at / MiB) % 2 === 1 }
        at = end
      }
    },
  }
  const server = await serveNbd({
    exports: [
      { name: '', description: 'all of it', disk, isWritable: true, bitmaps: { b0: bitmap }, hasAllocationDepth: true },
      { name: 'second', disk: memoryDisk(bytes.subarray(0, MiB)) },
    ],
    listen: tcp ? 'nbd://127.0.0.1:0' : { kind: 'unix', path: join(folder, 's') },
  })
  t.teardown(async () => server.close())
  return { server, folder, uri: server.uriOf() }
}

t.test('nbdinfo reads our exports', { skip: missing('nbdinfo') }, async t => {
  const { uri, server } = await serve(content())
  const info = JSON.parse((await run('nbdinfo', ['--json', uri])).stdout) as { protocol: string; exports: object[] }
  t.match(info, { protocol: 'newstyle-fixed', structured: true })
  t.match(info.exports[0], {
    'export-name': '',
    description: 'all of it',
    'export-size': 8 * MiB,
    contexts: ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0'],
    is_read_only: false,
    can_multi_conn: true,
    can_trim: true,
    can_zero: true,
    can_flush: true,
    can_fua: true,
    can_df: true,
    block_size_minimum: 1,
    block_size_preferred: 4096,
    block_size_maximum: 32 * MiB,
  })
  const list = JSON.parse((await run('nbdinfo', ['--list', '--json', uri])).stdout) as { exports: object[] }
  t.match(list.exports, [{ 'export-name': '' }, { 'export-name': 'second', is_read_only: true }])
  const map = JSON.parse((await run('nbdinfo', ['--map', '--json', uri])).stdout) as object
  t.match(map, [
    { offset: 0, length: MiB, type: 0 },
    { offset: MiB, length: 2 * MiB, type: 2 },
    { offset: 3 * MiB, length: 2 * MiB, type: 0 },
    { offset: 5 * MiB, length: 65_536, type: 2 },
    { offset: 5 * MiB + 65_536, length: 3 * MiB - 65_536, type: 0 },
  ])
  const dirty = JSON.parse((await run('nbdinfo', ['--map=qemu:dirty-bitmap:b0', '--json', uri])).stdout) as object[]
  t.match(dirty[1], { offset: MiB, length: MiB, type: 1 })
  t.match(await run('nbdinfo', ['--size', server.uriOf('second')]), { code: 0, stdout: `${MiB}` })
  t.not((await run('nbdinfo', [server.uriOf('third')])).code, 0)
})

t.test('nbdcopy copies from us and to us', { skip: missing('nbdcopy') }, async t => {
  for (const tcp of [false, true]) {
    const bytes = content()
    const { uri, folder } = await serve(bytes, tcp)
    const copy = join(folder, 'copy')
    t.match(await run('nbdcopy', [uri, copy]), { code: 0, stderr: '' })
    t.equal(Buffer.compare(readFileSync(copy), bytes), 0)
    const other = seededBytes(8 * MiB, 77)
    other.fill(0, 2 * MiB, 4 * MiB)
    writeFileSync(copy, other)
    t.match(await run('nbdcopy', ['--flush', copy, uri]), { code: 0, stderr: '' })
    t.equal(Buffer.compare(bytes, other), 0)
  }
})

t.test('nbdcopy and nbdinfo start our server themselves', { skip: missing('nbdcopy', 'nbdinfo') }, async t => {
  const folder = temporaryFolder(t)
  const [image, copy] = [join(folder, 'd.img'), join(folder, 'copy')]
  writeFileSync(image, content())
  const server = ['[', process.execPath, SERVE_MAIN, image, 'activated', ']']
  t.match(await run('nbdcopy', [...server, copy]), { code: 0, stderr: '' })
  t.equal(Buffer.compare(readFileSync(copy), readFileSync(image)), 0)
  t.match(await run('nbdcopy', [...server, 'null:']), { code: 0, stderr: '' })
  t.match(await run('nbdinfo', ['--size', ...server]), { code: 0, stdout: `${8 * MiB}` })
})

const python = '/usr/bin/python3'
const withoutNbdsh =
  missing('nbdsh') || ((await run(python, ['-c', 'import nbd'])).code === 0 ? false : 'python3-libnbd not installed')

t.test('nbdsh: commands, flags and errors as libnbd sees them', { skip: withoutNbdsh }, async t => {
  const bytes = content()
  const { uri } = await serve(bytes)
  const folder = temporaryFolder(t)
  const image = join(folder, 'd.img')
  writeFileSync(image, bytes)
  const script = `
import errno
h.add_meta_context("base:allocation")
h.add_meta_context("qemu:dirty-bitmap:b0")
h.connect_uri("${uri}")
assert h.get_structured_replies_negotiated()
if hasattr(h, "get_extended_headers_negotiated"): # libnbd 1.18
    assert h.get_extended_headers_negotiated()
assert h.pread(5, 0) == open("${image}", "rb").read(5)
assert h.pread_structured(4096, 1048576, lambda *chunk: None, nbd.CMD_FLAG_DF) == bytes(4096)
h.pwrite(b"hello", 100, nbd.CMD_FLAG_FUA)
assert h.pread(5, 100) == b"hello"
h.zero(65536, 0, nbd.CMD_FLAG_NO_HOLE)
h.trim(65536, 65536)
h.flush()
assert h.pread(131072, 0) == bytes(131072)
seen = {}
def extent(context, offset, entries, error):
    seen[context] = (offset, entries)
h.block_status(8388608, 0, extent)
assert seen["base:allocation"][1][:2] == [131072, 2], seen
assert seen["qemu:dirty-bitmap:b0"][1][:4] == [1048576, 0, 1048576, 1], seen
h.block_status(8388608, 0, extent, nbd.CMD_FLAG_REQ_ONE)
assert len(seen["base:allocation"][1]) == 2, seen
h.set_strict_mode(getattr(nbd, "STRICT_AUTO_FLAG", 0))
for call, wanted in [
    (lambda: h.pread(1, 8388608), "EINVAL"),
    (lambda: h.pwrite(b"x", 8388608), "ENOSPC"),
    (lambda: h.zero(2, 8388607), "ENOSPC"),
    (lambda: h.cache(512, 0), "EINVAL"),
]:
    try:
        call()
        raise SystemExit("no error: " + wanted)
    except nbd.Error as error:
        assert error.errno == wanted, error
assert h.pread(5, 200000) == open("${image}", "rb").read()[200000:200005]
h.shutdown()
k = nbd.NBD()
k.connect_command(["${process.execPath}", "${SERVE_MAIN}", "${image}", "stdio:"])
assert k.pread(9, 5) == open("${image}", "rb").read()[5:14]
k.shutdown()
`
  const result = await run(python, ['-c', `import nbd\nh = nbd.NBD()\n${script}`])
  t.match(result, { code: 0, stderr: '' })
})

t.test('qemu-img and qemu-io: compare, map, convert, write', { skip: missing('qemu-img', 'qemu-io') }, async t => {
  for (const tcp of [false, true]) {
    const bytes = content()
    const { uri, folder } = await serve(bytes, tcp)
    const image = join(folder, 'd.img')
    writeFileSync(image, bytes)
    t.match(await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, uri]), { code: 0, stdout: /identical/ })
    const map = JSON.parse((await run('qemu-img', ['map', '-f', 'raw', '--output=json', uri])).stdout) as object[]
    t.match(map[1], { start: MiB, length: 2 * MiB, zero: true, data: true })
    const writes = ['-c', 'write -P 9 5000 70000', '-c', 'write -z 3M 1M', '-c', 'discard 4M 64k', '-c', 'flush']
    t.match(
      await run('qemu-io', ['-f', 'raw', ...writes, '-c', 'read -P 9 5000 70000', '-c', 'read -P 0 3M 1M', uri]),
      {
        code: 0,
      },
    )
    t.ok(bytes.subarray(5000, 75_000).every(byte => byte === 9))
    t.ok(bytes.subarray(3 * MiB, 4 * MiB + 65_536).every(byte => byte === 0))
    const copy = join(folder, 'copy.qcow2')
    t.match(await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', uri, copy]), { code: 0 })
    t.match(await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', copy, uri]), { code: 0, stdout: /identical/ })
    t.match(await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, uri]), { code: 0 })
    t.equal(Buffer.compare(readFileSync(image), bytes), 0)
  }
})

t.test('qemu-img sees our bitmap', { skip: missing('qemu-img') }, async t => {
  const { folder } = await serve(content())
  const options = `driver=nbd,server.type=unix,server.path=${join(folder, 's')},x-dirty-bitmap=qemu:dirty-bitmap:b0`
  const map = JSON.parse((await run('qemu-img', ['map', '--image-opts', '--output=json', options])).stdout) as {
    data: boolean
  }[]
  t.strictSame(
    map.map(({ data }) => data),
    [true, false, true, false, true, false, true, false],
    'data: false says dirty',
  )
})

t.test('QEMU finds our abstract socket', { skip: missing('qemu-img') }, async t => {
  const bytes = content()
  const image = join(temporaryFolder(t), 'd.img')
  writeFileSync(image, bytes)
  const name = `granary-nbd-server-${process.pid}`
  const exports = [{ name: '', disk: memoryDisk(bytes) }]
  await using server = await serveNbd({ exports, listen: `nbd+unix:///?socket=%00${name}` })
  t.match(server.uriOf(), '%00')
  const options = `driver=nbd,server.type=unix,server.path=${name},server.abstract=on,server.tight=${await abstractTight()}`
  const raw = `driver=raw,file.filename=${image}`
  const compared = await run('qemu-img', ['compare', '--image-opts', raw, options])
  t.match(compared, { code: 0, stdout: /identical/ }, compared.stderr)
})

t.test('nbdinfo sees how deep in a chain data lies', { skip: missing('nbdinfo') }, async t => {
  const disk: DiskReader = {
    ...memoryDisk(new Uint8Array(3 * MiB)),
    async *extents({ offset = 0, length = 3 * MiB - offset } = {}) {
      const all: readonly Extent[] = [
        { offset: 0, length: MiB, kind: 'data', depth: 0, present: true },
        { offset: MiB, length: MiB, kind: 'zero', depth: 2, present: true },
        { offset: 2 * MiB, length: MiB, kind: 'hole', present: false },
      ]
      for (const each of all) {
        const start = Math.max(offset, each.offset)
        const end = Math.min(offset + length, each.offset + each.length)
        if (end > start) yield { ...each, offset: start, length: end - start }
      }
    },
  }
  await using server = await serveNbd({
    exports: [{ name: '', disk, hasAllocationDepth: true }],
    listen: { kind: 'unix', path: join(temporaryFolder(t), 's') },
  })
  const { stdout } = await run('nbdinfo', ['--map=qemu:allocation-depth', '--json', server.uriOf()])
  t.match(JSON.parse(stdout), [
    { offset: 0, length: MiB, type: 1 },
    { offset: MiB, length: MiB, type: 3 },
    { offset: 2 * MiB, length: MiB, type: 0 },
  ])
})

const withoutFio =
  missing('fio') || ((await run('fio', ['--enghelp'])).stdout.includes('nbd') ? false : 'fio has no nbd engine')

t.test('fio writes and verifies, and would see one wrong byte', { skip: withoutFio }, async t => {
  const folder = temporaryFolder(t)
  const good = memoryDisk(new Uint8Array(8 * MiB))
  const bad = memoryDisk(new Uint8Array(8 * MiB))
  const forgetful: DiskReader & DiskWriter = {
    ...bad,
    async write(offset, bytes, options) {
      await bad.write(offset, bytes, options)
      if (offset <= MiB && offset + bytes.length > MiB)
        await bad.write(MiB, Uint8Array.of(0xff ^ (bytes[MiB - offset] as number)))
    },
  }
  for (const [disk, isGood] of [
    [good, true],
    [forgetful, false],
  ] as const) {
    const listen = { kind: 'unix', path: join(folder, `s${isGood}`) } as const
    await using server = await serveNbd({ exports: [{ name: '', disk, isWritable: true }], listen })
    const job = ['--name=t', '--ioengine=nbd', `--uri=${server.uriOf()}`, '--rw=randwrite', '--bs=4k', '--iodepth=32']
    const verify = ['--size=8m', '--verify=crc32c', '--verify_fatal=1', '--randseed=1', `--aux-path=${folder}`]
    const result = await run('fio', [...job, ...verify])
    t.equal(result.code === 0, isGood, result.stderr)
    if (isGood) t.match(result.stdout, /err= 0/)
  }
})
