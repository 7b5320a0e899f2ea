// Backs up a disk into a new repository, changes the disk, backs it up again, and restores the first state.
//
//   node examples/backup-and-restore.mjs DISK.raw FOLDER
//
// Everything that holds a file or a lock has `Symbol.asyncDispose`. TypeScript and Node 24 call it for `await using`;
// this file runs on Node 20 as it is and says so itself.
import { copyFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { copyDisk, createRawDisk, openRawReader } from '@granary/core'
import { backup, initRepository, openBackend, openDisk, openRepository } from '@granary/dedup-store'
import { createKeyFile } from '@granary/transform'

const [diskPath, folder] = process.argv.slice(2)
const close = async resource => await resource[Symbol.asyncDispose]()

// A repository and its key. Without the key file nothing can be read.
const location = join(folder, 'repository')
const secret = { kind: 'key-file', key: await createKeyFile(join(folder, 'granary.key')) }
await initRepository(await openBackend(location), secret)
const repository = await openRepository(await openBackend(location), secret)

// The first backup stores everything, the second one what changed.
const copyPath = join(folder, 'web.raw')
await copyFile(diskPath, copyPath)
const backUp = async () => {
  const disk = await openRawReader(copyPath)
  try {
    return await backup(repository, [{ name: 'web', source: copyPath, disk }], { name: 'web' })
  } finally {
    await close(disk)
  }
}
const first = await backUp()
const file = await open(copyPath, 'r+')
await file.write(Buffer.from('changed'), 0, 7, 4096)
await file.close()
const second = await backUp()
for (const { id, backupKind, disks } of [first, second])
  console.log(`${id.slice(0, 8)} ${backupKind}: ${disks[0].stats.newBytes} bytes new`)

// A stored disk is a DiskReader like any other; a copy of it is a restore.
const stored = await openDisk(repository, first.id)
const target = await createRawDisk(join(folder, 'restored.raw'), stored.sizeBytes)
const { writtenBytes } = await copyDisk(stored, target)
await target.flush()
console.log(`restored ${stored.sizeBytes} bytes, ${writtenBytes} written`)

await close(target)
await close(stored)
await close(repository)
