// The stages of a backup as a pipeline of their own: a file is cut, compressed and sealed into another file, and opened again.
// Any stage can be left out or replaced.
//
//   node examples/streams.mjs FILE SEALED RESTORED
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { chunkTransform, parseChunker } from '@granary/chunker'
import { blake3, compress, open, sealTransform, uncompress } from '@granary/transform'

const [plainPath, sealedPath, restoredPath] = process.argv.slice(2)
const key = new Uint8Array(32).fill(7) // Yours comes from a key file.
const secret = blake3(key)

// Node Transforms and async-iterable stages go together.
await pipeline(
  createReadStream(plainPath),
  chunkTransform({ parameters: parseChunker('fastcdc:64k'), secret }),
  compress({ name: 'zstd', level: 3 }),
  sealTransform({ key, suite: 'chacha20-poly1305' }),
  createWriteStream(sealedPath),
)

// Back again: every byte is verified before it is given out. Runs of zeros come as lengths.
async function* bytesOf(pieces) {
  for await (const piece of pieces) yield piece.kind === 'data' ? piece.bytes : new Uint8Array(piece.length)
}
await pipeline(createReadStream(sealedPath), open({ key }), uncompress(), bytesOf, createWriteStream(restoredPath))
console.log(`sealed ${plainPath} into ${sealedPath} and opened it into ${restoredPath}`)
