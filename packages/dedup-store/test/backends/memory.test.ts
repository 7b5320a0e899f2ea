import { memoryBackend } from '@granary/dedup-store'
import { backendContract } from '@granary/testing'

backendContract('memory', async () => {
  const backend = memoryBackend()
  return { backend, again: () => backend }
})
