/** The example of image transfers does what it says. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { projectPath, seededBytes } from '@granary/testing'

t.test('image-transfer', async t => {
  const folder = t.testdir()
  const bytes = Buffer.alloc(8 * 1024 * 1024)
  bytes.set(seededBytes(3 * 1024 * 1024, 1), 1_000_000)
  await writeFile(join(folder, 'disk.raw'), bytes)
  const paths = ['disk.raw', 'restored.raw'].map(name => join(folder, name))
  const example = projectPath('examples', 'image-transfer.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [example, ...paths])
  t.match(stdout, /^\d.* MiB uploaded, durable after 1 flush\n8\.00 MiB downloaded by way of the host\n$/)
  t.ok((await readFile(join(folder, 'restored.raw'))).equals(bytes))
})
