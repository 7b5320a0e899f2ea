/** What the journal knows of one disk that is being filled. @module */
import { factOf } from '../journal/entry.ts'
import type { Facts, PendingEntry } from '../journal/entry.ts'

export interface DiskState {
  /** Chosen before it is made. */
  readonly id: string | undefined
  readonly isCreated: boolean
  readonly transferId: string | undefined
  /** Bytes from the start that are durable there. */
  readonly watermarkBytes: number
  readonly isFinalizing: boolean
  readonly isUploaded: boolean
}

/** Names of facts: `disk3.watermark`. */
const nameOf = (index: number, name: string): string => `disk${index}.${name}`

export const readDiskState = (pending: PendingEntry, index: number): DiskState => {
  const text = (name: string): string | undefined => factOf(pending, nameOf(index, name)) || undefined
  const isOn = (name: string): boolean => pending.facts[nameOf(index, name)] === true
  return {
    id: text('id'),
    isCreated: isOn('created'),
    transferId: text('transfer'),
    watermarkBytes: Number(pending.facts[nameOf(index, 'watermark')] ?? 0),
    isFinalizing: isOn('finalizing'),
    isUploaded: isOn('uploaded'),
  }
}

/** @param facts `id`, `created`, `transfer` (empty: none), `watermark`, `finalizing`, `uploaded` */
export const diskFacts = (index: number, facts: Facts): Facts =>
  Object.fromEntries(Object.entries(facts).map(([name, value]) => [nameOf(index, name), value]))
