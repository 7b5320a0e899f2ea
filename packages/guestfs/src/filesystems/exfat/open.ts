/** Opens an exFAT file system. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { findFolded } from '../../find-folded.ts'
import type { Fields } from '../../format/fields.ts'
import { treeOf } from '../../tree-of.ts'
import type { FileNode, FileSystem, FileTree, Stat } from '../../tree.ts'
import { WarningLog } from '../../warnings.ts'
import { chainContent } from '../fat/cluster-chain.ts'
import type { ClusterHeap } from '../fat/cluster-chain.ts'
import { dosTime } from '../fat/dos-time.ts'
import { BOOT_SECTOR_BYTES, bootChecksum, readBootSector } from './boot-sector.ts'
import type { ExfatGeometry } from './boot-sector.ts'
import { readDirectory } from './directory.ts'
import type { ExfatEntry, ExfatExtent } from './directory.ts'

const DIRECTORY_ATTRIBUTE = 0x10
const ROOT_INO = 1
const FIRST_FILE_INO = 2 ** 32
const END_OF_CHAIN = 0xffffffff
const BAD_CLUSTER = 0xfffffff7

/** Directories are known by their first cluster, so that a loop of them is seen; files by the place of their entry. */
interface ExfatNode extends FileNode, ExfatExtent {
  /** Of the entry; the root has none. */
  readonly fields?: Fields
  readonly isDirectory: boolean
}

export interface Exfat {
  readonly geometry: ExfatGeometry
  readonly heap: ClusterHeap
  readonly warnings: WarningLog
  readonly root: ExfatNode
}

/** @throws GranaryError `GRANARY_CORRUPT` */
export const openExfat = async (disk: DiskReader, options: AbortOptions): Promise<FileTree> => {
  const { heap, warnings, root } = await mountExfat(new CachedDisk(disk), new WarningLog(), options)
  const fileSystem: FileSystem<ExfatNode> = {
    name: 'exfat',
    root,
    async *list(dir, abort) {
      for await (const entry of readDirectory(heap, warnings, dir, abort)) {
        const node = nodeOf(entry, root)
        yield { name: entry.name, type: node.isDirectory ? 'dir' : 'file', node }
      }
    },
    stat: async node => statOf(node),
    content: async (file, { sizeBytes }) => contentOf(heap, file, sizeBytes),
    find: async (dir, name, abort) => await findFolded(fileSystem.list(dir, abort), name),
    dispose: async () => await heap.disk[Symbol.asyncDispose](),
  }
  return treeOf(fileSystem, warnings)
}

export const mountExfat = async (disk: CachedDisk, warnings: WarningLog, options: AbortOptions): Promise<Exfat> => {
  const where = 'exFAT boot sector'
  const geometry = readBootSector(await disk.bytes(0, BOOT_SECTOR_BYTES, where, options))
  const { sectorBytes, totalBytes } = geometry
  if (totalBytes > disk.sizeBytes)
    warnings.add(where, `the file system has ${totalBytes} bytes, its volume only ${disk.sizeBytes}`)
  const region = await disk.bytes(0, 12 * sectorBytes, where, options)
  const stored = new DataView(region.buffer, region.byteOffset).getUint32(11 * sectorBytes, true)
  if (bootChecksum(region.subarray(0, 11 * sectorBytes)) !== stored)
    warnings.add(where, 'the checksum of the boot region is wrong')
  const root: ExfatNode = {
    ino: ROOT_INO,
    isDirectory: true,
    firstCluster: geometry.rootCluster,
    isContiguous: false,
    dataBytes: BigInt(Number.MAX_SAFE_INTEGER),
    validBytes: BigInt(Number.MAX_SAFE_INTEGER),
  }
  return { geometry, heap: heapOf(disk, geometry), warnings, root }
}

const heapOf = (disk: CachedDisk, { heapOffset, clusterBytes, clusters, tableOffset }: ExfatGeometry): ClusterHeap => ({
  disk,
  offset: heapOffset,
  clusterBytes,
  clusters,
  async next(cluster, where, options) {
    const entry = await disk.bytes(tableOffset + cluster * 4, 4, 'file allocation table', options)
    const value = new DataView(entry.buffer, entry.byteOffset).getUint32(0, true)
    if (value === END_OF_CHAIN) return undefined
    if (value < 2 || value >= BAD_CLUSTER) throw corrupt(where, `a cluster after ${cluster}`, value)
    return value
  },
})

const nodeOf = ({ fields, offset, ...entry }: ExfatEntry, root: ExfatNode): ExfatNode => {
  const { firstCluster, isContiguous, dataBytes, validBytes } = entry
  const isDirectory = (fields.u16(4) & DIRECTORY_ATTRIBUTE) !== 0
  const isRoot = isDirectory && firstCluster === root.firstCluster
  // An empty directory may have no cluster, and then no loop begins at it.
  const isKnownByCluster = isDirectory && firstCluster >= 2
  const ino = isRoot ? ROOT_INO : isKnownByCluster ? firstCluster : FIRST_FILE_INO + offset / 32
  return { firstCluster, isContiguous, dataBytes, validBytes, ino, isDirectory, fields }
}

const statOf = ({ ino, isDirectory, dataBytes, fields }: ExfatNode): Stat => {
  const common = { type: isDirectory ? 'dir' : 'file', ino, nlink: 1 } as const
  if (fields === undefined) return { ...common, sizeBytes: 0 }
  if (dataBytes > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(fields.where, 'a size below 2^53', dataBytes)
  const btime = timeOf(fields, 8, 20, 22)
  const mtime = timeOf(fields, 12, 21, 23)
  const atime = timeOf(fields, 16, undefined, 24)
  return {
    ...common,
    sizeBytes: Number(dataBytes),
    dosAttributes: fields.u16(4),
    ...((fields.u8(23) & 0x80) === 0 ? { isLocalTime: true as const } : {}),
    ...(btime === undefined ? {} : { btime }),
    ...(mtime === undefined ? {} : { mtime }),
    ...(atime === undefined ? {} : { atime }),
  }
}

const QUARTER_HOUR_NANOSECONDS = 15n * 60n * 1_000_000_000n

/** A local time, and where its highest bit is set the offset of the zone from UTC in quarters of an hour. */
const timeOf = (fields: Fields, offset: number, hundredths: number | undefined, zone: number): bigint | undefined => {
  const local = dosTime(
    fields.u16(offset + 2),
    fields.u16(offset),
    hundredths === undefined ? 0 : fields.u8(hundredths),
  )
  const byte = fields.u8(zone)
  if (local === undefined || (byte & 0x80) === 0) return local
  return local - BigInt(((byte & 0x7f) << 25) >> 25) * QUARTER_HOUR_NANOSECONDS
}

const contentOf = (heap: ClusterHeap, file: ExfatNode, sizeBytes: number): DiskReader => {
  const { firstCluster, isContiguous, validBytes } = file
  const where = file.fields?.where ?? 'file'
  if (sizeBytes === 0)
    return mappedDisk({ sizeBytes, blockBytes: 1, where, locate: () => ({ kind: 'hole', length: 1 }) })
  if (validBytes > BigInt(sizeBytes)) throw corrupt(where, `at most ${sizeBytes} valid bytes`, validBytes)
  return chainContent({ heap, firstCluster, sizeBytes, isContiguous, validBytes: Number(validBytes), where })
}
