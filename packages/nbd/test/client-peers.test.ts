import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { connectNbd } from '../src/index.ts'
import { missing, mustRun, startPeer, temporaryFolder, untilListening } from './peers.ts'

const MiB = 1024 * 1024

const content = (): Uint8Array => {
  const bytes = seededBytes(4 * MiB, 1)
  bytes.fill(0, 512 * 1024, 1 * MiB)
  bytes.fill(0, 2 * MiB, 3 * MiB)
  return bytes
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

t.test('qemu-nbd: bitmap', { skip: missing('qemu-nbd', 'qemu-img', 'qemu-io') }, async t => {
  const folder = temporaryFolder(t)
  const image = join(folder, 'd.qcow2')
  mustRun('qemu-img', 'create', '-f', 'qcow2', image, '8M')
  mustRun('qemu-img', 'bitmap', '--add', image, 'b0')
  mustRun('qemu-io', '-c', 'write -P 7 1M 64k', '-c', 'write -P 8 4M 128k', image)
  const socket = join(folder, 's')
  startPeer(t, 'qemu-nbd', ['-t', '-f', 'qcow2', '-B', 'b0', '-A', '-k', socket, image])
  await untilListening({ path: socket })
  const disk = await connectNbd(`nbd+unix:///?socket=${socket}`, { bitmap: 'b0', allocationDepth: true })
  const extents = []
  for await (const extent of disk.extents()) extents.push(extent)
  await disk[Symbol.asyncDispose]()
  console.error(extents)
  t.pass()
})
