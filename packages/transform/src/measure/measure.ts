/** How fast this machine enciphers and seals, for people who choose a suite, and for the bench. @module */
import { createCipheriv, randomBytes } from 'node:crypto'
import { Arena } from '@granary/core'
import { CtrEngine } from '../ciphers/ctr-engine.ts'
import type { CipherEngine } from '../ciphers/ctr.ts'
import { opensslName } from '../ciphers/openssl.ts'
import { blockCiphers, cipherByName } from '../ciphers/table.ts'
import { ctrSuiteName } from '../suites/ctr-blake3.ts'
import type { Suite } from '../suites/suite.ts'
import { suiteByName } from '../suites/table.ts'

/** What a cipher runs over, in memory that is reused. */
const DATA_BYTES = 2 ** 20

/** What a suite seals at a time: a usual chunk. */
const MESSAGE_BYTES = 128 * 1024

/** CPU time of one turn of a candidate. */
const TURN_SECONDS = 0.04

/** V8 compiles a kernel for speed once it has run for a while: data to run over first, bytes. */
const WARM_UP_BYTES = 12 * 2 ** 20

/** Figures are MB (10^6 bytes) per CPU second of one thread, the best of several turns. */
export interface CipherFigures {
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
  /** node:crypto's AES-256-CTR in the same turns: a yardstick for this machine at this moment. */
  readonly aesMegabytesPerSecond: number
}

export interface MeasureOptions {
  /** CPU time for each, seconds. */
  readonly seconds: number
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Something to measure, and how many bytes it does. */
interface Candidate {
  readonly bytes: number
  readonly run: () => void
}

/** The best MB per CPU second of each candidate, who take turns. */
const race = (candidates: readonly Candidate[], seconds: number): number[] => {
  for (const { bytes, run } of candidates) for (let done = 0; done < WARM_UP_BYTES; done += bytes) run()
  const best = candidates.map(() => 0)
  for (const start = cpuSeconds(); cpuSeconds() - start < seconds;)
    for (const [i, candidate] of candidates.entries()) best[i] = Math.max(best[i] as number, takeTurn(candidate))
  return best
}

const takeTurn = ({ bytes, run }: Candidate): number => {
  const start = cpuSeconds()
  let done = 0
  let spent = 0
  do {
    run()
    done += bytes
    spent = cpuSeconds() - start
  } while (spent < TURN_SECONDS)
  return done / 1e6 / spent
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

/** AES as it was measured beside the native libraries: one `update` of 1 MiB into fresh memory. */
const yardstick = (): Candidate => {
  const cipher = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16))
  const data = randomBytes(DATA_BYTES)
  return { bytes: DATA_BYTES, run: () => cipher.update(data) }
}

/**
 * Figures of every cipher, or of those that are named: a row a block size. Each takes its time when it is asked for.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is no such cipher
 */
export function* measureCiphers(
  { seconds }: MeasureOptions,
  names: readonly string[] = [],
): Generator<CipherFigures, void, undefined> {
  for (const variant of variantsOf(names)) {
    const { name: cipher, blockBits, keyBits } = variant
    const suite = suiteByName(ctrSuiteName({ cipher, blockBits, keyBits }))
    const spec = cipherByName(cipher)
    const candidates = [yardstick(), sealCandidate(suite), engineCandidate(variant, 'wasm')]
    const hasOpenssl = opensslName(spec, keyBits, 'ctr') !== undefined
    if (hasOpenssl) candidates.push(engineCandidate(variant, 'openssl'))
    const [aes = 0, seal = 0, wasm = 0, openssl = 0] = race(candidates, seconds).map(Math.round)
    yield {
      cipher,
      blockBits,
      keyBits,
      wasmMegabytesPerSecond: wasm,
      ...(hasOpenssl && { opensslMegabytesPerSecond: openssl }),
      chosen: hasOpenssl && spec.openssl?.isFaster === true ? 'openssl' : 'wasm',
      suite: suite.name,
      sealMegabytesPerSecond: seal,
      aesMegabytesPerSecond: aes,
    }
  }
}

/** MB per CPU second of sealing messages of 128 KiB with a suite. */
export const measureSuite = (suite: Suite, { seconds }: MeasureOptions): number =>
  Math.round(race([sealCandidate(suite)], seconds)[0] as number)
