/**
 * From a passphrase to a key-encryption key: the functions, the bounds on what they may cost, and the choice of a cost.
 *
 * @see RFC 9106 (Argon2), RFC 7914 (scrypt), docs/formats/keys.md, "Key slots"
 * @module
 */
import { scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { defaultArgon2Engine } from './argon2.ts'
import type { Argon2Cost, Argon2Engine } from './argon2.ts'

/** A key derivation function with its cost, as a slot's header has it beside the salt. */
export type Kdf = ({ readonly name: 'argon2id' } & Argon2Cost) | ScryptKdf

export interface ScryptKdf {
  readonly name: 'scrypt'
  /** Binary logarithm of N. */
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** Bounds on costs, checked before any work: a hostile slot can't make us spend more. */
const BOUNDS = {
  memoryKiB: { min: 8, max: 4 * 1024 * 1024 },
  passes: { min: 1, max: 64 },
  lanes: { min: 1, max: 16 },
  logN: { min: 1, max: 24 },
  r: { min: 1, max: 64 },
  p: { min: 1, max: 16 },
} as const
const MAX_MEMORY_BYTES = 4 * 2 ** 30

/** What scrypt costs when it is asked for by name alone: 128 MiB. */
export const DEFAULT_SCRYPT: ScryptKdf = { name: 'scrypt', logN: 17, r: 8, p: 1 }

/** The least that a cost chosen by measurement may be: RFC 9106's second recommendation. */
const FLOOR: Argon2Cost = { memoryKiB: 64 * 1024, passes: 3, lanes: 4 }

/** The most memory that a cost chosen by measurement takes: a small machine must be able to open the slot too. */
const CHOSEN_MEMORY_MAX_KIB = 256 * 1024

const KEK_BYTES = 32

/**
 * @throws GranaryError `GRANARY_LIMIT` when a cost is beyond its bounds
 */
export const checkKdf = (kdf: Kdf): void => {
  if (kdf.name === 'argon2id') {
    const { memoryKiB, passes, lanes } = kdf
    checkBounds({ memoryKiB, passes, lanes })
    if (memoryKiB < 8 * lanes) throw beyond('memoryKiB', memoryKiB, `at least 8 for each of ${lanes} lanes`)
    return
  }
  const { logN, r, p } = kdf
  checkBounds({ logN, r, p })
  const memoryBytes = 128 * r * 2 ** logN
  if (memoryBytes > MAX_MEMORY_BYTES) throw beyond('memory', memoryBytes, `at most ${MAX_MEMORY_BYTES} bytes`)
}

export interface DeriveKekOptions {
  /** @default the fastest on this machine */
  readonly argon2?: Argon2Engine | undefined
}

/**
 * The 32-byte key-encryption key of a passphrase.
 *
 * @throws GranaryError `GRANARY_LIMIT` when the cost is beyond its bounds, before any work; or when memory is lacking
 */
export const deriveKek = async (
  passphrase: Bytes,
  salt: Bytes,
  kdf: Kdf,
  { argon2 = defaultArgon2Engine() }: DeriveKekOptions = {},
): Promise<Bytes> => {
  checkKdf(kdf)
  try {
    if (kdf.name === 'argon2id') return await argon2.hash(passphrase, salt, kdf, KEK_BYTES)
    return await runScrypt(passphrase, salt, kdf)
  } catch (cause) {
    throw new GranaryError('GRANARY_LIMIT', `${kdf.name} could not run with the cost this slot asks for`, {
      detail: { kdf: kdf.name },
      cause,
      hint: 'The machine probably has too little memory for this slot: open it on a larger one, or use another slot.',
    })
  }
}

const scryptAsync = promisify<Bytes, Bytes, number, object, Buffer>(scrypt)

const runScrypt = async (passphrase: Bytes, salt: Bytes, { logN, r, p }: ScryptKdf): Promise<Bytes> => {
  const N = 2 ** logN
  // Node counts a little more than the 128 N r bytes that the function is about.
  return new Uint8Array(await scryptAsync(passphrase, salt, KEK_BYTES, { N, r, p, maxmem: 128 * (N + p + 32) * r }))
}

export interface ChooseCostOptions extends DeriveKekOptions {
  /** How long one try should take on this machine, milliseconds. @default 500 */
  readonly targetMs?: number
  /** The clock, milliseconds. @default performance.now */
  readonly now?: () => number
}

/**
 * An Argon2id cost that takes about `targetMs` on this machine, and never less than 64 MiB, 3 passes and 4 lanes. Memory
 * grows first, up to 256 MiB, then passes.
 */
export const chooseArgon2Cost = async ({
  argon2 = defaultArgon2Engine(),
  targetMs = 500,
  now = () => performance.now(),
}: ChooseCostOptions = {}): Promise<{ readonly name: 'argon2id' } & Argon2Cost> => {
  const from = now()
  await argon2.hash(new Uint8Array(8), new Uint8Array(16), FLOOR, KEK_BYTES)
  const ratio = Math.max(1, targetMs / Math.max(1, now() - from))
  const doublings = Math.min(Math.log2(CHOSEN_MEMORY_MAX_KIB / FLOOR.memoryKiB), Math.floor(Math.log2(ratio)))
  const passes = Math.floor((FLOOR.passes * ratio) / 2 ** doublings)
  return {
    name: 'argon2id',
    memoryKiB: FLOOR.memoryKiB * 2 ** doublings,
    passes: Math.min(Math.max(passes, FLOOR.passes), BOUNDS.passes.max),
    lanes: FLOOR.lanes,
  }
}

const checkBounds = (values: Partial<Record<keyof typeof BOUNDS, number>>): void => {
  for (const [name, value] of Object.entries(values)) {
    const { min, max } = BOUNDS[name as keyof typeof BOUNDS]
    if (!(Number.isInteger(value) && value >= min && value <= max)) throw beyond(name, value, `${min} to ${max}`)
  }
}

const beyond = (name: string, got: number, expected: string): GranaryError =>
  new GranaryError('GRANARY_LIMIT', `key derivation: ${name} is ${got}, expected ${expected}`, {
    detail: { parameter: name, got, expected },
  })
