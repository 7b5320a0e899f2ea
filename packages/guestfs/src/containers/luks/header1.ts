/** The header of LUKS1. @see LUKS1 On-Disk Format Specification 1.2.3, section 2.1 @module */
import type { AbortOptions } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { Fields } from '../../format/fields.ts'
import { paddedText } from '../../filesystems/swap.ts'
import { checkKdf, checkKeyslot } from './header.ts'
import type { Keyslot, LuksHeader } from './header.ts'

const HEADER_BYTES = 592
const SECTOR_BYTES = 512
const SLOTS = { count: 8, offset: 208, bytes: 48 } as const
const ENABLED = 0x00ac_71f3
const DIGEST_BYTES = 20
const SALT_BYTES = 32

/** @throws GranaryError `GRANARY_LIMIT` */
export const readHeader1 = async (disk: CachedDisk, options: AbortOptions): Promise<LuksHeader> => {
  const where = 'LUKS1 header'
  const header = new Fields(await disk.bytes(0, HEADER_BYTES, where, options), where, 'big')
  const cipher = `${paddedText(header, 8, 32)}-${paddedText(header, 40, 32)}`
  const hash = paddedText(header, 72, 32)
  const keyBytes = header.u32(108)
  const keyslots: Keyslot[] = []
  for (let index = 0; index < SLOTS.count; index++) {
    const at = SLOTS.offset + index * SLOTS.bytes
    if (header.u32(at) !== ENABLED) continue
    const slot: Keyslot = {
      name: String(index),
      kdf: { kind: 'pbkdf2', hash, iterations: header.u32(at + 4), salt: header.slice(at + 8, SALT_BYTES).slice() },
      offset: header.u32(at + 40) * SECTOR_BYTES,
      ...{ cipher, areaKeyBytes: keyBytes, keyBytes, stripes: header.u32(at + 44), splitHash: hash },
    }
    checkKeyslot(slot, `${where}, key slot ${index}`)
    keyslots.push(slot)
  }
  const kdf = {
    kind: 'pbkdf2',
    hash,
    iterations: header.u32(164),
    salt: header.slice(132, SALT_BYTES).slice(),
  } as const
  checkKdf(kdf, where)
  return {
    segment: { offset: header.u32(104) * SECTOR_BYTES, cipher, sectorBytes: SECTOR_BYTES, firstSector: 0 },
    keyslots,
    digests: [{ kdf, digest: header.slice(112, DIGEST_BYTES).slice(), keyslots: keyslots.map(({ name }) => name) }],
  }
}
