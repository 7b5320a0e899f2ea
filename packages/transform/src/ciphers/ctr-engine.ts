/** Counter mode in place over a worker's arena: what the suites seal with. @module */
import { createCipheriv } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Arena, ArenaSlice, Bytes } from '@granary/core'
import { selectBlockBits } from './block-cipher.ts'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { expectLength, expectOffset, invalid } from './check.ts'
import { advanceCounter } from './counter.ts'
import type { CipherEngine } from './ctr.ts'
import { WORK_AREA_BYTES, kernelOf } from './kernel-cache.ts'
import { opensslName } from './openssl.ts'
import { cipherByName } from './table.ts'

/** Output of OpenSSL goes through fresh memory: pieces of this size stay in the cache and cause no page faults. */
const OPENSSL_PIECE_BYTES = 32 * 1024

export interface CtrEngineOptions {
  /** See `blockCipher`. */
  readonly name: string
  readonly keyBits: number
  /** @default 128, or for Kalyna and Threefish the size of the key */
  readonly blockBits?: number
  /** @default whichever was measured faster for this cipher */
  readonly engine?: CipherEngine
}

export interface CtrMessageOptions {
  /** Number of the message under this key, the high half of its counter blocks. Never use one twice. */
  readonly ordinal: bigint
  /** Where in the message the range begins, bytes. @default 0 */
  readonly offset?: number
}

/**
 * A cipher in counter mode for one key at a time. The counter block is `ordinal` (high half) || block number in the message
 * (low half, from 0), both big-endian. Its areas in the arena are taken once; keys may be changed as often as wanted.
 */
export class CtrEngine {
  readonly blockBytes: number
  readonly keyBytes: number
  readonly #arena: Arena
  readonly #spec: BlockCipherSpec
  readonly #openssl: string | undefined
  readonly #kernel: BlockKernel | undefined
  readonly #key: ArenaSlice
  readonly #work: ArenaSlice
  readonly #edge: ArenaSlice
  #opensslKey: Bytes | undefined
  #isKeyed = false

  /** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is no such cipher, key or block size; `GRANARY_LIMIT` when the arena is full */
  constructor(arena: Arena, { name, keyBits, blockBits, engine }: CtrEngineOptions) {
    const spec = cipherByName(name)
    this.blockBytes = selectBlockBits(spec, keyBits, blockBits) / 8
    this.keyBytes = keyBits / 8
    this.#arena = arena
    this.#spec = spec
    const family = opensslName(spec, keyBits, 'ctr')
    if (engine === 'openssl' && family === undefined)
      throw invalid(`node:crypto has no ${name} in CTR here`, { argument: 'engine', got: engine })
    const isOpenssl = engine === undefined ? spec.openssl?.isFaster === true : engine === 'openssl'
    this.#openssl = isOpenssl ? family : undefined
    this.#kernel = this.#openssl === undefined ? kernelOf(arena, spec) : undefined
    this.#key = arena.allocate(spec.expandedBytes)
    this.#work = arena.allocate(WORK_AREA_BYTES)
    this.#edge = arena.allocate(this.blockBytes)
  }

  /** Which of the two computes. */
  get engine(): CipherEngine {
    return this.#openssl === undefined ? 'wasm' : 'openssl'
  }

  /**
   * Runs the key schedule. The key is not kept by reference.
   *
   * @param tweak Threefish only, 16 bytes @default zeros
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the key or tweak has the wrong length
   */
  setKey(key: Bytes, tweak: Bytes = new Uint8Array(this.#spec.tweakBytes)): void {
    expectLength('key', key, this.keyBytes)
    expectLength('tweak', tweak, this.#spec.tweakBytes)
    this.clear()
    if (this.#openssl === undefined)
      this.#spec.expandKey(key, this.#key.bytes, { blockBits: this.blockBytes * 8, tweak })
    else this.#opensslKey = key.slice()
    this.#isKeyed = true
  }

  /** Wipes the key. */
  clear(): void {
    this.#key.bytes.fill(0)
    this.#work.bytes.fill(0)
    this.#opensslKey?.fill(0)
    this.#isKeyed = false
  }

  /**
   * XORs the key stream of a message into `length` bytes of the arena at `pointer`: encrypts and decrypts.
   *
   * @throws GranaryError `GRANARY_LIMIT` when the ordinal or the message is beyond what the counter block holds;
   *   `GRANARY_INVALID_ARGUMENT` when the range is not in the arena or no key was set
   */
  ctrInto(pointer: number, length: number, { ordinal, offset = 0 }: CtrMessageOptions): void {
    this.#check(pointer, length, offset)
    const counter = this.#counterAt(ordinal, Math.floor(offset / this.blockBytes))
    if (this.#kernel === undefined) this.#runOpenssl(pointer, length, counter, offset % this.blockBytes)
    else this.#runKernel(this.#kernel, pointer, length, counter, offset % this.blockBytes)
  }

  #check(pointer: number, length: number, offset: number): void {
    if (!this.#isKeyed) throw invalid('no key was set', { argument: 'key' })
    expectOffset('pointer', pointer)
    expectOffset('length', length)
    expectOffset('offset', offset)
    const sizeBytes = this.#arena.memory.buffer.byteLength
    if (pointer + length > sizeBytes)
      throw invalid(`range ${pointer}+${length} is not inside the arena of ${sizeBytes} bytes`, {
        pointer,
        length,
        sizeBytes,
      })
    if (offset + length <= Number.MAX_SAFE_INTEGER) return
    throw new GranaryError('GRANARY_LIMIT', 'a message ends at 2^53 - 1 bytes', { detail: { offset, length } })
  }

  #counterAt(ordinal: bigint, block: number): Bytes {
    const half = this.blockBytes / 2
    if (ordinal < 0n || ordinal >> BigInt(half * 8) !== 0n)
      throw new GranaryError('GRANARY_LIMIT', `ordinals of this cipher have ${half * 8} bits: the key is used up`, {
        detail: { bits: half * 8 },
        hint: 'Use a new key.',
      })
    const counter = new Uint8Array(this.blockBytes)
    const digits = ordinal.toString(16).padStart(half * 2, '0')
    counter.set(Buffer.from(digits, 'hex'))
    advanceCounter(counter, block)
    return counter
  }

  #runKernel(kernel: BlockKernel, pointer: number, length: number, counter: Bytes, skip: number): void {
    this.#work.bytes.set(counter)
    let at = pointer
    const end = pointer + length
    if (skip > 0) {
      const head = Math.min(length, this.blockBytes - skip)
      this.#runEdge(kernel, at, head, skip)
      at += head
    }
    const blocks = Math.floor((end - at) / this.blockBytes)
    kernel.ctr(this.#key.pointer, this.#work.pointer, at, blocks)
    at += blocks * this.blockBytes
    if (at < end) this.#runEdge(kernel, at, end - at, 0)
  }

  /** Part of one block, through a block of its own. */
  #runEdge(kernel: BlockKernel, pointer: number, length: number, skip: number): void {
    const target = new Uint8Array(this.#arena.memory.buffer, pointer, length)
    this.#edge.bytes.set(target, skip)
    kernel.ctr(this.#key.pointer, this.#work.pointer, this.#edge.pointer, 1)
    target.set(this.#edge.bytes.subarray(skip, skip + length))
    this.#edge.bytes.fill(0)
  }

  #runOpenssl(pointer: number, length: number, counter: Bytes, skip: number): void {
    const cipher = createCipheriv(this.#openssl as string, this.#opensslKey as Bytes, counter)
    if (skip > 0) cipher.update(new Uint8Array(skip))
    const target = new Uint8Array(this.#arena.memory.buffer, pointer, length)
    for (let done = 0; done < length; done += OPENSSL_PIECE_BYTES) {
      const piece = target.subarray(done, done + OPENSSL_PIECE_BYTES)
      piece.set(cipher.update(piece))
    }
  }
}
