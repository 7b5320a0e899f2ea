/** The content of an attribute as a disk: in its record, in clusters, sparse or compressed. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import { decompressLznt1 } from '../../format/lznt1.ts'
import type { Attribute, Ntfs } from './record.ts'
import { runAt } from './runs.ts'
import type { Run } from './runs.ts'

const FLAG = { compressed: 0xff, encrypted: 0x4000 } as const

export const attributeContent = (ntfs: Ntfs, attribute: Attribute, where: string): DiskReader => {
  const { value, runs = [], sizeBytes, flags } = attribute
  if ((flags & FLAG.encrypted) !== 0)
    throw unsupported(where, 'is encrypted by EFS', 'only the guest has the key: restore the whole disk')
  if (value !== undefined) {
    return mappedDisk({
      sizeBytes,
      blockBytes: 1,
      where,
      locate: offset => ({ kind: 'bytes', length: sizeBytes - offset, bytes: value.subarray(offset) }),
    })
  }
  const unit = (flags & FLAG.compressed) === 0 ? 0 : attribute.compressionUnit
  if (unit > 8) throw corrupt(where, 'a compression unit of at most 256 clusters', unit)
  const locate = unit === 0 ? plain : compressed(2 ** unit)
  const initialized = Math.min(attribute.initializedBytes, sizeBytes)
  return mappedDisk({
    sizeBytes,
    blockBytes: 1,
    where,
    asksBelow: false,
    maxDataBytes: ntfs.disk.sizeBytes * 64,
    locate(offset): Piece {
      if (offset >= initialized) return { kind: 'zero', length: sizeBytes - offset }
      const piece = locate(ntfs, runs, offset, where)
      return { ...piece, length: Math.min(piece.length, initialized - offset) }
    },
  })
}

const missing = (where: string, cluster: number): Piece => ({
  kind: 'missing',
  length: Number.MAX_SAFE_INTEGER,
  reason: () => corrupt(where, `cluster ${cluster}`, 'the end of its runs'),
})

const diskPiece = ({ disk, clusterBytes, clusters }: Ntfs, run: Run, skip: number, where: string): Piece => {
  const length = run.length * clusterBytes - skip
  if (run.lcn === undefined) return { kind: 'hole', length }
  if (run.lcn + run.length > clusters) throw corrupt(where, `clusters below ${clusters}`, `${run.lcn}+${run.length}`)
  return { kind: 'disk', length, disk, offset: run.lcn * clusterBytes + skip }
}

const plain = (ntfs: Ntfs, runs: readonly Run[], offset: number, where: string): Piece => {
  const cluster = Math.floor(offset / ntfs.clusterBytes)
  const run = runAt(runs, cluster)
  return run === undefined ? missing(where, cluster) : diskPiece(ntfs, run, offset - run.vcn * ntfs.clusterBytes, where)
}

/** A unit whose clusters are all there is stored as it is; one with none is zeros; any other is compressed. */
const compressed =
  (unitClusters: number) =>
  (ntfs: Ntfs, runs: readonly Run[], offset: number, where: string): Piece => {
    const unitBytes = unitClusters * ntfs.clusterBytes
    const first = Math.floor(offset / unitBytes) * unitClusters
    const skip = offset - first * ntfs.clusterBytes
    const length = unitBytes - skip
    const own = clustersOf(runs, first, first + unitClusters)
    const allocated = own.filter(({ lcn }) => lcn !== undefined)
    const count = allocated.reduce((sum, run) => sum + run.length, 0)
    if (own.length === 0) return missing(where, first)
    if (count === 0) return { kind: 'hole', length }
    if (count === unitClusters) {
      const piece = plain(ntfs, runs, offset, where)
      return { ...piece, length: Math.min(piece.length, length) }
    }
    const make = async (options: AbortOptions): Promise<Bytes> =>
      (await readUnit(ntfs, allocated, { unitBytes, where }, options)).subarray(skip)
    return { kind: 'made', length, make }
  }

const clustersOf = (runs: readonly Run[], from: number, to: number): Run[] => {
  const own: Run[] = []
  for (let vcn = from; vcn < to;) {
    const run = runAt(runs, vcn)
    if (run === undefined) return own
    const length = Math.min(run.vcn + run.length, to) - vcn
    own.push({ vcn, length, lcn: run.lcn === undefined ? undefined : run.lcn + vcn - run.vcn })
    vcn += length
  }
  return own
}

const readUnit = async (
  ntfs: Ntfs,
  runs: readonly Run[],
  { unitBytes, where }: { unitBytes: number; where: string },
  options: AbortOptions,
): Promise<Bytes> => {
  const packed = new Uint8Array(runs.reduce((sum, { length }) => sum + length, 0) * ntfs.clusterBytes)
  let done = 0
  for (const run of runs) {
    const piece = diskPiece(ntfs, run, 0, where)
    if (piece.kind === 'disk') await piece.disk.read(piece.offset, packed.subarray(done, done + piece.length), options)
    done += piece.length
  }
  return decompressLznt1(packed, unitBytes, where)
}
