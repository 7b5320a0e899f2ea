/**
 * Snapshots of the older kind: an origin, and a store of the chunks that differ from it.
 *
 * @see Linux drivers/md/dm-snap-persistent.c
 * @module
 */
import type { AbortOptions, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import { corrupt, overLimit, unsupported } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'

const MAGIC = 0x70416e53
const SECTOR_BYTES = 512
const EXCEPTION_BYTES = 16
const MAX_CHUNK_BYTES = 2 ** 26

/** Each costs some 50 bytes of memory. */
const MAX_EXCEPTIONS = 4_000_000

/** The snapshot as a disk, as large as its origin. */
export const snapshotDisk = async (
  origin: DiskReader,
  store: DiskReader,
  where: string,
  options: AbortOptions,
): Promise<DiskReader> => {
  const header = new Uint8Array(SECTOR_BYTES)
  await store.read(0, header, options)
  const fields = new Fields(header, `${where}, snapshot store`)
  if (fields.u32(0) !== MAGIC) throw corrupt(fields.where, `magic ${MAGIC}`, fields.u32(0))
  if (fields.u32(4) === 0) throw unsupported(where, 'the snapshot is invalid: its store was full')
  if (fields.u32(8) !== 1) throw unsupported(where, `a snapshot store of version ${fields.u32(8)}`)
  const chunkBytes = fields.u32(12) * SECTOR_BYTES
  if (chunkBytes < SECTOR_BYTES || chunkBytes > MAX_CHUNK_BYTES || !Number.isInteger(Math.log2(chunkBytes)))
    throw corrupt(fields.where, 'a chunk size', chunkBytes)
  const exceptions = await readExceptions(store, chunkBytes, fields.where, options)
  return mappedDisk({
    sizeBytes: origin.sizeBytes,
    blockBytes: SECTOR_BYTES,
    where,
    locate(offset): Piece {
      const chunk = Math.floor(offset / chunkBytes)
      const skip = offset - chunk * chunkBytes
      const found = exceptions.get(chunk)
      const length = Math.min(chunkBytes - skip, origin.sizeBytes - offset)
      if (found === undefined) return { kind: 'disk', disk: origin, offset, length }
      return { kind: 'disk', disk: store, offset: found * chunkBytes + skip, length }
    },
  })
}

/** Areas of exceptions, one chunk each, before the chunks they speak of; the first empty one ends all. */
const readExceptions = async (
  store: DiskReader,
  chunkBytes: number,
  where: string,
  options: AbortOptions,
): Promise<Map<number, number>> => {
  const perArea = chunkBytes / EXCEPTION_BYTES
  const exceptions = new Map<number, number>()
  const area = new Uint8Array(chunkBytes)
  for (let chunk = 1; (chunk + 1) * chunkBytes <= store.sizeBytes; chunk += perArea + 1) {
    await store.read(chunk * chunkBytes, area, options)
    const fields = new Fields(area, where)
    for (let index = 0; index < perArea; index++) {
      const to = fields.u64(index * EXCEPTION_BYTES + 8)
      if (to === 0) return exceptions
      if ((to + 1) * chunkBytes > store.sizeBytes) throw corrupt(where, 'a chunk of the store', to)
      exceptions.set(fields.u64(index * EXCEPTION_BYTES), to)
      if (exceptions.size > MAX_EXCEPTIONS) throw overLimit(where, `${MAX_EXCEPTIONS} changed chunks`, exceptions.size)
    }
  }
  return exceptions
}
