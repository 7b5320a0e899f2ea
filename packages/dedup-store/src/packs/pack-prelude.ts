/** The bytes of a pack before its first blob: header, uid, key domain and key envelope; and the keys that they lead to. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { deriveObjectKeys, suiteById } from '@granary/transform'
import type { Sealer, SealingKeys } from '@granary/transform'
import { decodeHeader } from '../format/header.ts'
import type { ObjectHeader } from '../format/header.ts'
import { envelopeKinds } from '../format/repository-keys.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { namingObject, openObjectKeys } from '../format/sealed-object.ts'
import { MAX_ENVELOPE_BYTES, PACK_AT } from './pack-format.ts'
import type { PackType } from './pack-format.ts'

/** Enough to open a pack's blobs elsewhere. Plain data, secret. */
export interface PackSealing {
  readonly suite: number
  readonly keys: SealingKeys
}

export interface PackPrelude {
  readonly key: string
  readonly type: PackType
  readonly header: ObjectHeader
  readonly bytes: Bytes
  /** What opens the list of blobs, where it has a key of its own. */
  openList(): Sealer
  /** What opens the blobs. @throws GranaryError `GRANARY_WRONG_KEY` for who can write only */
  openBlobs(): { readonly sealer: Sealer; readonly seal: PackSealing }
}

/**
 * Parses the beginning of a pack.
 *
 * @returns undefined when `start` ends before the envelope does
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` when it is not a pack
 */
export const readPrelude = (keys: RepositoryKeys, key: string, start: Bytes): PackPrelude | undefined => {
  const header = decodeHeader(start, key)
  const { type } = header
  if (type !== 'dataPack' && type !== 'mapPack') {
    throw new GranaryError('GRANARY_CORRUPT', `${key}: expected a pack, found ${type}`, { detail: { object: key } })
  }
  const view = new DataView(start.buffer, start.byteOffset, start.length)
  const envelopeLength = view.getUint16(PACK_AT.envelopeLength, true)
  if (envelopeLength > MAX_ENVELOPE_BYTES || PACK_AT.envelope + envelopeLength > start.length) return undefined
  const bytes = start.slice(0, PACK_AT.envelope + envelopeLength)
  return {
    key,
    type,
    header,
    bytes,
    openList: () =>
      namingObject(key, () => {
        const suite = suiteById(header.suite)
        return suite.open(deriveObjectKeys(keys.packList, header.salt, suite.keyBytes))
      }),
    openBlobs: () =>
      openObjectKeys(
        header,
        namingObject(key, () => domainKeyOf(keys, header, bytes)),
        key,
      ),
  }
}

const domainKeyOf = (keys: RepositoryKeys, { type, generation, isSigned }: ObjectHeader, prelude: Bytes): Bytes => {
  if (type === 'mapPack') return keys.mapKey(generation)
  const stored = prelude.subarray(PACK_AT.envelope)
  const envelope = isSigned === true ? stored : new Uint8Array([envelopeKinds.wrapped, ...stored]) // There was one kind.
  return keys.openDataKey(generation, envelope, prelude.subarray(PACK_AT.domain, PACK_AT.envelopeLength))
}
