/** What whole-product tests have in common: repositories in folders, disks of known content, and what is left on disk. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { copyDisk, createRawDisk, streamWriter } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { fileBackend, initRepository, openDisk, openRepository } from '@granary/dedup-store'
import type { OpenOptions, Repository } from '@granary/dedup-store'

/** The part of a tap test that these need. */
interface Teardown {
  teardown(action: () => void): void
}

export const MIB = 1024 * 1024

/** True when everything is to be run, not only a sample. */
export const isLong = (): boolean => process.env['GRANARY_TEST_LONG'] !== undefined

/** A folder of the test's own, removed at its end. */
export const scratchFolder = (t: Teardown): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-product-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** 32 bytes: what `createRepository` closes with, also for key files of command lines. */
export const KEY = new Uint8Array(32).fill(7)
const SECRET = { kind: 'key-file', key: KEY } as const

export const openFolder = async (path: string, options: OpenOptions = {}): Promise<Repository> =>
  await openRepository(fileBackend(path), SECRET, options)

export const createRepository = async (path: string, options: OpenOptions = {}): Promise<Repository> => {
  await initRepository(fileBackend(path), SECRET, {})
  return await openFolder(path, options)
}

/** Files below a folder, as paths that begin there, and their sizes. Whoever writes meanwhile may rename one: it is left out. */
export const filesIn = (folder: string): Map<string, number> => {
  const files = new Map<string, number>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats !== undefined) files.set(path.slice(folder.length + 1), stats.size)
  }
  return files
}

/** Bytes of all files below a folder. */
export const sizeOf = (folder: string): number => [...filesIn(folder).values()].reduce((sum, size) => sum + size, 0)

/** What writers write to before it has a name: none may be left when nobody writes. */
export const temporariesIn = (folder: string): string[] =>
  [...filesIn(folder).keys()].filter(path => path.includes('.tmp-') || path.includes('.granary-partial'))

export const sha256OfFile = async (path: string): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** SHA-256 of a disk as it goes out through a stream. */
export const sha256OfStream = async (disk: DiskReader): Promise<string> => {
  const hash = createHash('sha256')
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done()
    },
  })
  await streamWriter(sink, 'the hash').writeDisk(disk)
  return hash.digest('hex')
}

/** Writes a stored disk to a new file. */
export const restoreTo = async (
  repository: Repository,
  { id, disk, path }: { id: string; disk?: string; path: string },
): Promise<void> => {
  await using stored = await openDisk(repository, id, disk === undefined ? {} : { disk })
  await using writer = await createRawDisk(path, stored.sizeBytes)
  await copyDisk(stored, writer)
}
