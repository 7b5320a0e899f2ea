/** Gives the plain bytes of blobs, each verified: here, or decoded by other threads straight into shared memory. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend } from '../backends/backend.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import type { RepositoryIndex } from '../index/repository-index.ts'
import type { PackType } from '../packs/pack-format.ts'
import { createBlobVerifier, openBlob } from '../packs/pack-reader.ts'
import { planRequests } from './blob-requests.ts'
import type { BlobRequest } from './blob-requests.ts'
import type { CopyPlace, DecodeJob } from './decode-job.ts'
import type { DecodePool } from './decode-pool.ts'

/** A chunk, and which of its bytes go where. */
export interface ChunkCopy {
  readonly id: Bytes
  readonly places: readonly CopyPlace[]
}

/** Takes a blob; `wanted` is its place among the ids that were asked for. The bytes are the receiver's. */
export type TakeBlob = (wanted: number, plain: Bytes) => void

export interface BlobReader {
  /** Calls `take` with each blob as it is there, in any order. */
  readAll(ids: readonly Bytes[], type: PackType, take: TakeBlob, options?: AbortOptions): Promise<void>
  /** Puts parts of chunks where they belong in shared memory; the pool's threads decode them there. */
  copyAll(copies: readonly ChunkCopy[], target: Bytes, pool: DecodePool): Promise<void>
  /** @throws GranaryError `GRANARY_CORRUPT` when it is missing or damaged */
  read(id: Bytes, type: PackType, options?: AbortOptions): Promise<Bytes>
}

export const createBlobReader = (backend: Backend, keys: RepositoryKeys, index: RepositoryIndex): BlobReader => {
  const verifier = createBlobVerifier(keys)

  /** A pack that was collected meanwhile is not damage: what is live of it was copied to another one before. */
  const orElsewhere = async (
    request: BlobRequest,
    work: Promise<void>,
    again: (wanted: readonly number[]) => Promise<void>,
  ): Promise<void> => {
    try {
      await work
    } catch (error) {
      if (!isGranaryError(error) || error.code !== 'GRANARY_NOT_FOUND') throw error
      index.forgetPack(request.pack.key)
      await again(request.blobs.map(blob => blob.wanted))
    }
  }

  const fetch = async (
    { pack, from, to, blobs }: BlobRequest,
    take: TakeBlob,
    options: AbortOptions,
  ): Promise<void> => {
    options.signal?.throwIfAborted()
    const sealed = await backend.get(pack.key, { ...options, offset: from, length: to - from })
    for (const { ordinal, entry, wanted } of blobs) {
      const at = entry.offset - from
      take(wanted, openBlob(pack, { ordinal, entry }, sealed.subarray(at, at + entry.sealedLength), verifier))
    }
  }

  const readAll: BlobReader['readAll'] = async (ids, type, take, options = {}) => {
    for (const request of await planRequests(index, ids, type, options)) {
      await orElsewhere(request, fetch(request, take, options), async wanted => {
        const rest = wanted.map(place => ids[place] as Bytes)
        await readAll(rest, type, (i, plain) => take(wanted[i] as number, plain), options)
      })
    }
  }

  const copyAll: BlobReader['copyAll'] = async (copies, target, pool) => {
    const ids = copies.map(copy => copy.id)
    const decode = async (request: BlobRequest): Promise<void> =>
      await pool.decode(await jobOf(backend, request, copies), target)
    const runs = (await planRequests(index, ids, 'dataPack', {})).map(async request => {
      await orElsewhere(request, decode(request), async wanted => {
        await copyAll(
          wanted.map(place => copies[place] as ChunkCopy),
          target,
          pool,
        )
      })
    })
    for (const run of await Promise.allSettled(runs)) if (run.status === 'rejected') throw run.reason
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

/** Where the storage keeps files of this machine, the thread reads them itself. */
const jobOf = async (
  backend: Backend,
  { pack, from, to, blobs }: BlobRequest,
  copies: readonly ChunkCopy[],
): Promise<DecodeJob> => {
  const path = backend.pathOf?.(pack.key)
  const { key, type, prelude, seal } = pack
  return {
    pack: { key, type, prelude, seal },
    from,
    length: to - from,
    ...(path === undefined ? { sealed: await backend.get(key, { offset: from, length: to - from }) } : { path }),
    blobs: blobs.map(({ ordinal, entry, wanted }) => ({
      ordinal,
      entry,
      places: (copies[wanted] as ChunkCopy).places,
    })),
  }
}
