/**
 * Makes the small images in test/fixtures with the file systems' own tools, and writes down what the kernel sees in
 * them. Run as root: `node packages/guestfs/dist/test/make-fixtures.js`.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { projectPath } from '@granary/testing'
import { freshFileSystem, kinds } from './helpers/fresh.ts'

const folder = projectPath('packages', 'guestfs', 'test', 'fixtures')
mkdirSync(folder, { recursive: true })
const pack = (bytes: Uint8Array): Uint8Array =>
  brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_QUALITY]: 9 } })
for (const kind of kinds.filter(kind => !kind.isLarge)) {
  // The third of a kind is taken while it is mounted, so that its journal is replayed.
  await using fresh = await freshFileSystem(kind, { seed: 2, files: 26, maxFileBytes: 3000 })
  writeFileSync(join(folder, `${kind.name}.img.br`), pack(readFileSync(fresh.path)))
  writeFileSync(join(folder, `${kind.name}.json.br`), pack(Buffer.from(JSON.stringify(fresh.volume))))
}
