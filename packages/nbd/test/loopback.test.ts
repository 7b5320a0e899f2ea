import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { connectNbd, serveNbd } from '../src/index.ts'
import { temporaryFolder } from './peers.ts'

for (const replies of ['simple', 'structured', 'extended'] as const) {
  const listen = `nbd+unix:///?socket=${join(temporaryFolder(t), 's')}`
  const content = seededBytes(3_000_001, 1)
  content.fill(0, 8192, 100_000)

  diskReaderContract(
    `our client of our server, ${replies}`,
    async () => {
      const server = await serveNbd({ exports: [{ name: '', disk: memoryDisk(content) }], listen: 'nbd://127.0.0.1:0' })
      t.teardown(async () => server.close())
      const disk = await connectNbd(server.uriOf(), { replies })
      if (disk.replies !== replies) throw new Error(`agreed on ${disk.replies}`)
      return { disk, content }
    },
    { reads: 60 },
  )

  diskWriterContract(`our client of our server, ${replies}`, async sizeBytes => {
    const bytes = new Uint8Array(sizeBytes).fill(7)
    const server = await serveNbd({ exports: [{ name: 'w', disk: memoryDisk(bytes), isWritable: true }], listen })
    const disk = await connectNbd(server.uriOf('w'), { replies })
    const dispose = disk[Symbol.asyncDispose].bind(disk)
    disk[Symbol.asyncDispose] = async () => {
      await dispose()
      await server.close()
    }
    return { disk, readBack: async () => bytes }
  })
}
