/**
 * Signed small objects: what a body says, the public key of who says it, and the signature; all of it sealed.
 *
 * @see docs/formats/repository.md, "Signatures"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { verifySignature } from '@granary/transform'
import type { Signer } from '@granary/transform'
import type { ObjectType } from './header.ts'
import { hexOfId } from './ids.ts'
import type { RepositoryKeys } from './repository-keys.ts'
import { openObject, sealObject } from './sealed-object.ts'

const SIGNED = Buffer.from('granary manifest v1\0')
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** Manifests and forget marks are always signed; of the others a flag in the header says so. */
const isAlwaysSigned = (type: ObjectType): boolean => type === 'manifest' || type === 'forget'

/** The name binds a body to its object: under another name it doesn't verify. */
const signedBytes = (name: string, json: Bytes): Bytes => Buffer.concat([SIGNED, Buffer.from(`${name}\0`), json])

/** A signed object: JSON, public key, signature; sealed. */
export const sealSigned = async (
  keys: RepositoryKeys,
  type: ObjectType,
  name: string,
  value: object,
  signer: Signer = keys.signer,
): Promise<Bytes> => {
  const json = Buffer.from(JSON.stringify(value))
  const signature = await signer.sign(signedBytes(name, json))
  const body = Buffer.concat([json, signer.publicKey, signature])
  return sealObject(keys, type, name, body, { isSigned: !isAlwaysSigned(type) })
}

/** What only a key holder may say: signed by the key that is derived from the root key, whoever signs manifests. */
export const sealByHolder = async (
  keys: RepositoryKeys,
  type: ObjectType,
  name: string,
  value: object,
): Promise<Bytes> => {
  if (keys.access === 'holder') return await sealSigned(keys, type, name, value, keys.ownSigner)
  throw new GranaryError('GRANARY_WRONG_KEY', `${name}: only a key holder may write this, not a write-only client`, {
    detail: { object: name },
    hint: 'do it where the key file or passphrase is',
  })
}

/** @throws GranaryError `GRANARY_AUTHENTICATION` when the signature doesn't verify */
export const openSigned = <Value>(name: string, plain: Bytes): { value: Value; signer: string } => {
  const jsonLength = plain.length - PUBLIC_KEY_BYTES - SIGNATURE_BYTES
  const json = plain.subarray(0, Math.max(0, jsonLength))
  const publicKey = plain.subarray(jsonLength, jsonLength + PUBLIC_KEY_BYTES)
  if (
    jsonLength < 2 ||
    !verifySignature(publicKey, signedBytes(name, json), plain.subarray(jsonLength + PUBLIC_KEY_BYTES))
  ) {
    throw new GranaryError('GRANARY_AUTHENTICATION', `${name}: the signature does not verify`, {
      detail: { object: name },
    })
  }
  return { value: JSON.parse(Buffer.from(json).toString('utf8')) as Value, signer: hexOfId(publicKey) }
}

/**
 * Opens what only a key holder may say.
 *
 * @param acceptsUnsigned for what was written before there were clients
 * @throws GranaryError `GRANARY_AUTHENTICATION` when somebody else, or nobody, signed it
 */
export const openByHolder = <Value>(
  keys: RepositoryKeys,
  type: ObjectType,
  name: string,
  bytes: Bytes,
  { acceptsUnsigned = false }: { readonly acceptsUnsigned?: boolean } = {},
): { value: Value; isSigned: boolean } => {
  const { plain, isSigned } = openObject(keys, [type], name, bytes)
  if (!isSigned && acceptsUnsigned) return { value: JSON.parse(Buffer.from(plain).toString('utf8')) as Value, isSigned }
  if (isSigned) {
    const { value, signer } = openSigned<Value>(name, plain)
    if (keys.holders.has(signer)) return { value, isSigned }
  }
  throw new GranaryError(
    'GRANARY_AUTHENTICATION',
    `${name}: ${isSigned ? 'signed by somebody who holds no key' : 'not signed'}, expected the key holder's signature`,
    { detail: { object: name }, hint: 'somebody who may write to the storage made it: `granary verify` shows more' },
  )
}
