/**
 * Replays the log without writing: changes are kept in memory.
 *
 * All committed transactions from the tail on are applied in their order. A block that is already newer on the disk
 * ends up the same, as whatever was changed in it since is in the log too; blocks that were given back in between are
 * left out until then, as the log says which.
 *
 * @see Linux fs/xfs/xfs_log_recover.c, xfs_buf_item_recover.c, xfs_inode_item_recover.c
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { Patches } from '../../disk/patched-disk.ts'
import { corrupt } from '../../errors.ts'
import { crc32c } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import type { Xfs } from './inode.ts'
import { diskCore, sealInode } from './log-inode.ts'
import { findLastRecord, openLog, readRecord } from './log-records.ts'
import type { Log, LogRecord } from './log-records.ts'
import { TransactionReader, isUnmount } from './log-transactions.ts'
import type { LogItem } from './log-transactions.ts'

const SECTOR_BYTES = 512
const ITEM = { inode: 0x123b, buffer: 0x123c, mapIntent: 0x1244, mapDone: 0x1245 } as const
const BUFFER_FLAG = { inodes: 0x1, cancel: 0x2, quota: 0x4 | 0x8 | 0x10 } as const
const BUFFER_UNIT_BYTES = 128
const MAX_BUFFER_SECTORS = 128
const INODE_FIELD = {
  dataLocal: 0x2,
  dataExtents: 0x4,
  dataRoot: 0x8,
  device: 0x10,
  attrLocal: 0x40,
  attrExtents: 0x80,
  attrRoot: 0x100,
} as const
const DATA_FIELDS = INODE_FIELD.dataLocal | INODE_FIELD.dataExtents | INODE_FIELD.dataRoot
const ATTR_FIELDS = INODE_FIELD.attrLocal | INODE_FIELD.attrExtents | INODE_FIELD.attrRoot

/** The volume as it is after the replay, or undefined when there is nothing to replay. */
export const replayLog = async (xfs: Xfs, disk: DiskReader, options: AbortOptions): Promise<DiskReader | undefined> => {
  if (xfs.sb.logStart === 0) {
    xfs.warnings.add('log', 'it is on another device: what it holds is not replayed')
    return undefined
  }
  const log = openLog(xfs, options)
  const last = await findLastRecord(log)
  if (last === undefined || isUnmount(last)) return undefined
  const replay: Replay = {
    xfs,
    patches: new Patches(disk),
    cancelled: new Map(),
    intents: new Set(),
    touched: new Map(),
  }
  await eachItem(log, last, options, async item => noteCancelled(replay, item))
  await eachItem(log, last, options, async item => await applyItem(replay, item, options))
  for (const [sector, sectors] of replay.touched) await sealBuffer(replay, sector, sectors, options)
  if (replay.intents.size > 0)
    xfs.warnings.add('log', `${replay.intents.size} changes of file mappings were under way, and are not finished here`)
  return replay.patches.isEmpty ? undefined : replay.patches.disk()
}

interface Replay {
  readonly xfs: Xfs
  readonly patches: Patches
  /** How often each buffer, by its first sector, was given back after a change in the log. */
  readonly cancelled: Map<number, number>
  readonly intents: Set<bigint>
  /** Buffers that were changed: first sector and length. */
  readonly touched: Map<number, number>
}

const eachItem = async (
  log: Log,
  last: LogRecord,
  options: AbortOptions,
  apply: (item: LogItem) => Promise<void>,
): Promise<void> => {
  const reader = new TransactionReader()
  let sector = last.tailSector
  for (let passed = 0; passed <= log.sectors;) {
    options.signal?.throwIfAborted()
    const record = await readRecord(log, sector)
    if (record === undefined) throw corrupt(`log sector ${sector}`, 'a record', 'none, or a damaged one')
    for (const items of reader.read(record)) for (const item of items) await apply(item)
    if (sector === last.sector) return
    sector = (sector + record.sectors) % log.sectors
    passed += record.sectors
  }
  throw corrupt('log', 'its last record', 'a whole turn without it')
}

const typeOf = ({ regions: [first] }: LogItem): number => new Fields(first as Bytes, 'log item').u16(0)

/** What a buffer item says of itself. */
const bufferFormat = ({
  regions: [first],
}: LogItem): { flags: number; sector: number; sectors: number; map: Fields; words: number } => {
  const format = new Fields(first as Bytes, 'log, change of a buffer')
  const words = format.u32(16)
  return {
    flags: format.u16(4),
    sectors: format.u16(6),
    sector: format.u64(8),
    words,
    map: new Fields(format.slice(20, words * 4), format.where),
  }
}

const noteCancelled = (replay: Replay, item: LogItem): void => {
  if (typeOf(item) !== ITEM.buffer) return
  const { flags, sector } = bufferFormat(item)
  if ((flags & BUFFER_FLAG.cancel) !== 0) replay.cancelled.set(sector, (replay.cancelled.get(sector) ?? 0) + 1)
}

const applyItem = async (replay: Replay, item: LogItem, options: AbortOptions): Promise<void> => {
  switch (typeOf(item)) {
    case ITEM.buffer:
      return await applyBuffer(replay, item, options)
    case ITEM.inode:
      return await applyInode(replay, item, options)
    case ITEM.mapIntent:
      replay.intents.add(new Fields(item.regions[0] as Bytes, 'log').big64(8))
      return
    case ITEM.mapDone:
      replay.intents.delete(new Fields(item.regions[0] as Bytes, 'log').big64(8))
  }
}

const applyBuffer = async (
  { cancelled, patches, touched }: Replay,
  item: LogItem,
  options: AbortOptions,
): Promise<void> => {
  const { flags, sector, sectors, map, words } = bufferFormat(item)
  const waiting = cancelled.get(sector) ?? 0
  if ((flags & BUFFER_FLAG.cancel) !== 0) {
    if (waiting > 1) cancelled.set(sector, waiting - 1)
    else cancelled.delete(sector)
    return
  }
  // Of buffers of inodes only the list of unlinked ones is logged so, which no reader needs.
  if (waiting > 0 || (flags & (BUFFER_FLAG.inodes | BUFFER_FLAG.quota)) !== 0) return
  touched.set(sector, sectors)
  let region = 1
  for (let bit = 0; bit < words * 32;) {
    if (!isSet(map, bit)) {
      bit++
      continue
    }
    let end = bit + 1
    while (end < words * 32 && isSet(map, end)) end++
    const bytes = item.regions[region++]
    const length = (end - bit) * BUFFER_UNIT_BYTES
    if (bytes === undefined || bytes.length < length)
      throw corrupt(map.where, `a region of ${length} bytes`, bytes?.length ?? 'none')
    if (end * BUFFER_UNIT_BYTES > sectors * SECTOR_BYTES)
      throw corrupt(map.where, `a change inside ${sectors} sectors`, end)
    await patches.write(sector * SECTOR_BYTES + bit * BUFFER_UNIT_BYTES, bytes.subarray(0, length), options)
    bit = end
  }
}

/** Where blocks of version 5 keep their checksum, by their first four bytes, or bytes 8 and 9, as hex. */
const SUM_OFFSETS: Readonly<Record<string, number>> = {
  '58465342': 224,
  '58444233': 4,
  '58444433': 4,
  '424d4133': 64,
  '3bee': 12,
  '3ebe': 12,
}

/** Checksums aren't logged: whoever writes a block makes them. */
const sealBuffer = async (
  { patches, xfs }: Replay,
  sector: number,
  sectors: number,
  options: AbortOptions,
): Promise<void> => {
  if (xfs.sb.version === 4 || sectors === 0 || sectors > MAX_BUFFER_SECTORS) return
  const block = new Uint8Array(sectors * SECTOR_BYTES)
  await patches.read(sector * SECTOR_BYTES, block, options)
  const magic = Buffer.from(block.subarray(0, 10)).toString('hex')
  const at = SUM_OFFSETS[magic.slice(0, 8)] ?? SUM_OFFSETS[magic.slice(16)]
  if (at === undefined) return
  block.fill(0, at, at + 4)
  const sum = new Uint8Array(4)
  new DataView(sum.buffer).setUint32(0, crc32c(block), true)
  await patches.write(sector * SECTOR_BYTES + at, sum, options)
}

const isSet = (map: Fields, bit: number): boolean => ((map.u32((bit >>> 5) * 4) >>> (bit & 31)) & 1) === 1

const applyInode = async (replay: Replay, item: LogItem, options: AbortOptions): Promise<void> => {
  const { patches, xfs } = replay
  const [first, logged, ...forks] = item.regions
  const format = new Fields(first as Bytes, 'log, change of an inode')
  // Machines with 32 bits write the same without padding.
  const shift = format.length >= 56 ? 4 : 0
  const fields = format.u32(4)
  const sector = format.u64(36 + shift)
  if ((replay.cancelled.get(sector) ?? 0) > 0 || logged === undefined) return
  if (logged.length < 96) throw corrupt(format.where, 'an inode', `${logged.length} bytes`)
  const offset = sector * SECTOR_BYTES + format.u32(48 + shift)
  const inode = new Uint8Array(xfs.sb.inodeBytes)
  await patches.read(offset, inode, options)
  const core = diskCore(logged)
  // The list of unlinked inodes is kept by changes of buffers.
  core.set(inode.subarray(96, 100), 96)
  inode.set(core)
  const start = core.length > 100 ? 176 : 100
  const split = (inode[82] as number) * 8
  const dataBytes = split === 0 ? inode.length - start : split
  if (start + dataBytes > inode.length) throw corrupt(format.where, `a fork inside ${inode.length} bytes`, split)
  if ((fields & INODE_FIELD.device) !== 0)
    inode.set(
      format
        .slice(20 + shift, 4)
        .slice()
        .reverse(),
      start,
    )
  const data = (fields & DATA_FIELDS) === 0 ? undefined : forks.shift()
  if (data !== undefined)
    setFork(xfs, inode.subarray(start, start + dataBytes), data, (fields & INODE_FIELD.dataRoot) !== 0, format.where)
  const attributes = (fields & ATTR_FIELDS) === 0 ? undefined : forks.shift()
  if (attributes !== undefined)
    setFork(xfs, inode.subarray(start + dataBytes), attributes, (fields & INODE_FIELD.attrRoot) !== 0, format.where)
  sealInode(inode)
  await patches.write(offset, inode, options)
}

const setFork = ({ sb }: Xfs, target: Bytes, logged: Bytes, isRoot: boolean, where: string): void => {
  if (!isRoot) {
    if (logged.length > target.length) throw corrupt(where, `a fork of at most ${target.length} bytes`, logged.length)
    target.set(logged)
    return
  }
  // In memory a root has the header of a block; on disk level and count alone.
  const header = sb.version === 5 ? 72 : 24
  const root = new Fields(logged, where, 'big')
  const records = root.u16(6)
  const from = header + Math.floor((logged.length - header) / 16) * 8
  const to = 4 + Math.floor((target.length - 4) / 16) * 8
  if (to + records * 8 > target.length) throw corrupt(where, `a root inside ${target.length} bytes`, records)
  target.set(root.slice(4, 4))
  target.set(root.slice(header, records * 8), 4)
  target.set(root.slice(from, records * 8), to)
}
