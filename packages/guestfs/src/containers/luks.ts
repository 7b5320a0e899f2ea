/** LUKS containers, named. @see LUKS1 and LUKS2 on-disk format specifications @module */
import type { Detector } from '../detect.ts'
import { Fields } from '../format/fields.ts'
import { paddedText } from '../filesystems/swap.ts'

const MAGIC = 'LUKS\xba\xbe'
const SECOND_MAGIC = 'SKUL\xba\xbe'

/** Where the second header of LUKS2 may be, by the size of the first. */
const SECOND_OFFSETS = [0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000]

export const luks: Detector = {
  name: 'LUKS',
  async detect(probe) {
    for (const offset of [0, ...SECOND_OFFSETS]) {
      const bytes = await probe.peek(offset, 512)
      if (bytes === undefined) return undefined
      const header = new Fields(bytes, 'LUKS header')
      if (header.ascii(0, 6) !== (offset === 0 ? MAGIC : SECOND_MAGIC)) continue
      // The header is big-endian.
      const version = header.u8(6) * 256 + header.u8(7)
      const label = version === 2 ? paddedText(header, 24, 48) : ''
      return {
        kind: 'named',
        content: 'crypto_LUKS',
        uuid: paddedText(header, 168, 40),
        ...(label === '' ? {} : { label }),
        whyNot: { reason: 'encrypted', message: `encrypted by LUKS${version}: not unlocked` },
      }
    }
    return undefined
  },
}
