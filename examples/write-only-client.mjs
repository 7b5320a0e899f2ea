// A machine that backs up and can read nothing: it holds a file instead of the key, and the key holder restores.
//
//   node examples/write-only-client.mjs DISK RESTORED
import { copyDisk, createRawDisk, openRawReader } from '@granary/core'
import {
  addClient,
  backup,
  check,
  initRepository,
  memoryBackend,
  openDisk,
  openRepository,
  verify,
} from '@granary/dedup-store'

const [diskPath, restoredPath] = process.argv.slice(2)
const secret = { kind: 'passphrase', passphrase: 'correct horse battery staple' }
const backend = memoryBackend() // or: await openBackend('/backup/repo')
await initRepository(backend, secret)
const holder = await openRepository(backend, secret)

// Once, where the key is. The file goes to the machine, by a way you trust.
const { file } = await addClient(holder, 'web')

// On the machine, every night.
const client = await openRepository(backend, { kind: 'client', file })
const disk = await openRawReader(diskPath)
const { id } = await backup(client, [{ name: 'root', source: diskPath, disk }], { name: 'web' })
const stored = await openDisk(client, id) // It sees which chunks there are …
await stored.read(0, new Uint8Array(4096)).catch(error => console.log(`the client: ${error.code}`)) // … and opens none.

// Where the key is: other machines rely on what the client stored only once it was read.
const { passedPacks } = await check(holder, { readData: 1 })
const { verified, problems } = await verify(holder)
console.log(`${passedPacks} packs passed, ${verified} signature verified, ${problems.length} problems`)
const readable = await openDisk(holder, id)
const target = await createRawDisk(restoredPath, readable.sizeBytes)
await copyDisk(readable, target)
console.log(`restored ${readable.sizeBytes} bytes`)

for (const open of [target, readable, stored, disk, client, holder]) await open[Symbol.asyncDispose]()
