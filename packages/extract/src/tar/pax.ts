/** PAX records: what the block of a member has no room for. @see POSIX.1-2017, pax, "pax Extended Header" @module */
import type { Bytes } from '@granary/core'
import { encodeHeader, padding } from './header.ts'

/** In order; values are bytes, for attributes and odd names are no text. */
export type PaxRecords = readonly (readonly [keyword: string, value: Bytes | string])[]

/** `LENGTH KEYWORD=VALUE\n`, where the length counts itself. */
const encodeRecord = (keyword: string, value: Bytes | string): Bytes => {
  const body = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from('\n')])
  let length = body.length + 1
  while (String(length).length + body.length !== length) length = String(length).length + body.length
  return Buffer.concat([Buffer.from(String(length)), body])
}

/** The member that stands before the one it speaks of; nothing when there is nothing to say. */
export const encodePax = (records: PaxRecords): Bytes[] => {
  if (records.length === 0) return []
  const body = Buffer.concat(records.map(([keyword, value]) => encodeRecord(keyword, value)))
  const header = encodeHeader({
    type: 'pax',
    name: Buffer.from('././@PaxHeader'),
    ...{ mode: 0o644, uid: 0, gid: 0, mtime: 0 },
    sizeBytes: body.length,
  })
  return [header, body, padding(body.length)]
}

/** Seconds with nine decimals. */
export const paxTime = (nanoseconds: bigint): string => {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds
  const fraction = String(magnitude % 1_000_000_000n).padStart(9, '0')
  return `${nanoseconds < 0n ? '-' : ''}${magnitude / 1_000_000_000n}.${fraction}`
}
