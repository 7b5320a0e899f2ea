/**
 * Transactions in the log: operations of several may lie between each other, and regions go on from one record to the
 * next.
 *
 * @see Linux fs/xfs/libxfs/xfs_log_format.h, struct xlog_op_header
 * @module
 */
import type { Bytes } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import type { LogRecord } from './log-records.ts'

const OPERATION_BYTES = 12
const TRANSACTION_HEADER_BYTES = 16
const FLAG = { start: 0x1, commit: 0x2, continues: 0x4, continued: 0x8, end: 0x10, unmount: 0x20 } as const

/** A change: its first region says what it is and how many there are. */
export interface LogItem {
  regions: Bytes[]
  /** As the first region says. */
  count: number
}

interface Transaction {
  header: Bytes
  items: LogItem[]
}

/** True for the record that a clean unmount writes. */
export const isUnmount = (record: LogRecord): boolean => {
  if (record.operations !== 1 || record.data.length < OPERATION_BYTES) return false
  return ((record.data[9] as number) & FLAG.unmount) !== 0
}

/** Takes records in order, and gives the items of each transaction that is committed. */
export class TransactionReader {
  readonly #open = new Map<number, Transaction>();

  *read(record: LogRecord): Generator<readonly LogItem[], void, undefined> {
    const data = new Fields(record.data, `log record at sector ${record.sector}`, 'big')
    let at = 0
    for (let left = record.operations; left > 0; left--) {
      const id = data.u32(at)
      const length = data.u32(at + 4)
      const flags = data.u8(at + 9)
      const region = data.slice(at + OPERATION_BYTES, length)
      at += OPERATION_BYTES + length
      const transaction = this.#open.get(id)
      if ((flags & FLAG.start) !== 0) this.#open.set(id, { header: new Uint8Array(0), items: [] })
      else if (transaction === undefined) continue // It began before the tail: all of it is on the disk already.
      else if ((flags & FLAG.commit) !== 0) {
        this.#open.delete(id)
        yield transaction.items
      } else if ((flags & FLAG.unmount) !== 0) this.#open.delete(id)
      else if ((flags & FLAG.continued) !== 0) goOn(transaction, region)
      else add(transaction, region, data.where)
    }
  }
}

const join = (a: Bytes, b: Bytes): Bytes => {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** The rest of a region that didn't fit into the record before. */
const goOn = (transaction: Transaction, region: Bytes): void => {
  const item = transaction.items.at(-1)
  if (item === undefined) transaction.header = join(transaction.header, region)
  else item.regions.push(join(item.regions.pop() ?? new Uint8Array(0), region))
}

const add = (transaction: Transaction, region: Bytes, where: string): void => {
  if (transaction.header.length < TRANSACTION_HEADER_BYTES && transaction.items.length === 0) {
    transaction.header = join(transaction.header, region)
    if (transaction.header.length > TRANSACTION_HEADER_BYTES)
      throw corrupt(where, 'the header of a transaction', region.length)
    return
  }
  const item = transaction.items.at(-1)
  // Copied: records are dropped while transactions go on.
  if (item !== undefined && item.regions.length < item.count) item.regions.push(region.slice())
  else {
    const count = new Fields(region, where).u16(2)
    if (count === 0) throw corrupt(where, 'an item of some regions', 0)
    transaction.items.push({ regions: [region.slice()], count })
  }
}
