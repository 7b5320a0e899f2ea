// A file sealed outside of a repository, and read at random without opening the rest.
//
//   node examples/sealed-file.mjs FILE SEALED
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { openRawReader } from '@granary/core'
import { openSealedDisk, seal } from '@granary/transform'

const [plainPath, sealedPath] = process.argv.slice(2)
const key = new Uint8Array(32).fill(7) // Yours comes from a key file.

await pipeline(createReadStream(plainPath), seal({ key, suite: 'kuznyechik-mgm' }), createWriteStream(sealedPath))

// Its end is opened first: a file that was cut off is refused before anything is read.
const sealed = await openSealedDisk(await openRawReader(sealedPath), { key })
const plain = await openRawReader(plainPath)
const [a, b] = [new Uint8Array(1000), new Uint8Array(1000)]
for (let i = 0; i < 100; i++) {
  const offset = Math.floor(Math.random() * (sealed.sizeBytes - a.length))
  await sealed.read(offset, a)
  await plain.read(offset, b)
  if (Buffer.compare(a, b) !== 0) throw new Error(`differs at ${offset}`)
}
console.log(`${sealed.sizeBytes} bytes, 100 reads, all equal to the source`)
for (const open of [sealed, plain]) await open[Symbol.asyncDispose]()
