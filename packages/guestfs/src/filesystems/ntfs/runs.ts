/** Where the clusters of an attribute lie. @see https://flatcap.github.io/linux-ntfs/ntfs/concepts/data_runs.html @module */
import { corrupt } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import { lastIndex } from '../../last-index.ts'

/** Clusters in a row, or without `lcn` none. */
export interface Run {
  readonly vcn: number
  readonly lcn: number | undefined
  readonly length: number
}

export const parseRuns = (fields: Fields, start: number, firstVcn: number): Run[] => {
  const runs: Run[] = []
  let vcn = firstVcn
  let lcn = 0
  for (let at = start; at < fields.length && fields.u8(at) !== 0;) {
    const lengthBytes = fields.u8(at) & 0xf
    const offsetBytes = fields.u8(at) >> 4
    if (lengthBytes === 0 || lengthBytes > 8 || offsetBytes > 8) throw corrupt(fields.where, 'a run', fields.u8(at))
    const length = Number(readInteger(fields, at + 1, lengthBytes, false))
    // Each place is relative to the last, holes left out.
    lcn += Number(readInteger(fields, at + 1 + lengthBytes, offsetBytes, true))
    const isSound = length > 0 && Number.isSafeInteger(vcn + length) && lcn >= 0 && Number.isSafeInteger(lcn + length)
    if (!isSound) throw corrupt(fields.where, 'a run inside the volume', `${lcn}+${length}`)
    runs.push({ vcn, lcn: offsetBytes === 0 ? undefined : lcn, length })
    vcn += length
    at += 1 + lengthBytes + offsetBytes
  }
  return runs
}

const readInteger = (fields: Fields, offset: number, length: number, isSigned: boolean): bigint => {
  let value = 0n
  for (let index = length - 1; index >= 0; index--) value = (value << 8n) | BigInt(fields.u8(offset + index))
  return isSigned ? BigInt.asIntN(length * 8, value) : value
}

/** The run that has a cluster, found by halving. */
export const runAt = (runs: readonly Run[], vcn: number): Run | undefined => {
  const run = runs[lastIndex(runs.length, index => (runs[index] as Run).vcn <= vcn)]
  return run !== undefined && vcn < run.vcn + run.length ? run : undefined
}
