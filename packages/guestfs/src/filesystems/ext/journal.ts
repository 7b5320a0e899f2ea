/**
 * The journal, replayed without writing: the result says from where in the journal each replayed block is read.
 *
 * All that the log holds of committed transactions is found in a first pass, revoked blocks are left out, and of
 * several copies of a block the last counts.
 *
 * @see Linux Documentation/filesystems/ext4/journal.rst. All integers are big-endian.
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { corrupt, unsupported } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { blockMapOf } from './block-map.ts'
import { inodeOf } from './ext.ts'
import type { Ext } from './ext.ts'

const MAGIC = 0xc03b3998
const BLOCK_TYPE = { descriptor: 1, commit: 2, superblock1: 3, superblock2: 4, revoke: 5 } as const
const INCOMPAT = { revoke: 1, has64Bit: 2, asyncCommit: 4, checksum2: 8, checksum3: 0x10, fastCommit: 0x20 } as const
const KNOWN_INCOMPAT = 0x3f
const TAG_FLAG = { escaped: 1, sameUuid: 2, last: 8 } as const
const DEFAULT_FAST_COMMIT_BLOCKS = 256

/** Where a replayed block is read from: its place in the journal on the volume, bytes. */
export interface ReplayedBlock {
  readonly offset: number
  /** Its first four bytes are the journal's magic number, and zeroed in the journal. */
  readonly isEscaped: boolean
}

interface Journal {
  readonly ext: Ext
  readonly read: (block: number, where: string) => Promise<{ fields: Fields; offset: number }>
  readonly first: number
  readonly end: number
  readonly start: number
  readonly sequence: number
  readonly incompat: number
  /** Seed of the journal's own checksums, or undefined. */
  readonly seed: number | undefined
}

interface Tag extends ReplayedBlock {
  readonly block: number
  readonly sequence: number
  readonly checksum: number
}

/** @returns by block number of the file system; empty when the journal is clean */
export const replayJournal = async (ext: Ext, options: AbortOptions): Promise<Map<number, ReplayedBlock>> => {
  const journal = await openJournal(ext, options)
  if (journal.start === 0) return new Map()
  const { tags, revoked } = await scan(journal, options)
  const replayed = new Map<number, ReplayedBlock>()
  for (const { block, sequence, offset, isEscaped } of tags) {
    const revokedAt = revoked.get(block)
    if (revokedAt !== undefined && ((revokedAt - sequence) | 0) >= 0) continue
    if (block < ext.sb.blocks) replayed.set(block, { offset, isEscaped })
    else ext.warnings.add('journal', `it holds block ${block}, which does not exist`)
  }
  return replayed
}

const openJournal = async (ext: Ext, options: AbortOptions): Promise<Journal> => {
  const { sb, disk } = ext
  if (sb.journalInode === 0) throw unsupported('journal', 'is on another device')
  const inode = await inodeOf(ext, sb.journalInode, options)
  const map = blockMapOf(ext, inode)
  const { blockBytes } = sb
  const read: Journal['read'] = async (block, where) => {
    const run = await map(block, options)
    if (run.kind !== 'data') throw corrupt(where, 'a block of the journal', run.kind)
    const offset = run.physical * blockBytes
    return { fields: new Fields(await disk.bytes(offset, blockBytes, where, options), where, 'big'), offset }
  }
  const { fields } = await read(0, 'journal superblock')
  const type = fields.u32(4)
  if (fields.u32(0) !== MAGIC || (type !== BLOCK_TYPE.superblock1 && type !== BLOCK_TYPE.superblock2))
    throw corrupt('journal superblock', `magic ${MAGIC} and type 3 or 4`, `${fields.u32(0)} and ${type}`)
  const incompat = type === BLOCK_TYPE.superblock1 ? 0 : fields.u32(40)
  if ((incompat & ~KNOWN_INCOMPAT) !== 0)
    throw unsupported('journal', `features 0x${incompat.toString(16)} are not known`)
  if (fields.u32(12) !== blockBytes)
    throw corrupt('journal superblock', `blocks of ${blockBytes} bytes`, fields.u32(12))
  const blocks = Math.min(fields.u32(16), Math.floor(inode.stat.sizeBytes / blockBytes))
  const hasChecksums = (incompat & (INCOMPAT.checksum2 | INCOMPAT.checksum3)) !== 0
  const journal: Journal = {
    ext,
    read,
    incompat,
    first: fields.u32(20),
    end: blocks - ((incompat & INCOMPAT.fastCommit) === 0 ? 0 : fields.u32(84) || DEFAULT_FAST_COMMIT_BLOCKS),
    sequence: fields.u32(24),
    start: fields.u32(28),
    seed: hasChecksums ? crc32cRaw(0xffffffff, fields.slice(48, 16)) : undefined,
  }
  const isSound = journal.first > 0 && journal.first < journal.end && journal.start < journal.end
  if (!isSound) throw corrupt('journal superblock', `a log from ${journal.first} to ${journal.end}`, journal.start)
  return journal
}

interface Scanned {
  readonly tags: readonly Tag[]
  /** The last transaction that revoked a block. */
  readonly revoked: ReadonlyMap<number, number>
}

/** Follows the log from its start until a block isn't the next of it; what has no commit block doesn't count. */
const scan = async (journal: Journal, options: AbortOptions): Promise<Scanned> => {
  const tags: Tag[] = []
  const revoked = new Map<number, number>()
  let pending: { tags: Tag[]; revoked: number[] } = { tags: [], revoked: [] }
  let { sequence, start: block } = journal
  const next = (from: number): number => (from + 1 >= journal.end ? journal.first : from + 1)
  for (let steps = journal.first; steps < journal.end; steps++) {
    options.signal?.throwIfAborted()
    const where = `journal block ${block}`
    const { fields } = await journal.read(block, where)
    if (fields.u32(0) !== MAGIC || fields.u32(8) !== sequence) break
    const type = fields.u32(4)
    if (type === BLOCK_TYPE.descriptor) {
      if (!isTailRight(journal, fields)) break
      for (const tag of parseTags(journal, fields)) {
        block = next(block)
        steps++
        const { fields: data, offset } = await journal.read(block, where)
        if (isDataRight(journal, tag, data, sequence)) pending.tags.push({ ...tag, sequence, offset })
        else journal.ext.warnings.add(where, `the checksum of block ${tag.block} is wrong: it is not replayed`)
      }
    } else if (type === BLOCK_TYPE.revoke) {
      if (!isTailRight(journal, fields)) break
      pending.revoked.push(...parseRevoked(journal, fields))
    } else if (type === BLOCK_TYPE.commit && isCommitRight(journal, fields)) {
      for (const tag of pending.tags) tags.push(tag)
      for (const old of pending.revoked) revoked.set(old, sequence)
      pending = { tags: [], revoked: [] }
      sequence = (sequence + 1) >>> 0
    } else break
    block = next(block)
  }
  await warnAboutFastCommits(journal, sequence)
  return { tags, revoked }
}

type ParsedTag = Pick<Tag, 'block' | 'isEscaped' | 'checksum'>

const parseTags = (journal: Journal, fields: Fields): ParsedTag[] => {
  const is3 = (journal.incompat & INCOMPAT.checksum3) !== 0
  const has64Bit = (journal.incompat & INCOMPAT.has64Bit) !== 0
  const is2 = (journal.incompat & INCOMPAT.checksum2) !== 0
  const tagBytes = is3 ? 16 : 8 + (has64Bit ? 4 : 0) + (is2 ? 2 : 0)
  const end = fields.length - (journal.seed === undefined ? 0 : 4)
  const tags: ParsedTag[] = []
  for (let at = 12; at + tagBytes <= end;) {
    const flags = is3 ? fields.u32(at + 4) : fields.u16(at + 6)
    tags.push({
      block: fields.u32(at) + (has64Bit ? fields.u32(at + 8) * 2 ** 32 : 0),
      isEscaped: (flags & TAG_FLAG.escaped) !== 0,
      checksum: is3 ? fields.u32(at + 12) : fields.u16(at + 4),
    })
    if ((flags & TAG_FLAG.last) !== 0) break
    at += tagBytes + ((flags & TAG_FLAG.sameUuid) === 0 ? 16 : 0)
  }
  return tags
}

const parseRevoked = (journal: Journal, fields: Fields): number[] => {
  const has64Bit = (journal.incompat & INCOMPAT.has64Bit) !== 0
  const end = Math.min(fields.u32(12), fields.length)
  const blocks: number[] = []
  for (let at = 16; at + (has64Bit ? 8 : 4) <= end; at += has64Bit ? 8 : 4)
    blocks.push(has64Bit ? fields.u64(at) : fields.u32(at))
  return blocks
}

/** Descriptor and revoke blocks end in a checksum of themselves. */
const isTailRight = ({ seed }: Journal, fields: Fields): boolean => {
  if (seed === undefined) return true
  const copy = fields.bytes.slice()
  copy.fill(0, copy.length - 4)
  return crc32cRaw(seed, copy) === fields.u32(fields.length - 4)
}

const isCommitRight = ({ seed }: Journal, fields: Fields): boolean => {
  if (seed === undefined) return true
  const copy = fields.bytes.slice()
  copy.fill(0, 16, 20)
  return crc32cRaw(seed, copy) === fields.u32(16)
}

const isDataRight = ({ seed, incompat }: Journal, tag: ParsedTag, data: Fields, sequence: number): boolean => {
  if (seed === undefined) return true
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, sequence, false)
  const sum = crc32cRaw(crc32cRaw(seed, number), data.bytes)
  return tag.checksum === ((incompat & INCOMPAT.checksum3) === 0 ? sum & 0xffff : sum)
}

/** Fast commits stand behind the log, little-endian, and count only when they follow its last transaction. */
const warnAboutFastCommits = async (journal: Journal, sequence: number): Promise<void> => {
  if ((journal.incompat & INCOMPAT.fastCommit) === 0) return
  const { fields } = await journal.read(journal.end, 'fast commit area')
  const head = new Fields(fields.bytes, 'fast commit area')
  const FAST_COMMIT_HEAD = 9
  if (head.u16(0) === FAST_COMMIT_HEAD && head.u32(8) === sequence)
    journal.ext.warnings.add(
      'journal',
      'fast commits after the last full one are not replayed: the newest changes are missing',
    )
}
