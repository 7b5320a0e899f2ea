/** Large values of attributes, in blocks that version 5 begins with a header each. @module */
import type { AbortOptions } from '@granary/core'
import { corrupt } from '../../errors.ts'
import { forkContent } from './content.ts'
import type { Fork, Xfs } from './inode.ts'

const HEADER_BYTES = 56
const MAGIC = 'XARM'

export interface RemoteValue {
  /** First block, in the attribute fork. */
  readonly block: number
  readonly sizeBytes: number
  readonly where: string
}

export const readRemoteValue = async (
  xfs: Xfs,
  fork: Fork,
  { block, sizeBytes, where }: RemoteValue,
  options: AbortOptions,
): Promise<Uint8Array> => {
  const { blockBytes, version } = xfs.sb
  const headerBytes = version === 5 ? HEADER_BYTES : 0
  const payload = blockBytes - headerBytes
  const count = Math.ceil(sizeBytes / payload)
  const content = forkContent(xfs, fork, (block + count) * blockBytes, where)
  const bytes = new Uint8Array(sizeBytes)
  const piece = new Uint8Array(blockBytes)
  for (let index = 0; index < count; index++) {
    await content.read((block + index) * blockBytes, piece, options)
    const found = Buffer.from(piece.subarray(0, 4)).toString('latin1')
    if (version === 5 && found !== MAGIC) throw corrupt(`${where}, block ${block + index}`, `magic ${MAGIC}`, found)
    const length = Math.min(payload, sizeBytes - index * payload)
    bytes.set(piece.subarray(headerBytes, headerBytes + length), index * payload)
  }
  return bytes
}
