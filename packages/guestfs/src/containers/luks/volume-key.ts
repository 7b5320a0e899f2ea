/**
 * From a passphrase to the key of the volume: derive, decrypt the area of a slot, put the split key together, check it.
 *
 * @see LUKS1 On-Disk Format Specification 1.2.3, sections 2.4 (anti-forensic splitter) and 4.1
 * @module
 */
import { createHash, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { unsupported } from '../../errors.ts'
import type { UnlockOptions } from '../../unlock.ts'
import type { Digest, Kdf, Keyslot, LuksHeader } from './header.ts'
import { decryptSectors, sectorCipher } from './sector-cipher.ts'

const SECTOR_BYTES = 512
const HASHES = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160']

const derive = promisify(pbkdf2)

/** @throws GranaryError `GRANARY_WRONG_KEY` when no slot opens, `GRANARY_UNSUPPORTED` when a slot can't be tried and none opens */
export const findVolumeKey = async (
  disk: CachedDisk,
  { keyslots, digests }: LuksHeader,
  keys: readonly Bytes[],
  where: string,
  options: UnlockOptions,
): Promise<Bytes> => {
  const reasons: GranaryError[] = []
  for (const slot of keyslots) {
    for (const key of keys) {
      options.signal?.throwIfAborted()
      try {
        const found = await trySlot(disk, slot, digests, key, `${where}, key slot ${slot.name}`, options)
        if (found !== undefined) return found
      } catch (error) {
        options.signal?.throwIfAborted()
        if (!isGranaryError(error)) throw error
        reasons.push(error)
      }
    }
  }
  const [reason] = reasons
  if (reason !== undefined) throw reason
  throw new GranaryError('GRANARY_WRONG_KEY', `${where}: the key opens none of its ${keyslots.length} key slots`, {
    detail: { where, slots: keyslots.length },
    hint: 'a key file is used as it is: a line feed at its end counts',
  })
}

const trySlot = async (
  disk: CachedDisk,
  slot: Keyslot,
  digests: readonly Digest[],
  key: Bytes,
  where: string,
  options: UnlockOptions,
): Promise<Bytes | undefined> => {
  const areaKey = await deriveKey(slot.kdf, key, slot.areaKeyBytes, where, options)
  const splitBytes = slot.keyBytes * slot.stripes
  const areaBytes = Math.ceil(splitBytes / SECTOR_BYTES) * SECTOR_BYTES
  const source = await disk.bytes(slot.offset, areaBytes, where, options)
  const area = new Uint8Array(areaBytes)
  const place = { firstSector: 0, sectorBytes: SECTOR_BYTES } // An area counts its own sectors.
  decryptSectors(sectorCipher(slot.cipher, areaKey, where, options), place, source, area)
  const volumeKey = mergeStripes(area.subarray(0, splitBytes), slot, where)
  for (const { kdf, digest, keyslots } of digests) {
    if (!keyslots.includes(slot.name)) continue
    const found = await deriveKey(kdf, volumeKey, digest.length, where, options)
    if (digest.length > 0 && timingSafeEqual(found, digest)) return volumeKey
  }
  return undefined
}

const deriveKey = async (
  kdf: Kdf,
  password: Bytes,
  lengthBytes: number,
  where: string,
  { argon2 }: UnlockOptions,
): Promise<Bytes> => {
  if (kdf.kind === 'pbkdf2')
    return Uint8Array.from(await derive(password, kdf.salt, kdf.iterations, lengthBytes, checkHash(kdf.hash, where)))
  if (argon2 === undefined)
    throw unsupported(where, `${kdf.kind}, and this program handed none in`, 'give `argon2` to openVolumes')
  const { kind: variant, salt, memoryKiB, passes, lanes } = kdf
  return await argon2({ variant, password, salt, memoryKiB, passes, lanes, lengthBytes })
}

const checkHash = (name: string, where: string): string => {
  if (HASHES.includes(name)) return name
  throw unsupported(where, `the hash ${name}`)
}

/** The key was spread over stripes so that losing one loses it: all are combined, each hashed into the next. */
const mergeStripes = (stripes: Bytes, { keyBytes, splitHash }: Keyslot, where: string): Bytes => {
  const hash = checkHash(splitHash, where)
  let sum: Bytes = new Uint8Array(keyBytes)
  for (let at = 0; at < stripes.length; at += keyBytes) {
    for (let i = 0; i < keyBytes; i++) sum[i] = (sum[i] as number) ^ (stripes[at + i] as number)
    if (at + keyBytes < stripes.length) sum = diffuse(sum, hash)
  }
  return sum
}

/** Each piece of the length of the hash is replaced by the hash of its number and itself. */
const diffuse = (key: Bytes, hash: string): Bytes => {
  const mixed = new Uint8Array(key.length)
  const number = new Uint8Array(4)
  const pieceBytes = createHash(hash).digest().length
  for (let at = 0; at < key.length; at += pieceBytes) {
    new DataView(number.buffer).setUint32(0, at / pieceBytes)
    const piece = key.subarray(at, at + pieceBytes)
    mixed.set(createHash(hash).update(number).update(piece).digest().subarray(0, piece.length), at)
  }
  return mixed
}
