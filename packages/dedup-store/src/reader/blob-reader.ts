/**
 * Gives the plain bytes of blobs. Blobs that lie side by side in a pack are fetched in one request; each is verified.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend } from '../backends/backend.ts'
import { hexOfId } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import type { FoundBlob, RepositoryIndex } from '../index/repository-index.ts'
import type { PackEntry, PackType } from '../packs/pack-format.ts'
import { createBlobVerifier, openBlob } from '../packs/pack-reader.ts'
import type { BlobVerifier } from '../packs/pack-reader.ts'
import type { CopyPlace, DecodeJob } from './decode-job.ts'
import type { DecodePool } from './decode-pool.ts'

/** Most bytes of one request. */
const REQUEST_BYTES = 4 * 1024 * 1024

/** Bytes between two wanted blobs that are read rather than asked for apart. */
const GAP_BYTES = 64 * 1024

/** Blobs of one pack that one request brings. */
interface Request {
  readonly pack: FoundBlob['pack']
  readonly from: number
  to: number
  readonly blobs: { readonly ordinal: number; readonly wanted: number }[]
}

/** A chunk, and which of its bytes go where. */
export interface ChunkCopy {
  readonly id: Bytes
  readonly places: readonly CopyPlace[]
}

export interface BlobReader {
  /** Calls `take` with each blob as it is there, in any order. The bytes are the receiver's. */
  /** As `readAll`, for chunks of which parts go to places in shared memory: decoded there by the pool's threads. */
  copyAll(copies: readonly ChunkCopy[], target: Bytes, pool: DecodePool): Promise<void>
  readAll(
    ids: readonly Bytes[],
    type: PackType,
    take: (wanted: number, plain: Bytes) => void,
    options?: AbortOptions,
  ): Promise<void>
  /** @throws GranaryError `GRANARY_CORRUPT` when it is missing or damaged */
  read(id: Bytes, type: PackType, options?: AbortOptions): Promise<Bytes>
}

export const createBlobReader = (backend: Backend, keys: RepositoryKeys, index: RepositoryIndex): BlobReader => {
  const verifier: BlobVerifier = createBlobVerifier(keys)

  const plan = async (ids: readonly Bytes[], type: PackType, options: AbortOptions): Promise<Request[]> => {
    const found = await Promise.all(
      ids.map(async (id, wanted) => ({ ...(await locate(index, id, type, options)), wanted })),
    )
    const offsetOf = ({ pack, ordinal }: FoundBlob): number => (pack.entries[ordinal] as PackEntry).offset
    found.sort((a, b) => (a.pack.key === b.pack.key ? offsetOf(a) - offsetOf(b) : a.pack.key < b.pack.key ? -1 : 1))
    const requests: Request[] = []
    for (const { pack, ordinal, wanted } of found) {
      const entry = pack.entries[ordinal] as PackEntry
      const end = entry.offset + entry.sealedLength
      const last = requests.at(-1)
      if (last?.pack === pack && entry.offset - last.to <= GAP_BYTES && end - last.from <= REQUEST_BYTES) {
        last.to = Math.max(last.to, end)
        last.blobs.push({ ordinal, wanted })
      } else requests.push({ pack, from: entry.offset, to: end, blobs: [{ ordinal, wanted }] })
    }
    return requests
  }

  const fetch = async (
    { pack, from, to, blobs }: Request,
    take: (wanted: number, plain: Bytes) => void,
    options: AbortOptions,
  ): Promise<void> => {
    const sealed = await backend.get(pack.key, { ...options, offset: from, length: to - from })
    for (const { ordinal, wanted } of blobs) {
      const entry = pack.entries[ordinal] as PackEntry
      take(
        wanted,
        openBlob(
          pack,
          { ordinal, entry },
          sealed.subarray(entry.offset - from, entry.offset - from + entry.sealedLength),
          verifier,
        ),
      )
    }
  }

  const readAll: BlobReader['readAll'] = async (ids, type, take, options = {}) => {
    for (const request of await plan(ids, type, options)) {
      options.signal?.throwIfAborted()
      try {
        await fetch(request, take, options)
      } catch (error) {
        if (!isGranaryError(error) || error.code !== 'GRANARY_NOT_FOUND') throw error
        index.forgetPack(request.pack.key) // Collected: what is live of it was copied to another pack before.
        const wanted = request.blobs.map(blob => blob.wanted)
        await readAll(
          wanted.map(i => ids[i] as Bytes),
          type,
          (i, plain) => take(wanted[i] as number, plain),
          options,
        )
      }
    }
  }
  const copyAll: BlobReader['copyAll'] = async (copies, target, pool) => {
    const requests = await plan(
      copies.map(copy => copy.id),
      'dataPack',
      {},
    )
    const runs = requests.map(async request => await pool.decode(await jobOf(request, copies), target))
    for (const [i, result] of (await Promise.allSettled(runs)).entries()) {
      if (result.status === 'fulfilled') continue
      const { pack, blobs } = requests[i] as Request
      if (!isGranaryError(result.reason) || result.reason.code !== 'GRANARY_NOT_FOUND') throw result.reason
      index.forgetPack(pack.key)
      await copyAll(
        blobs.map(({ wanted }) => copies[wanted] as ChunkCopy),
        target,
        pool,
      )
    }
  }
  /** Where the storage keeps files of this machine, the thread reads them itself. */
  const jobOf = async ({ pack, from, to, blobs }: Request, copies: readonly ChunkCopy[]): Promise<DecodeJob> => {
    const path = backend.pathOf?.(pack.key)
    const { key, type, prelude, seal } = pack
    return {
      pack: { key, type, prelude, seal },
      from,
      length: to - from,
      ...(path === undefined ? { sealed: await backend.get(key, { offset: from, length: to - from }) } : { path }),
      blobs: blobs.map(({ ordinal, wanted }) => ({
        ordinal,
        entry: pack.entries[ordinal] as PackEntry,
        places: (copies[wanted] as ChunkCopy).places,
      })),
    }
  }
  return {
    readAll,
    copyAll,
    async read(id, type, options) {
      let plain: Bytes | undefined
      await readAll([id], type, (_, bytes) => (plain = bytes), options)
      return plain as unknown as Bytes
    },
  }
}

const locate = async (index: RepositoryIndex, id: Bytes, type: PackType, options: AbortOptions): Promise<FoundBlob> => {
  const found = await index.find(id, type, options)
  if (found !== undefined) return found
  await index.reload(options) // Another session may have moved it meanwhile.
  const moved = await index.find(id, type, options)
  if (moved !== undefined) return moved
  throw new GranaryError(
    'GRANARY_CORRUPT',
    `${type === 'dataPack' ? 'chunk' : 'map node'} ${hexOfId(id)} is in no pack`,
    {
      detail: { id: hexOfId(id) },
      hint: '`granary check` lists which snapshots and ranges this touches',
    },
  )
}
