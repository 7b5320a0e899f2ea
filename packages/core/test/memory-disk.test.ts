import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { memoryDisk } from '../src/index.ts'

diskReaderContract('memory disk', async () => {
  const content = seededBytes(300_001, 1)
  content.fill(0, 8192, 100_000)
  return { disk: memoryDisk(content), content }
})

diskWriterContract('memory disk', async sizeBytes => {
  const content = new Uint8Array(sizeBytes).fill(7)
  return { disk: memoryDisk(content), readBack: async () => content }
})
