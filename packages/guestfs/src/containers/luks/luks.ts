/** LUKS containers: named, and unlocked with a key. @see LUKS1 and LUKS2 On-Disk Format Specifications @module */
import { CachedDisk } from '../../disk/cached-disk.ts'
import type { Detector } from '../../detect.ts'
import { paddedText } from '../../filesystems/swap.ts'
import { Fields } from '../../format/fields.ts'
import { cryptDisk } from './crypt-disk.ts'
import { readHeader1 } from './header1.ts'
import { SECOND_OFFSETS, readHeader2 } from './header2.ts'
import { sectorCipher } from './sector-cipher.ts'
import { findVolumeKey } from './volume-key.ts'

const MAGIC = 'LUKS\xba\xbe'
const SECOND_MAGIC = 'SKUL\xba\xbe'
const CACHE_BYTES = 4 * 1024 * 1024

export const luks: Detector = {
  name: 'LUKS',
  async detect(probe) {
    for (const offset of [0, ...SECOND_OFFSETS]) {
      const bytes = await probe.peek(offset, 512)
      if (bytes === undefined) return undefined
      const header = new Fields(bytes, 'LUKS header', 'big')
      if (header.ascii(0, 6) !== (offset === 0 ? MAGIC : SECOND_MAGIC)) continue
      const version = header.u16(6)
      const label = version === 2 ? paddedText(header, 24, 48) : ''
      const { where } = probe
      return {
        kind: 'locked',
        content: 'crypto_LUKS',
        uuid: paddedText(header, 168, 40),
        ...(label === '' ? {} : { label }),
        whyNot: { reason: 'encrypted', message: `encrypted by LUKS${version}: not unlocked` },
        async unlock(disk, keys, options) {
          await using cached = new CachedDisk(disk, { capacityBytes: CACHE_BYTES })
          const read = version === 1 ? readHeader1 : readHeader2
          const found = await read(cached, options)
          const key = await findVolumeKey(cached, found, keys, `volume ${where}`, options)
          return cryptDisk(
            disk,
            found.segment,
            sectorCipher(found.segment.cipher, key, `volume ${where}`, options),
            `volume ${where}`,
          )
        },
      }
    }
    return undefined
  },
}
