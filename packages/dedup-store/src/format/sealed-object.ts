/**
 * Small objects: one header, one sealed body. The seal binds type, generation, suite and the object's name, so an object
 * under another name, or one of another kind, is refused.
 *
 * @see docs/formats/repository.md, "Sealed objects"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { constantTimeEqual, deriveObjectKeys, suiteById, suiteByName } from '@granary/transform'
import type { Sealer, SealingKeys } from '@granary/transform'
import { HEADER_ASSOCIATED_BYTES, HEADER_BYTES, decodeHeader, encodeHeader } from './header.ts'
import type { ObjectHeader, ObjectType } from './header.ts'
import type { RepositoryKeys } from './repository-keys.ts'

/** An object that is being sealed: its header's bytes and the means to seal its parts. */
export interface ObjectSealer {
  readonly header: Bytes
  readonly sealer: Sealer
}

/** Starts a new object: a fresh salt, so a fresh key. */
export const createObjectSealer = (
  keys: RepositoryKeys,
  type: ObjectType,
  domainKey: Bytes,
  { isSigned = false }: { readonly isSigned?: boolean } = {},
): ObjectSealer => {
  const suite = suiteByName(keys.suite)
  const salt = new Uint8Array(randomBytes(32))
  const { encryption, mac, commitment } = deriveObjectKeys(domainKey, salt, suite.keyBytes)
  const header = encodeHeader({ type, suite: suite.id, generation: keys.generation, salt, commitment, isSigned })
  return { header, sealer: suite.open({ encryption, mac }) }
}

/**
 * Checks the key commitment and gives back the means to open the parts of an object.
 *
 * @throws GranaryError `GRANARY_AUTHENTICATION` when salt, commitment or key are not what they were
 */
export const openObjectSealer = (header: ObjectHeader, domainKey: Bytes, key: string): Sealer =>
  openObjectKeys(header, domainKey, key).sealer

/** As `openObjectSealer`, with the keys, for whoever opens parts on another thread. */
export const openObjectKeys = (
  header: ObjectHeader,
  domainKey: Bytes,
  key: string,
): { sealer: Sealer; seal: { suite: number; keys: SealingKeys } } => {
  const suite = namingObject(key, () => suiteById(header.suite))
  const { encryption, mac, commitment } = deriveObjectKeys(domainKey, header.salt, suite.keyBytes)
  if (!constantTimeEqual(commitment, header.commitment)) {
    throw new GranaryError('GRANARY_AUTHENTICATION', `${key}: the header was changed, or the key is another`, {
      detail: { object: key },
    })
  }
  const keys = { encryption, mac }
  return { sealer: suite.open(keys), seal: { suite: header.suite, keys } }
}

/** Associated data of a body: the fixed part of the header, then the object's name. */
export const associatedWith = (header: Bytes, key: string): Bytes => {
  const name = Buffer.from(key, 'utf8')
  const bytes = new Uint8Array(HEADER_ASSOCIATED_BYTES + name.length)
  bytes.set(header.subarray(0, HEADER_ASSOCIATED_BYTES))
  bytes.set(name, HEADER_ASSOCIATED_BYTES)
  return bytes
}

/** A whole small object: header, then ciphertext and tag. */
export const sealObject = (
  keys: RepositoryKeys,
  type: ObjectType,
  key: string,
  plain: Bytes,
  options: { readonly isSigned?: boolean } = {},
): Bytes => {
  const { header, sealer } = createObjectSealer(keys, type, keys.controlKeyOf(type), options)
  return Buffer.concat([header, sealer.seal(0, associatedWith(header, key), plain)])
}

/**
 * Opens a small object.
 *
 * @param types the kinds that may stand under this name
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION`, `GRANARY_UNSUPPORTED`; `detail.object` names it
 */
export const openObject = (
  keys: RepositoryKeys,
  types: readonly ObjectType[],
  key: string,
  bytes: Bytes,
): { type: ObjectType; plain: Bytes; isSigned: boolean } => {
  const header = decodeHeader(bytes, key)
  if (!types.includes(header.type)) {
    throw new GranaryError('GRANARY_CORRUPT', `${key}: expected ${types.join(' or ')}, found ${header.type}`, {
      detail: { object: key, expected: types.join(','), found: header.type },
    })
  }
  const sealer = openObjectSealer(header, keys.controlKeyOf(header.type, header.generation), key)
  const plain = namingObject(key, () => sealer.open(0, associatedWith(bytes, key), bytes.subarray(HEADER_BYTES)))
  return { type: header.type, plain, isSigned: header.isSigned === true }
}

/** Adds the object's name to an error of a seal, which knows only bytes. */
export const namingObject = <Result>(key: string, work: () => Result): Result => {
  try {
    return work()
  } catch (error) {
    if (!isGranaryError(error)) throw error
    throw new GranaryError(error.code, `${key}: ${error.message}`, {
      detail: { ...error.detail, object: key },
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
}

/** JSON as a small object. */
export const sealJson = (keys: RepositoryKeys, type: ObjectType, key: string, value: object): Bytes =>
  sealObject(keys, type, key, Buffer.from(JSON.stringify(value)))

/** Opens a small object that holds JSON; the seal vouches for its shape. */
export const openJson = <Value>(keys: RepositoryKeys, type: ObjectType, key: string, bytes: Bytes): Value =>
  JSON.parse(Buffer.from(openObject(keys, [type], key, bytes).plain).toString('utf8')) as Value
