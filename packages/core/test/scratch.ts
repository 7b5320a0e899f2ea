/** Files for the tests of one module, gone when it ends. @module */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadNative } from '../src/index.ts'
import type { Bytes, Native, Range } from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'granary-core-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A path where nothing is yet. */
export const freshPath = (): string => join(folder, `file-${files++}`)

/** A sparse file that holds only the given ranges of `content`; the others are holes. */
export const sparseFile = async (
  content: Bytes,
  data: readonly Range[],
  path: string = freshPath(),
): Promise<string> => {
  await using file = await open(path, 'w')
  await file.truncate(content.length)
  for (const { offset, length } of data) await file.write(content, offset, length, offset)
  return path
}

/** What a file or device holds. */
export const readWhole = async (path: string): Promise<Bytes> => new Uint8Array(await readFile(path))

/** Compares at memory speed; a deep comparison of some MiB takes tap half a minute. */
export const sameBytes = (found: Bytes, wanted: Bytes): boolean => Buffer.compare(found, wanted) === 0

/** The files of these tests that this process has open. */
export const openFiles = (): string[] => {
  const names = readdirSync('/proc/self/fd').map(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // The descriptor of the listing itself.
    }
  })
  return names.filter(name => name.startsWith(folder))
}

/** Both ways of every user of native calls: with those of this system, where it has them, and without. */
export const nativeWays: readonly { name: string; native: Native | null }[] = [
  { name: 'native', native: (await loadNative()) ?? null },
  { name: 'no native', native: null },
]
