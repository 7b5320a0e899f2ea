/**
 * Who made a pack: a signature over its name, all bytes before the first blob, and the list of what it holds. So nobody can
 * pass a pack off as somebody else's, or give a copy with other blobs another name.
 *
 * @see docs/formats/repository.md, "Packs"
 * @module
 */
import type { Bytes } from '@granary/core'
import { blake3, verifySignature } from '@granary/transform'
import type { SeedSigner } from '@granary/transform'
import { hexOfId } from '../format/ids.ts'

const SIGNED = Buffer.from('granary pack v1\0')
const PUBLIC_KEY_BYTES = 32

/** Bytes behind the entries of a footer: public key and signature. */
export const PACK_SIGNATURE_BYTES = PUBLIC_KEY_BYTES + 64

/** What is signed. `key` is the pack's name, `packs/…`. */
interface SignedPack {
  readonly key: string
  readonly prelude: Bytes
  readonly entries: Bytes
}

const signedBytes = ({ key, prelude, entries }: SignedPack): Bytes =>
  Buffer.concat([SIGNED, Buffer.from(`${key}\0`), blake3(Buffer.concat([prelude, entries]))])

/** Public key and signature, as they stand behind the entries. */
export const signPack = (signer: SeedSigner, pack: SignedPack): Bytes =>
  Buffer.concat([signer.publicKey, signer.sign(signedBytes(pack))])

/** The hexadecimal public key of who made a pack, or undefined when the signature is wrong or the pack has another name. */
export const packSignerOf = (pack: SignedPack, signature: Bytes): string | undefined => {
  const publicKey = signature.subarray(0, PUBLIC_KEY_BYTES)
  const isRight = verifySignature(publicKey, signedBytes(pack), signature.subarray(PUBLIC_KEY_BYTES))
  return isRight ? hexOfId(publicKey) : undefined
}
