/** The keys of a sealed stream, its header, and what its records are bound to. @module */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { constantTimeEqual } from '../constant-time-equal.ts'
import { deriveKey } from '../hash/blake3.ts'
import { deriveObjectKeys } from '../keys/object-keys.ts'
import type { ObjectKeys } from '../keys/object-keys.ts'
import type { Sealer, Suite } from '../suites/suite.ts'
import { suiteById } from '../suites/table.ts'
import {
  HEADER_BYTES,
  MAX_RECORD_BYTES,
  PREFIX_BYTES,
  RECORD_HEADER_BYTES,
  corruptStream,
  decodeStreamHeader,
} from './stream-format.ts'

const CONTEXT = 'granary 2026 v1 stream'

/** The keys of one stream. */
export const streamKeys = (key: Bytes, salt: Bytes, suite: Suite): ObjectKeys =>
  deriveObjectKeys(deriveKey(CONTEXT, key), salt, suite.keyBytes)

/** What a record is bound to besides its ordinal: the stream's header, and the record's length. */
export const associatedOf = (header: Bytes, sealedBytes: number): Bytes => {
  const associated = new Uint8Array(HEADER_BYTES + PREFIX_BYTES)
  associated.set(header)
  new DataView(associated.buffer).setUint32(HEADER_BYTES, sealedBytes)
  return associated
}

export interface OpenedStream {
  readonly header: Bytes
  readonly suite: Suite
  readonly sealer: Sealer
}

/**
 * Takes a stream's header.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when it was sealed with another key; `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED` when it is no
 * header
 */
export const openStream = (key: Bytes, header: Bytes): OpenedStream => {
  const { suiteId, salt, commitment } = decodeStreamHeader(header)
  const suite = suiteById(suiteId)
  const keys = streamKeys(key, salt, suite)
  if (!constantTimeEqual(keys.commitment, commitment)) {
    throw new GranaryError('GRANARY_WRONG_KEY', 'the key given is not the one this stream was sealed with')
  }
  return { header, suite, sealer: suite.open(keys) }
}

/** Length of the sealed record behind a prefix. @throws GranaryError `GRANARY_CORRUPT` when it is impossible */
export const readPrefix = (prefix: Bytes, { tagBytes }: Suite): number => {
  const length = new DataView(prefix.buffer, prefix.byteOffset).getUint32(0)
  const isPossible = length >= RECORD_HEADER_BYTES + tagBytes && length <= MAX_RECORD_BYTES + tagBytes
  if (!isPossible) throw corruptStream(`a record of ${length} bytes`)
  return length
}
