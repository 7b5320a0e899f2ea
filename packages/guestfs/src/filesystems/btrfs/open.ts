/** Opens a btrfs file system: the tree shows the top-level subvolume, others as directories in it. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { treeOf } from '../../tree-of.ts'
import type { FileSystem, FileTree } from '../../tree.ts'
import { WarningLog } from '../../warnings.ts'
import { subvolumeOf } from './btrfs.ts'
import type { Btrfs } from './btrfs.ts'
import { ChunkMap, logicalDisk, readChunk } from './chunks.ts'
import { fileContent } from './file-content.ts'
import { replayLog } from './log/replay-log.ts'
import { SUPERBLOCK_BYTES, SUPERBLOCK_OFFSETS, isBtrfs, readSuperblock } from './superblock.ts'
import type { Superblock } from './superblock.ts'
import { listDirectory, readTarget, statOf, xattrsOf } from './subvolume.ts'
import { listSubvolumes } from './subvolume-list.ts'
import type { BtrfsNode } from './subvolume.ts'
import type { TreeStore } from './tree-node.ts'
import { itemsFrom } from './tree-reader.ts'

const CHUNK_ITEM = 228
const FIRST_CHUNK_OBJECT = 256n
const TOP_SUBVOLUME = 5
const TOP_INODE = 256
const CRC32C = 0

/** @param peers other devices of the same file system @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` */
export const openBtrfs = async (
  disk: DiskReader,
  options: AbortOptions,
  peers: readonly DiskReader[],
): Promise<FileTree> => {
  const warnings = new WarningLog()
  const btrfs = await mountBtrfs(disk, peers, warnings, options)
  const fileSystem: FileSystem<BtrfsNode> = {
    name: 'btrfs',
    root: { ino: TOP_INODE, subvolume: TOP_SUBVOLUME },
    list: (dir, abort) => listDirectory(btrfs, dir, abort),
    stat: async (node, abort) => await statOf(btrfs, node, abort),
    content: async (file, { sizeBytes }, abort) =>
      fileContent(btrfs, (await subvolumeOf(btrfs, file.subvolume, abort)).root, file.ino, sizeBytes),
    readlink: async (link, abort) => await readTarget(btrfs, link, abort),
    xattrs: async (node, abort) => await xattrsOf(btrfs, node, abort),
    subvolumes: async abort => await listSubvolumes(btrfs, abort),
    dispose: async () => await btrfs.store.disk[Symbol.asyncDispose](),
  }
  await fileSystem.stat(fileSystem.root, options)
  return treeOf(fileSystem, warnings)
}

/** The newest of the superblock and its copies. */
export const bestSuperblock = async (
  disk: DiskReader,
  warnings: WarningLog,
  options: AbortOptions,
): Promise<Superblock | undefined> => {
  let best: Superblock | undefined
  let problem: unknown
  for (const offset of SUPERBLOCK_OFFSETS) {
    if (offset + SUPERBLOCK_BYTES > disk.sizeBytes) break
    const bytes = new Uint8Array(SUPERBLOCK_BYTES)
    try {
      await disk.read(offset, bytes, options)
      if (!isBtrfs(bytes)) continue
      const found = readSuperblock(bytes, offset, warnings)
      if (best === undefined || found.generation > best.generation) best = found
    } catch (error) {
      options.signal?.throwIfAborted()
      problem ??= error
      warnings.addError(`btrfs superblock at ${offset}`, error)
    }
  }
  if (best === undefined && problem !== undefined) throw problem
  return best
}

const mountBtrfs = async (
  disk: DiskReader,
  peers: readonly DiskReader[],
  warnings: WarningLog,
  options: AbortOptions,
): Promise<Btrfs> => {
  const where = 'btrfs superblock'
  const sb = await bestSuperblock(disk, warnings, options)
  if (sb === undefined) throw corrupt(where, 'a superblock', 'none')
  const devices = new Map([[sb.deviceId, disk]])
  for (const peer of peers) {
    const other = await bestSuperblock(peer, warnings, options)
    if (other !== undefined && !devices.has(other.deviceId)) devices.set(other.deviceId, peer)
  }
  if (devices.size < sb.devices) warnings.add(where, `${devices.size} of ${sb.devices} devices are here`)
  if (sb.devices === 1 && sb.totalBytes > disk.sizeBytes)
    warnings.add(where, `the file system has ${sb.totalBytes} bytes, its volume only ${disk.sizeBytes}`)
  const chunks = new ChunkMap()
  const store: TreeStore = {
    disk: new CachedDisk(logicalDisk(chunks, devices)),
    nodeBytes: sb.nodeBytes,
    isCrc32c: sb.checksumType === CRC32C,
    warnings,
  }
  readSystemChunks(sb, chunks)
  const chunkTree = { address: sb.chunkTree, level: sb.chunkLevel, where: 'chunk tree' }
  const first = { object: FIRST_CHUNK_OBJECT, type: CHUNK_ITEM, offset: 0n }
  for await (const { key, data } of itemsFrom(store, chunkTree, first, options)) {
    if (key.type === CHUNK_ITEM && key.object === FIRST_CHUNK_OBJECT)
      chunks.add(readChunk(data, 0, Number(key.offset)).chunk)
  }
  const btrfs: Btrfs = {
    sb,
    store,
    rootTree: { address: sb.rootTree, level: sb.rootLevel, where: 'root tree' },
    subvolumes: new Map(),
  }
  if (sb.logTree !== 0) await tryReplay(btrfs, options)
  return btrfs
}

/** A log that can't be replayed is left out, and told of. */
const tryReplay = async (btrfs: Btrfs, options: AbortOptions): Promise<void> => {
  try {
    await replayLog(btrfs, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    const { warnings } = btrfs.store
    warnings.addError('log tree', error)
    warnings.add(
      'log tree',
      'it is not replayed: what was synced in the last half minute before the snapshot is missing',
    )
  }
}

const readSystemChunks = ({ systemChunks }: Superblock, chunks: ChunkMap): void => {
  const fields = new Fields(systemChunks, 'btrfs superblock, chunks')
  for (let at = 0; at < fields.length;) {
    const { chunk, bytes } = readChunk(fields, at + 17, fields.u64(at + 9))
    chunks.add(chunk)
    at += 17 + bytes
  }
}
