// Reads a few bytes here and there of a disk inside a repository: nothing is unpacked anywhere.
//
//   node examples/random-reads.mjs DISK.raw
import { formatBytes, openRawReader } from '@granary/core'
import { backup, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'

// A repository in memory, opened with a passphrase.
const backend = memoryBackend()
const secret = { kind: 'passphrase', passphrase: 'correct horse battery staple' }
await initRepository(backend, secret)
const repository = await openRepository(backend, secret)

const source = await openRawReader(process.argv[2])
const { id } = await backup(repository, [{ name: 'disk', source: 'example', disk: source }], { name: 'example' })

const stored = await openDisk(repository, id, { cacheBytes: 16 * 1024 * 1024 })
let dataBytes = 0
for await (const { kind, length } of stored.extents()) if (kind === 'data') dataBytes += length
console.log(`${formatBytes(stored.sizeBytes)} disk, ${formatBytes(dataBytes)} of it data`)

// 200 reads at fixed places that look random, each compared with the source.
const got = new Uint8Array(4096)
const wanted = new Uint8Array(4096)
for (let i = 0; i < 200; i++) {
  const offset = (i * 7_919_777) % (stored.sizeBytes - got.length)
  await stored.read(offset, got)
  await source.read(offset, wanted)
  if (Buffer.compare(got, wanted) !== 0) throw new Error(`different at ${offset}`)
}
console.log('200 reads, all equal to the source')

for (const resource of [stored, source, repository]) await resource[Symbol.asyncDispose]()
