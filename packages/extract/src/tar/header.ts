/** One block of 512 bytes that begins a member of a tar archive. @see POSIX.1-2017, pax, "ustar Interchange Format" @module */
import type { Bytes } from '@granary/core'

export const BLOCK_BYTES = 512

/** Values of the field "typeflag". */
export const TYPE_FLAG = {
  file: '0',
  hardLink: '1',
  symlink: '2',
  chr: '3',
  blk: '4',
  dir: '5',
  fifo: '6',
  pax: 'x',
} as const

export interface TarHeader {
  readonly type: keyof typeof TYPE_FLAG
  /** At most 100 bytes; longer ones stand in a PAX record, and are cut here. */
  readonly name: Bytes
  readonly linkName?: Bytes
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** Seconds. */
  readonly mtime: number
  readonly device?: { readonly major: number; readonly minor: number }
}

/** Bytes of a field, and the largest number that fits: octal digits and a NUL. */
const FIELD = { name: 100, linkName: 100, mode: 8, id: 8, size: 12, mtime: 12, device: 8 } as const
export const largest = (field: keyof typeof FIELD): number => 8 ** (FIELD[field] - 1) - 1

/** Whether a text stands in the block as it is: ASCII, for all else depends on the reader. */
export const fitsName = (name: Bytes): boolean =>
  name.length <= FIELD.name && name.every(byte => byte > 0 && byte < 0x80)

export const encodeHeader = (header: TarHeader): Bytes => {
  const block = new Uint8Array(BLOCK_BYTES)
  const text = (at: number, value: Bytes): void => block.set(value.subarray(0, FIELD.name), at)
  const octal = (at: number, field: keyof typeof FIELD, value: number): void => {
    const digits = Math.min(Math.max(value, 0), largest(field))
      .toString(8)
      .padStart(FIELD[field] - 1, '0')
    block.set(Buffer.from(digits), at)
  }
  text(0, header.name)
  octal(100, 'mode', header.mode)
  octal(108, 'id', header.uid)
  octal(116, 'id', header.gid)
  octal(124, 'size', header.sizeBytes)
  octal(136, 'mtime', header.mtime)
  block.fill(0x20, 148, 156)
  block.set(Buffer.from(TYPE_FLAG[header.type]), 156)
  if (header.linkName !== undefined) text(157, header.linkName)
  block.set(Buffer.from('ustar\x0000'), 257)
  octal(329, 'device', header.device?.major ?? 0)
  octal(337, 'device', header.device?.minor ?? 0)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  return block
}

/** Zeros that fill the last block. */
export const padding = (sizeBytes: number): Bytes =>
  new Uint8Array((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES)
