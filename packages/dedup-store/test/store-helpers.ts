/** Repositories and disks for tests. */
import { memoryDisk } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import { addClient, backup, initRepository, memoryBackend, openDisk, openRepository } from '../src/index.ts'
import type { Backend, BackupOptions, InitOptions, OpenOptions, Repository, Snapshot } from '../src/index.ts'

export const SECRET = { kind: 'key-file', key: new Uint8Array(32).fill(7) } as const

/** A new repository. */
export const createRepository = async (
  options: InitOptions & OpenOptions = {},
  backend: Backend = memoryBackend(),
): Promise<Repository> => {
  await initRepository(backend, SECRET, options)
  return await openRepository(backend, SECRET, options)
}

/** A repository of a key holder, and the same as a write-only client opens it. */
export interface ClientScene {
  readonly backend: Backend
  readonly holder: Repository
  /** The client's key file. */
  readonly file: Bytes
  readonly client: Repository
}

export const createClientScene = async (name = 'web'): Promise<ClientScene> => {
  const backend = memoryBackend()
  const holder = await createRepository({ chunker: 'grid:32k' }, backend)
  const { file } = await addClient(holder, name)
  return { backend, holder, file, client: await openRepository(backend, { kind: 'client', file }) }
}

/** What a snapshot has stored, plain bytes. */
export const newBytesOf = ({ disks }: Snapshot): number => disks.reduce((sum, disk) => sum + disk.stats.newBytes, 0)

/** A disk with text-like, random and empty parts. */
export const mixedDisk = (sizeBytes: number, seed: number): Bytes => {
  const bytes = new Uint8Array(sizeBytes)
  const random = seededRandom(seed)
  for (let at = 0; at < sizeBytes;) {
    const length = Math.min(sizeBytes - at, 4096 * (1 + random(200)))
    const kind = random(4)
    if (kind === 0) bytes.set(seededBytes(length, seed + at), at)
    else if (kind === 1) Buffer.from(bytes.buffer, at, length).fill(`line ${seed} of a log that repeats; `)
    else if (kind === 2) bytes.set(seededBytes(Math.min(length, 4096), seed + at), at)
    at += length
  }
  return bytes
}

/** Overwrites some ranges; gives back which. */
export const changeDisk = (bytes: Bytes, seed: number, changes = 12): { offset: number; length: number }[] => {
  const random = seededRandom(seed)
  return Array.from({ length: changes }, () => {
    const offset = random(bytes.length)
    const length = Math.min(bytes.length - offset, 1 + random(30_000))
    if (random(3) === 0) bytes.fill(0, offset, offset + length)
    else bytes.set(seededBytes(length, seed + offset), offset)
    return { offset, length }
  })
}

/** Backs one disk up on the caller's thread. */
export const backUp = async (
  repository: Repository,
  bytes: Bytes,
  options: Partial<BackupOptions> = {},
): Promise<Snapshot> =>
  await backup(repository, [{ name: 'disk', source: 'test', disk: memoryDisk(bytes) }], {
    name: 'machine',
    workers: 0,
    ...options,
  })

/** The whole content of a stored disk. */
export const readStored = async (repository: Repository, id: string, disk?: string): Promise<Bytes> => {
  await using stored = await openDisk(repository, id, disk === undefined ? {} : { disk })
  const bytes = new Uint8Array(stored.sizeBytes)
  for (let at = 0; at < bytes.length; at += 4_000_000) await stored.read(at, bytes.subarray(at, at + 4_000_000))
  return bytes
}

export const isEqual = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0
