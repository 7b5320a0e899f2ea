/** Turns wanted blobs into requests: those that lie side by side in a pack come with one. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { hexOfId } from '../format/ids.ts'
import type { FoundBlob, RepositoryIndex } from '../index/repository-index.ts'
import type { PackEntry, PackType } from '../packs/pack-format.ts'

/** Most bytes of one request. */
const REQUEST_BYTES = 4 * 1024 * 1024

/** Bytes between two wanted blobs that are read rather than asked for apart. */
const GAP_BYTES = 64 * 1024

/** Blobs of one pack that one request brings; `wanted` is their place in what was asked. */
export interface BlobRequest {
  readonly pack: FoundBlob['pack']
  readonly from: number
  to: number
  readonly blobs: { readonly ordinal: number; readonly entry: PackEntry; readonly wanted: number }[]
}

/** @throws GranaryError `GRANARY_CORRUPT` when a blob is in no pack */
export const planRequests = async (
  index: RepositoryIndex,
  ids: readonly Bytes[],
  type: PackType,
  options: AbortOptions,
): Promise<BlobRequest[]> => {
  const found = await Promise.all(
    ids.map(async (id, wanted) => {
      const { pack, ordinal } = await locate(index, id, type, options)
      return { pack, ordinal, entry: pack.entries[ordinal] as PackEntry, wanted }
    }),
  )
  found.sort((a, b) => {
    if (a.pack.key === b.pack.key) return a.entry.offset - b.entry.offset
    return a.pack.key < b.pack.key ? -1 : 1
  })
  const requests: BlobRequest[] = []
  for (const { pack, ...blob } of found) {
    const { offset, sealedLength } = blob.entry
    const end = offset + sealedLength
    const last = requests.at(-1)
    if (last?.pack === pack && offset - last.to <= GAP_BYTES && end - last.from <= REQUEST_BYTES) {
      last.to = Math.max(last.to, end)
      last.blobs.push(blob)
    } else requests.push({ pack, from: offset, to: end, blobs: [blob] })
  }
  return requests
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
