/** Opens a file system of the FAT family. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt } from '../../errors.ts'
import { findFolded } from '../../find-folded.ts'
import { treeOf } from '../../tree-of.ts'
import type { FileNode, FileSystem, FileTree, Stat } from '../../tree.ts'
import type { OpenTreeOptions } from '../../volume.ts'
import { WarningLog } from '../../warnings.ts'
import { fatHeap } from './allocation-table.ts'
import { BOOT_SECTOR_BYTES, readBootSector } from './boot-sector.ts'
import { chainContent } from './cluster-chain.ts'
import { ATTRIBUTE, readDirectory } from './directory.ts'
import type { Fat, FatEntry } from './directory.ts'
import { dosTime } from './dos-time.ts'

/** Directories are known by their first cluster, so that a loop of them is seen; files by the place of their entry. */
interface FatNode extends FileNode {
  readonly firstCluster: number
  readonly stat: Stat
}

const ROOT_INO = 1
const FIRST_FILE_INO = 2 ** 32

/** @throws GranaryError `GRANARY_CORRUPT` */
export const openFat = async (disk: DiskReader, options: OpenTreeOptions): Promise<FileTree> => {
  const fat = await mountFat(new CachedDisk(disk), new WarningLog(), options)
  const root = rootOf(fat)
  const fileSystem: FileSystem<FatNode> = {
    name: 'vfat',
    root,
    async *list(dir, abort) {
      for await (const entry of readDirectory(fat, dir.firstCluster, abort)) {
        if ((entry.attributes & ATTRIBUTE.volumeLabel) !== 0) continue
        const node = nodeOf(fat, entry)
        yield { name: entry.name, type: node.stat.type, node }
      }
    },
    stat: async node => node.stat,
    content: async ({ firstCluster, stat: { sizeBytes } }) => contentOf(fat, firstCluster, sizeBytes),
    find: async (dir, name, abort) => await findFolded(fileSystem.list(dir, abort), name),
    dispose: async () => await fat.disk[Symbol.asyncDispose](),
  }
  return treeOf(fileSystem, fat.warnings)
}

export const mountFat = async (
  disk: CachedDisk,
  warnings: WarningLog,
  { codePage = 'cp437', signal }: OpenTreeOptions & AbortOptions,
): Promise<Fat> => {
  const geometry = readBootSector(await disk.bytes(0, BOOT_SECTOR_BYTES, 'FAT boot sector', { signal }))
  if (geometry === undefined) throw corrupt('FAT boot sector', 'a boot sector', 'something else')
  if (geometry.bits === 32 && geometry.rootCluster < 2)
    throw corrupt('FAT boot sector', 'a root cluster of at least 2', geometry.rootCluster)
  if (geometry.totalBytes > disk.sizeBytes)
    warnings.add(
      'FAT boot sector',
      `the file system has ${geometry.totalBytes} bytes, its volume only ${disk.sizeBytes}`,
    )
  return { geometry, disk, warnings, codePage, heap: fatHeap(disk, geometry) }
}

const rootOf = ({ geometry: { rootCluster, rootBytes } }: Fat): FatNode => ({
  ino: ROOT_INO,
  firstCluster: rootCluster,
  stat: { type: 'dir', ino: ROOT_INO, sizeBytes: rootBytes, nlink: 1, isLocalTime: true },
})

const nodeOf = ({ geometry }: Fat, { fields, attributes, offset }: FatEntry): FatNode => {
  const isDirectory = (attributes & ATTRIBUTE.directory) !== 0
  // The upper half means something else before FAT32.
  const cluster = fields.u16(26) + (geometry.bits === 32 ? (fields.u16(20) & 0x0fff) * 65_536 : 0)
  const isRoot = isDirectory && (cluster === 0 || cluster === geometry.rootCluster)
  const fileIno = FIRST_FILE_INO + offset / 32
  const ino = isRoot ? ROOT_INO : isDirectory ? cluster : fileIno
  const mtime = dosTime(fields.u16(24), fields.u16(22))
  const atime = dosTime(fields.u16(18), 0)
  const btime = dosTime(fields.u16(16), fields.u16(14), fields.u8(13))
  return {
    ino,
    firstCluster: isRoot ? geometry.rootCluster : cluster,
    stat: {
      type: isDirectory ? 'dir' : 'file',
      ino,
      sizeBytes: isDirectory ? 0 : fields.u32(28),
      nlink: 1,
      isLocalTime: true,
      dosAttributes: attributes,
      ...(mtime === undefined ? {} : { mtime }),
      ...(atime === undefined ? {} : { atime }),
      ...(btime === undefined ? {} : { btime }),
    },
  }
}

const contentOf = (fat: Fat, firstCluster: number, sizeBytes: number): DiskReader => {
  const where = `file at cluster ${firstCluster}`
  if (sizeBytes > 0) return chainContent({ heap: fat.heap, firstCluster, sizeBytes, where })
  return mappedDisk({ sizeBytes: 0, blockBytes: 1, where, locate: () => ({ kind: 'hole', length: 1 }) })
}
