import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fileBackend } from '@granary/dedup-store'
import { backendContract } from '@granary/testing'

const folder = await mkdtemp(join(tmpdir(), 'granary-file-'))
t.teardown(async () => await rm(folder, { recursive: true }))

backendContract('file', async () => {
  const root = join(await mkdtemp(join(folder, 'b-')), 'repository')
  const backend = fileBackend(root)
  await backend.probe()
  return { backend, again: () => fileBackend(root) }
})
