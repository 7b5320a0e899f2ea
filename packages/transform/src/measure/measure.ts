/** How fast this machine enciphers and seals, for people who choose a suite, and for the bench. @module */
import { randomBytes } from 'node:crypto'
import { Arena } from '@granary/core'
import { CtrEngine } from '../ciphers/ctr-engine.ts'
import type { CipherEngine } from '../ciphers/ctr.ts'
import { opensslName } from '../ciphers/openssl.ts'
import { blockCiphers, cipherByName } from '../ciphers/table.ts'
import { ctrSuiteName } from '../suites/ctr-blake3.ts'
import type { Suite } from '../suites/suite.ts'
import { suiteByName } from '../suites/table.ts'
import { measureAesHere } from './aes.ts'
import type { AesFigures } from './aes.ts'
import { race } from './race.ts'
import type { Candidate } from './race.ts'

/** What a cipher runs over, in memory that is reused. */
const DATA_BYTES = 2 ** 20

/** What a suite seals at a time: a usual chunk. */
const MESSAGE_BYTES = 128 * 1024

/** Figures are MB (10^6 bytes) per CPU second of one thread, the median of several turns. */
export interface CipherFigures extends AesFigures {
  readonly cipher: string
  readonly blockBits: number
  readonly keyBits: number
  readonly wasmMegabytesPerSecond: number
  /** Where the runtime's OpenSSL has the cipher. */
  readonly opensslMegabytesPerSecond?: number
  /** Which of the two is used. */
  readonly chosen: CipherEngine
  /** The suite of this cipher, and how fast it seals messages of 128 KiB. */
  readonly suite: string
  readonly sealMegabytesPerSecond: number
}

export interface MeasureOptions {
  /** CPU time for each, seconds. */
  readonly seconds: number
}

export interface MeasureCiphersOptions extends MeasureOptions {
  /** What `measureAes` gave, to stand in every row. @default measured at the start, in this process */
  readonly aes?: AesFigures
}

interface Variant {
  readonly name: string
  readonly blockBits: number
  readonly keyBits: number
}

/** One for each block size, with its largest key, or that of the block's size where there are several block sizes. */
const variantsOf = (names: readonly string[]): Variant[] => {
  const wanted = new Set(names.map(name => cipherByName(name).name))
  return blockCiphers
    .filter(({ name }) => wanted.size === 0 || wanted.has(name))
    .flatMap(({ name, sizes }) =>
      sizes.map(({ blockBits, keyBits }) => ({
        name,
        blockBits,
        keyBits: sizes.length > 1 ? blockBits : Math.max(...keyBits),
      })),
    )
}

const engineCandidate = (variant: Variant, engine: CipherEngine): Candidate => {
  const arena = new Arena(DATA_BYTES + 65_536)
  const cipher = new CtrEngine(arena, { ...variant, engine })
  const { pointer } = arena.allocate(DATA_BYTES)
  cipher.setKey(randomBytes(cipher.keyBytes))
  let ordinal = 0n
  return { bytes: DATA_BYTES, run: () => cipher.ctrInto(pointer, DATA_BYTES, { ordinal: ordinal++ }) }
}

const sealCandidate = (suite: Suite): Candidate => {
  const plain = new Uint8Array(randomBytes(MESSAGE_BYTES))
  const target = new Uint8Array(MESSAGE_BYTES + suite.tagBytes)
  const associated = new Uint8Array(64)
  const sealer = suite.open({ encryption: randomBytes(suite.keyBytes), mac: randomBytes(32) })
  let ordinal = 0
  return { bytes: MESSAGE_BYTES, run: () => sealer.sealInto(ordinal++, associated, plain, target) }
}

/**
 * Figures of every cipher, or of those that are named: a row a block size. Each takes its time when it is asked for.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is no such cipher
 */
export function* measureCiphers(
  { seconds, aes = measureAesHere(seconds) }: MeasureCiphersOptions,
  names: readonly string[] = [],
): Generator<CipherFigures, void, undefined> {
  for (const variant of variantsOf(names)) {
    const { name: cipher, blockBits, keyBits } = variant
    const suite = suiteByName(ctrSuiteName({ cipher, blockBits, keyBits }))
    const spec = cipherByName(cipher)
    const candidates = [sealCandidate(suite), engineCandidate(variant, 'wasm')]
    const hasOpenssl = opensslName(spec, keyBits, 'ctr') !== undefined
    if (hasOpenssl) candidates.push(engineCandidate(variant, 'openssl'))
    const [seal = 0, wasm = 0, openssl = 0] = race(candidates, seconds).map(Math.round)
    yield {
      cipher,
      blockBits,
      keyBits,
      wasmMegabytesPerSecond: wasm,
      ...(hasOpenssl && { opensslMegabytesPerSecond: openssl }),
      chosen: hasOpenssl && spec.openssl?.isFaster === true ? 'openssl' : 'wasm',
      suite: suite.name,
      sealMegabytesPerSecond: seal,
      ...aes,
    }
  }
}

/** MB per CPU second of sealing messages of 128 KiB with a suite. */
export const measureSuite = (suite: Suite, { seconds }: MeasureOptions): number =>
  Math.round(race([sealCandidate(suite)], seconds)[0] as number)
