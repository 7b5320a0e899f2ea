/**
 * The log as a ring of records. Each 512-byte block begins with the number of the turn it was written in; a record's
 * header keeps what stood there.
 *
 * @see XFS Algorithms & Data Structures, chapter "Journaling Log"; Linux fs/xfs/libxfs/xfs_log_format.h
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { crc32cRaw } from '../../format/crc32c.ts'
import { Fields } from '../../format/fields.ts'
import { blockOffset } from './inode.ts'
import type { Xfs } from './inode.ts'

const SECTOR_BYTES = 512
const MAGIC = 0xfeedbabe
const CYCLES_PER_HEADER = 64
const HEADER_SPAN_BYTES = CYCLES_PER_HEADER * SECTOR_BYTES
const EXTENDED_HEADER_BYTES = 260

/** Eight buffers of 256 KiB may be on their way at once, with their headers. */
const LOOK_BACK_SECTORS = (8 * (256 * 1024 + 8 * SECTOR_BYTES)) / SECTOR_BYTES
const MAX_RECORD_BYTES = 1024 * 1024

/** Field offsets of a record's header. */
const FIELD = {
  cycle: 4,
  length: 12,
  lsn: 16,
  tailLsn: 24,
  crc: 32,
  operations: 40,
  cycleData: 44,
  bufferBytes: 320,
} as const

export interface LogRecord {
  /** Sector of its header. */
  readonly sector: number
  readonly cycle: number
  readonly tailSector: number
  readonly operations: number
  /** With the first bytes of each sector put back. */
  readonly data: Bytes
  /** Header and data. */
  readonly sectors: number
}

export interface Log {
  readonly sectors: number
  readonly read: (sector: number, count: number) => Promise<Bytes>
  readonly isChecked: boolean
  readonly isLog2: boolean
}

export const openLog = (xfs: Xfs, options: AbortOptions): Log => {
  const { sb, disk } = xfs
  const start = blockOffset(xfs, sb.logStart, 'log')
  blockOffset(xfs, sb.logStart + Math.max(sb.logBlocks, 1) - 1, 'log')
  const sectors = (sb.logBlocks * sb.blockBytes) / SECTOR_BYTES
  if (sectors < 8) throw corrupt('log', 'some blocks', sb.logBlocks)
  return {
    sectors,
    isChecked: sb.version === 5,
    isLog2: sb.isLog2,
    async read(sector, count) {
      const bytes = new Uint8Array(count * SECTOR_BYTES)
      for (let done = 0; done < count;) {
        const at = (sector + done) % sectors
        const length = Math.min(count - done, sectors - at)
        await disk.read(
          start + at * SECTOR_BYTES,
          bytes.subarray(done * SECTOR_BYTES, (done + length) * SECTOR_BYTES),
          options,
        )
        done += length
      }
      return bytes
    },
  }
}

const cycleOf = (sector: Bytes): number => {
  const fields = new Fields(sector, 'log', 'big')
  return fields.u32(0) === MAGIC ? fields.u32(FIELD.cycle) : fields.u32(0)
}

/** The first sector of an older turn, found by halving: the newer turn is in front. */
const findHead = async (log: Log): Promise<number> => {
  const cycleAt = async (sector: number): Promise<number> => cycleOf(await log.read(sector, 1))
  const first = await cycleAt(0)
  let low = 0
  let high = log.sectors
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((await cycleAt(middle)) === first) low = middle
    else high = middle
  }
  return high % log.sectors
}

/** The newest record that is whole, or undefined when the log was never used. */
export const findLastRecord = async (log: Log): Promise<LogRecord | undefined> => {
  const head = await findHead(log)
  // What was under way at the crash lies around the head, in any order: whole records there count up to the first gap.
  for (let back = 1; back <= Math.min(LOOK_BACK_SECTORS, log.sectors); back++) {
    const record = await readRecord(log, (head - back + log.sectors) % log.sectors)
    if (record !== undefined) return await lastOfChain(log, record)
  }
  return undefined
}

const lastOfChain = async (log: Log, from: LogRecord): Promise<LogRecord> => {
  let last = from
  for (let steps = 0; steps < 64; steps++) {
    const next = await readRecord(log, (last.sector + last.sectors) % log.sectors)
    if (next === undefined || next.cycle < last.cycle) return last
    last = next
  }
  return last
}

/** The record whose header is in that sector, or undefined when there is none, or not a whole one. */
export const readRecord = async (log: Log, sector: number): Promise<LogRecord | undefined> => {
  const header = new Fields(await log.read(sector, 1), `log sector ${sector}`, 'big')
  if (header.u32(0) !== MAGIC) return undefined
  const cycle = header.u32(FIELD.cycle)
  const length = header.u32(FIELD.length)
  const lsn = header.big64(FIELD.lsn)
  if (lsn !== (BigInt(cycle) << 32n) + BigInt(sector) || length > MAX_RECORD_BYTES) return undefined
  const bufferBytes = log.isLog2 ? header.u32(FIELD.bufferBytes) : HEADER_SPAN_BYTES
  const headers = Math.min(
    Math.max(Math.ceil(bufferBytes / HEADER_SPAN_BYTES), 1),
    MAX_RECORD_BYTES / HEADER_SPAN_BYTES,
  )
  const dataSectors = Math.ceil(length / SECTOR_BYTES)
  if (headers + dataSectors > log.sectors) return undefined
  const whole = await log.read(sector, headers + dataSectors)
  const data = whole.subarray(headers * SECTOR_BYTES)
  if (log.isChecked && !isSumRight(whole.subarray(0, headers * SECTOR_BYTES), data.subarray(0, length), header))
    return undefined
  if (!putBack(whole, data, headers, cycle, sector, log)) return undefined
  return {
    sector,
    cycle,
    tailSector: Number(header.big64(FIELD.tailLsn) & 0xffffffffn),
    operations: header.u32(FIELD.operations),
    data: data.subarray(0, length),
    sectors: headers + dataSectors,
  }
}

/** Puts back what the numbers of the turn stand over; false when a sector is of another turn. */
const putBack = (whole: Bytes, data: Bytes, headers: number, cycle: number, sector: number, log: Log): boolean => {
  for (let index = 0; index * SECTOR_BYTES < data.length; index++) {
    const header = Math.floor(index / CYCLES_PER_HEADER)
    if (header >= headers) return false
    const slot = index % CYCLES_PER_HEADER
    const from = header === 0 ? FIELD.cycleData + slot * 4 : header * SECTOR_BYTES + 4 + slot * 4
    const at = index * SECTOR_BYTES
    const isNextTurn = sector + headers + index >= log.sectors
    if (new Fields(data.subarray(at, at + 4), 'log', 'big').u32(0) !== cycle + (isNextTurn ? 1 : 0)) return false
    data.set(whole.subarray(from, from + 4), at)
  }
  return true
}

/** The header's length depends on the machine that wrote it: its last field is followed by padding, or isn't. */
const isSumRight = (headers: Bytes, data: Bytes, header: Fields): boolean => {
  const stored = new Fields(header.slice(FIELD.crc, 4), 'log').u32(0)
  if (stored === 0) return true // Version 4 kept none, and mkfs doesn't either.
  return [328, 324].some(headerBytes => {
    let sum = crc32cRaw(0xffffffff, headers.subarray(0, FIELD.crc))
    sum = crc32cRaw(sum, new Uint8Array(4))
    sum = crc32cRaw(sum, headers.subarray(FIELD.crc + 4, headerBytes))
    const count = Math.min(Math.ceil(data.length / HEADER_SPAN_BYTES), headers.length / SECTOR_BYTES)
    for (let index = 1; index < count; index++)
      sum = crc32cRaw(sum, headers.subarray(index * SECTOR_BYTES, index * SECTOR_BYTES + EXTENDED_HEADER_BYTES))
    return ~crc32cRaw(sum, data) >>> 0 === stored
  })
}
