import { copyDisk, createRawDisk, openRawReader } from '@granary/core'
import { backup, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'

const secret = { kind: 'passphrase', passphrase: 'correct horse battery staple' }
const backend = memoryBackend() // or: await openBackend('/backup/repo')
await initRepository(backend, secret)
const repository = await openRepository(backend, secret)

const disk = await openRawReader(process.argv[2])
const snapshot = await backup(repository, [{ name: 'root', source: 'web.raw', disk }], { name: 'web' })
const stored = await openDisk(repository, snapshot.id) // a disk again, to read anywhere
const target = await createRawDisk(process.argv[3], stored.sizeBytes)
await copyDisk(stored, target)

for (const open of [target, stored, disk, repository]) await open[Symbol.asyncDispose]()
