import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { diskReaderContract, diskWriterContract, freePort, seededBytes, untilListening } from '@granary/testing'
import { connectNbd, listNbdExports } from '../src/index.ts'
import { abstractTight, missing, mustRun, startPeer, temporaryFolder } from './peers.ts'

const MiB = 1024 * 1024

const content = (): Uint8Array => {
  const bytes = seededBytes(4 * MiB, 1)
  bytes.fill(0, 512 * 1024, 1 * MiB)
  bytes.fill(0, 2 * MiB, 3 * MiB)
  return bytes
}

const all = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const list: Item[] = []
  for await (const item of items) list.push(item)
  return list
}

/** A socket where a server serves `bytes`. */
const serve = async (
  program: 'qemu-nbd' | 'nbdkit',
  bytes: Uint8Array,
  args: readonly string[] = [],
): Promise<{ uri: string; image: string }> => {
  const folder = temporaryFolder(t)
  const [image, socket] = [join(folder, 'disk.img'), join(folder, 's')]
  writeFileSync(image, bytes)
  if (program === 'qemu-nbd') startPeer(t, program, ['-t', '-e', '4', '-f', 'raw', '-k', socket, ...args, image])
  else startPeer(t, program, ['-f', '-U', socket, ...args, 'file', image])
  await untilListening({ path: socket })
  return { uri: `nbd+unix:///?socket=${socket}`, image }
}

for (const program of ['qemu-nbd', 'nbdkit'] as const) {
  const skip = missing(program)
  t.test(`client of ${program}`, { skip }, async t => {
    const bytes = content()
    const { uri } = await serve(program, bytes)
    diskReaderContract(`client of ${program}`, async () => ({ disk: await connectNbd(uri), content: bytes }))
    diskReaderContract(
      `client of ${program}, simple replies`,
      async () => ({ disk: await connectNbd(uri, { replies: 'simple' }), content: bytes }),
      { reads: 60 },
    )
    diskWriterContract(`client of ${program}`, async sizeBytes => {
      const { uri: fresh, image } = await serve(program, new Uint8Array(sizeBytes).fill(7))
      return { disk: await connectNbd(fresh), readBack: async () => readFileSync(image) }
    })
    t.pass()
  })
}

t.test('qemu-nbd: dirty bitmap and depth', { skip: missing('qemu-nbd', 'qemu-img', 'qemu-io') }, async t => {
  const folder = temporaryFolder(t)
  const [base, image, socket] = [join(folder, 'base.qcow2'), join(folder, 'd.qcow2'), join(folder, 's')]
  mustRun('qemu-img', 'create', '-f', 'qcow2', base, '8M')
  mustRun('qemu-io', '-c', 'write -P 5 2M 64k', base)
  mustRun('qemu-img', 'create', '-f', 'qcow2', '-b', base, '-F', 'qcow2', image)
  mustRun('qemu-img', 'bitmap', '--add', image, 'b0')
  mustRun('qemu-io', '-c', 'write -P 7 1M 64k', '-c', 'write -z 4M 128k', image)
  startPeer(t, 'qemu-nbd', ['-t', '-e', '4', '-f', 'qcow2', '-B', 'b0', '-A', '-k', socket, image])
  await untilListening({ path: socket })
  const uri = `nbd+unix:///?socket=${socket}`
  await using disk = await connectNbd(uri, { bitmap: 'b0', allocationDepth: true })
  t.strictSame(disk.metaContexts.toSorted(), ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0'])
  const hole = { kind: 'hole', dirty: false, present: false }
  t.strictSame(await all(disk.extents()), [
    { offset: 0, length: MiB, ...hole },
    { offset: MiB, length: 65_536, kind: 'data', dirty: true, depth: 0, present: true },
    { offset: MiB + 65_536, length: MiB - 65_536, ...hole },
    { offset: 2 * MiB, length: 65_536, kind: 'data', dirty: false, depth: 1, present: true },
    { offset: 2 * MiB + 65_536, length: 2 * MiB - 65_536, ...hole },
    { offset: 4 * MiB, length: 131_072, kind: 'hole', dirty: true, depth: 0, present: true },
    { offset: 4 * MiB + 131_072, length: 4 * MiB - 131_072, ...hole },
  ])
  t.strictSame(await all(disk.metaExtents('qemu:dirty-bitmap:b0', { offset: MiB, length: MiB })), [
    { offset: MiB, length: 65_536, flags: 1 },
    { offset: MiB + 65_536, length: MiB - 65_536, flags: 0 },
  ])
  await t.rejects(all(disk.metaExtents('qemu:dirty-bitmap:b1')), { code: 'GRANARY_INVALID_ARGUMENT' })
  await t.rejects(connectNbd(uri, { bitmap: 'b1' }), {
    code: 'GRANARY_NOT_FOUND',
    detail: { context: 'qemu:dirty-bitmap:b1' },
  })
})

t.test('qemu-nbd: trim gives space back, many connections, listing', { skip: missing('qemu-nbd') }, async t => {
  const { uri, image } = await serve('qemu-nbd', content(), ['--discard=unmap', '-D', 'all of it', '-x', 'name'])
  t.match(await listNbdExports(uri), [{ name: 'name', description: 'all of it' }])
  await t.rejects(connectNbd(uri), { code: 'GRANARY_NOT_FOUND' })
  await using disk = await connectNbd(uri.replace('///', '///name'), { requestBytes: 65_536, connections: 3 })
  t.match(disk, { exportName: 'name', description: 'all of it', isReadOnly: false })
  // QEMU knows extended headers from 8.2 on.
  t.ok(['structured', 'extended'].includes(disk.replies), disk.replies)
  await disk.read(0, new Uint8Array(4 * MiB))
  while (disk.connections < 3) await disk.read(0, new Uint8Array(4 * MiB))
  t.equal(disk.connections, 3)
  const before = statSync(image).blocks
  await disk.trim(0, 512 * 1024)
  await disk.flush()
  t.ok(statSync(image).blocks < before)
})

t.test('nbdkit: a server told to be read-only is believed', { skip: missing('nbdkit') }, async t => {
  const { uri } = await serve('nbdkit', content(), ['-r'])
  await using disk = await connectNbd(uri)
  t.ok(disk.isReadOnly)
  await t.rejects(disk.write(0, new Uint8Array(512)), { code: 'GRANARY_PERMISSION' })
  await t.rejects(disk.zero(0, 512), { code: 'GRANARY_PERMISSION' })
  await disk.flush()
})

t.test('nbdkit: servers without structured replies, zeroes, or newstyle', { skip: missing('nbdkit') }, async t => {
  const bytes = content()
  const old = await serve('nbdkit', bytes, ['--oldstyle'])
  await t.rejects(connectNbd(old.uri), { code: 'GRANARY_UNSUPPORTED', message: /oldstyle/ })
  const masked = await serve('nbdkit', bytes, ['--mask-handshake=0'])
  await using plain = await connectNbd(masked.uri)
  t.equal(plain.replies, 'simple')
  t.strictSame(await all(plain.extents()), [{ offset: 0, length: 4 * MiB, kind: 'data' }])
  const target = new Uint8Array(4 * MiB)
  await plain.read(0, target)
  t.equal(Buffer.compare(target, bytes), 0)
  const simple = await serve('nbdkit', bytes, ['--no-sr'])
  await using structureless = await connectNbd(simple.uri)
  t.equal(structureless.replies, 'simple')
  const nozero = await serve('nbdkit', bytes, ['--filter=nozero'])
  await using disk = await connectNbd(nozero.uri)
  await disk.zero(1000, 3 * MiB)
  await disk.flush()
  t.ok(
    readFileSync(nozero.image)
      .subarray(1000, 1000 + 3 * MiB)
      .every(byte => byte === 0),
  )
})

t.test('an abstract socket of QEMU', { skip: missing('qemu-storage-daemon') }, async t => {
  const image = join(temporaryFolder(t), 'disk.img')
  const bytes = content()
  writeFileSync(image, bytes)
  const name = `granary-nbd-${process.pid}`
  startPeer(t, 'qemu-storage-daemon', [
    ...['--blockdev', `driver=file,node-name=d,filename=${image}`],
    ...['--nbd-server', `addr.type=unix,addr.path=${name},addr.abstract=on,addr.tight=${await abstractTight()}`],
    ...['--export', 'type=nbd,id=e,node-name=d,name=disk,writable=on'],
  ])
  await untilListening({ path: `\0${name}` })
  await using disk = await connectNbd(`nbd+unix:///disk?socket=%00${name}`)
  const target = new Uint8Array(bytes.length)
  await disk.read(0, target)
  t.equal(Buffer.compare(target, bytes), 0)
})

t.test('a tcp server', { skip: missing('nbdkit') }, async t => {
  const port = await freePort()
  startPeer(t, 'nbdkit', ['-f', '-i', '127.0.0.1', '-p', `${port}`, 'pattern', '64M'])
  await untilListening({ host: '127.0.0.1', port })
  await using disk = await connectNbd(`nbd://127.0.0.1:${port}`)
  const target = new Uint8Array(16 * MiB)
  await disk.read(32 * MiB, target)
  const view = new DataView(target.buffer)
  const isRight = Array.from({ length: 2 * MiB }, (_, i) => i * 8).every(
    at => view.getUint32(at + 4) === 32 * MiB + at && view.getUint32(at) === 0,
  )
  t.ok(isRight, 'every eight bytes say where they are')
})
