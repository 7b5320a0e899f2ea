/**
 * The header every sealed object begins with.
 *
 * @see docs/formats/repository.md, "Header"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'

/** Version of the format this code reads and writes. */
export const FORMAT_VERSION = 1

/** Field offsets, bytes from the start of the object. All integers are little-endian. */
const AT = {
  magic: 0, //          4 bytes "GRNY"
  version: 4, //        u8
  type: 5, //           u8   see ObjectType
  suite: 6, //          u8   number of the suite (transform's table)
  flags: 7, //          u8   bit 0: signed; the others must be 0
  generation: 8, //     u32  key generation
  reserved: 12, //      u32  must be 0
  salt: 16, //          32 bytes, random
  commitment: 48, //    32 bytes, commits to the object key
} as const

export const HEADER_BYTES = 80

/** The part of the header that is associated data: all before salt and commitment, which bind the key itself. */
export const HEADER_ASSOCIATED_BYTES = 16

const MAGIC = 0x594e5247 // "GRNY", read little-endian.

/** What an object is; part of what its seal binds. Numbers are never reused. */
export const objectTypes = {
  config: 1,
  session: 2,
  heartbeat: 3,
  manifest: 4,
  fence: 5,
  forget: 6,
  claim: 7,
  tomb: 8,
  del: 9,
  pin: 10,
  index: 11,
  dataPack: 12,
  mapPack: 13,
  signer: 14,
  revocation: 15,
  passed: 16,
  damaged: 17,
} as const

export type ObjectType = keyof typeof objectTypes

export interface ObjectHeader {
  readonly type: ObjectType
  readonly suite: number
  readonly generation: number
  readonly salt: Bytes
  readonly commitment: Bytes
  /** Packs, and what only key holders may say. @default false */
  readonly isSigned?: boolean
}

const SIGNED_FLAG = 1

/** Types that may bear the flag; manifests and forget marks are signed always, and without it. */
const SIGNABLE: ReadonlySet<ObjectType> = new Set([
  'config',
  'claim',
  'tomb',
  'del',
  'dataPack',
  'mapPack',
  'signer',
  'revocation',
  'passed',
  'damaged',
])

const typeNames = new Map<number, ObjectType>(
  Object.entries(objectTypes).map(([name, number]) => [number, name as ObjectType]),
)

export const encodeHeader = (header: ObjectHeader): Bytes => {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(AT.magic, MAGIC, true)
  bytes[AT.version] = FORMAT_VERSION
  bytes[AT.type] = objectTypes[header.type]
  bytes[AT.suite] = header.suite
  bytes[AT.flags] = header.isSigned === true ? SIGNED_FLAG : 0
  view.setUint32(AT.generation, header.generation, true)
  bytes.set(header.salt, AT.salt)
  bytes.set(header.commitment, AT.commitment)
  return bytes
}

/**
 * Parses a header and refuses what this version must refuse.
 *
 * @param key name of the object, for messages
 * @throws GranaryError `GRANARY_CORRUPT` when it isn't a header, `GRANARY_UNSUPPORTED` when it is of a newer format
 */
export const decodeHeader = (bytes: Bytes, key: string): ObjectHeader => {
  const refuse = (what: string): GranaryError =>
    new GranaryError('GRANARY_CORRUPT', `${key}: ${what}`, { detail: { object: key } })
  if (bytes.length < HEADER_BYTES) throw refuse(`expected a header of ${HEADER_BYTES} bytes, found ${bytes.length}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  if (view.getUint32(AT.magic, true) !== MAGIC) throw refuse('does not begin with "GRNY"')
  const version = view.getUint8(AT.version)
  if (version !== FORMAT_VERSION) {
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `${key}: format version ${version}, this program reads ${FORMAT_VERSION}`,
      {
        detail: { object: key, found: version, expected: FORMAT_VERSION },
        hint: 'use a newer Granary, or run `granary check` if the version never was newer',
      },
    )
  }
  const type = typeNames.get(view.getUint8(AT.type))
  if (type === undefined) throw refuse(`unknown object type ${view.getUint8(AT.type)}`)
  const isSigned = view.getUint8(AT.flags) === SIGNED_FLAG && SIGNABLE.has(type)
  if ((view.getUint8(AT.flags) !== 0 && !isSigned) || view.getUint32(AT.reserved, true) !== 0)
    throw refuse('reserved header bytes are not zero')
  return {
    type,
    suite: view.getUint8(AT.suite),
    generation: view.getUint32(AT.generation, true),
    salt: bytes.slice(AT.salt, AT.salt + 32),
    commitment: bytes.slice(AT.commitment, AT.commitment + 32),
    isSigned,
  }
}
