/** What both versions of LUKS say in their headers, in one form. @module */
import type { Bytes } from '@granary/core'
import { overLimit } from '../../errors.ts'

export type Kdf =
  | { readonly kind: 'pbkdf2'; readonly hash: string; readonly iterations: number; readonly salt: Bytes }
  | {
      readonly kind: 'argon2i' | 'argon2id'
      readonly passes: number
      readonly memoryKiB: number
      readonly lanes: number
      readonly salt: Bytes
    }

export interface Keyslot {
  readonly name: string
  readonly kdf: Kdf
  /** Where the volume key stands, split and encrypted. */
  readonly offset: number
  /** Such as `aes-xts-plain64`. */
  readonly cipher: string
  /** Of the key that encrypts the area. */
  readonly areaKeyBytes: number
  /** Of the volume key. */
  readonly keyBytes: number
  readonly stripes: number
  readonly splitHash: string
}

/** Tells whether a volume key is right. */
export interface Digest {
  readonly kdf: Extract<Kdf, { kind: 'pbkdf2' }>
  readonly digest: Bytes
  readonly keyslots: readonly string[]
}

export interface Segment {
  readonly offset: number
  /** To the end of the disk when undefined. */
  readonly sizeBytes?: number
  readonly cipher: string
  readonly sectorBytes: number
  /** Added to the numbers of sectors, which count 512 bytes. */
  readonly firstSector: number
}

export interface LuksHeader {
  readonly segment: Segment
  readonly keyslots: readonly Keyslot[]
  readonly digests: readonly Digest[]
}

/** Ten seconds of work or so; cryptsetup chooses two at most. */
const MAX_ITERATIONS = 100_000_000
const MAX_PASSES = 1000
const MAX_MEMORY_KIB = 4 * 1024 * 1024
const MAX_LANES = 64
const MAX_KEY_BYTES = 512
const MAX_STRIPES = 65_536

/** A damaged or hostile header must not cost more than a sound one. @throws GranaryError `GRANARY_LIMIT` */
export const checkKdf = (kdf: Kdf, where: string): void => {
  const limits: readonly (readonly [number, number, string])[] =
    kdf.kind === 'pbkdf2'
      ? [[kdf.iterations, MAX_ITERATIONS, 'iterations']]
      : [
          [kdf.passes, MAX_PASSES, 'passes'],
          [kdf.memoryKiB, MAX_MEMORY_KIB, 'KiB of memory'],
          [kdf.lanes, MAX_LANES, 'lanes'],
        ]
  checkLimits(limits, where)
}

/** @throws GranaryError `GRANARY_LIMIT` */
export const checkKeyslot = ({ keyBytes, areaKeyBytes, stripes, kdf }: Keyslot, where: string): void => {
  checkLimits(
    [
      [keyBytes, MAX_KEY_BYTES, 'bytes of a key'],
      [areaKeyBytes, MAX_KEY_BYTES, 'bytes of a key'],
      [stripes, MAX_STRIPES, 'stripes'],
    ],
    where,
  )
  checkKdf(kdf, where)
}

const checkLimits = (limits: readonly (readonly [number, number, string])[], where: string): void => {
  for (const [value, limit, what] of limits)
    if (!(Number.isInteger(value) && value >= 1 && value <= limit))
      throw overLimit(where, `1 to ${limit} ${what}`, value)
}
