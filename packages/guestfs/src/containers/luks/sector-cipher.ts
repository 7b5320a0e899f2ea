/**
 * Decrypts sectors as dm-crypt does, by OpenSSL's ciphers, or by others that an application hands in.
 *
 * @see https://docs.kernel.org/admin-guide/device-mapper/dm-crypt.html
 * @see https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMCrypt
 * @module
 */
import { createCipheriv, createDecipheriv, createHash, getCipherInfo } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { unsupported } from '../../errors.ts'
import type { BlockCiphers, UnlockOptions } from '../../unlock.ts'
import { cbcDecryptor, xtsDecryptor } from './block-modes.ts'
import type { DecryptSector } from './block-modes.ts'

const SECTOR_BYTES = 512
const IV_BYTES = 16

/** Decrypts one sector into `target`; the number counts 512 bytes. */
export type SectorCipher = (number: number, source: Bytes, target: Bytes) => void

type MakeIv = (number: number) => Bytes

/**
 * @param spec such as `aes-xts-plain64` or `aes-cbc-essiv:sha256`
 * @throws GranaryError `GRANARY_UNSUPPORTED` when neither OpenSSL nor the application has such a cipher, or the mode is none
 * of XTS and CBC
 */
export const sectorCipher = (
  spec: string,
  key: Bytes,
  where: string,
  { blockCiphers }: Pick<UnlockOptions, 'blockCiphers'>,
): SectorCipher => {
  const [, name = '', mode = '', ivName = ''] = /^([^-]+)-([^-]+)-(.+)$/.exec(spec) ?? []
  const decrypt = openSslDecryptor(name, mode, key) ?? blockDecryptor(name, mode, key, blockCiphers)
  if (decrypt === undefined) throw unsupported(where, `the cipher ${spec} with a key of ${key.length * 8} bits`)
  const makeIv = ivMaker(ivName, name, key, blockCiphers)
  if (makeIv === undefined) throw unsupported(where, `the initialisation vector ${ivName} of ${spec}`)
  return (number, source, target) => decrypt(makeIv(number), source, target)
}

const openSslDecryptor = (name: string, mode: string, key: Bytes): DecryptSector | undefined => {
  if (mode !== 'xts' && mode !== 'cbc') return undefined
  const bits = (mode === 'xts' ? key.length / 2 : key.length) * 8 // Of XTS there are two keys in one.
  const openSslName = `${name}-${bits}-${mode}`
  if (getCipherInfo(openSslName, { keyLength: key.length })?.ivLength !== IV_BYTES) return undefined
  return (iv, source, target) => {
    const cipher = createDecipheriv(openSslName, key, iv).setAutoPadding(false)
    target.set(cipher.update(source))
  }
}

const blockDecryptor = (
  name: string,
  mode: string,
  key: Bytes,
  blockCiphers: BlockCiphers = () => undefined,
): DecryptSector | undefined => {
  if (mode === 'cbc') {
    const cipher = blockCiphers(name, key)
    return cipher && cbcDecryptor(cipher)
  }
  if (mode !== 'xts') return undefined
  const data = blockCiphers(name, key.subarray(0, key.length / 2))
  const tweaks = blockCiphers(name, key.subarray(key.length / 2))
  return data && tweaks && xtsDecryptor(data, tweaks)
}

const ivMaker = (
  ivName: string,
  cipher: string,
  key: Bytes,
  blockCiphers: BlockCiphers = () => undefined,
): MakeIv | undefined => {
  if (ivName === 'plain64') return littleEndian
  if (ivName === 'plain') return number => littleEndian(number % 2 ** 32)
  const [, hash] = /^essiv:(.+)$/.exec(ivName) ?? []
  if (hash === undefined || !/^sha(1|224|256|384|512)$/.test(hash)) return undefined
  const salt = Uint8Array.from(createHash(hash).update(key).digest())
  const openSslName = `${cipher}-${salt.length * 8}-ecb`
  if (getCipherInfo(openSslName) !== undefined)
    return number => {
      const encrypt = createCipheriv(openSslName, salt, null).setAutoPadding(false)
      return Uint8Array.from(encrypt.update(littleEndian(number)))
    }
  const keyed = blockCiphers(cipher, salt)
  return keyed && (number => keyed.encrypt(littleEndian(number)))
}

const littleEndian: MakeIv = number => {
  const iv = new Uint8Array(IV_BYTES)
  new DataView(iv.buffer).setBigUint64(0, BigInt(number), true)
  return iv
}

/** Decrypts whole sectors, the first of which has a number. */
export const decryptSectors = (
  cipher: SectorCipher,
  { firstSector, sectorBytes }: { readonly firstSector: number; readonly sectorBytes: number },
  source: Bytes,
  target: Bytes,
): void => {
  for (let at = 0; at < source.length; at += sectorBytes)
    cipher(
      firstSector + at / SECTOR_BYTES,
      source.subarray(at, at + sectorBytes),
      target.subarray(at, at + sectorBytes),
    )
}
