/**
 * The chunkers once more, as plainly as docs/formats/chunking.md describes them: one block, one byte at a time, with big
 * integers and no state machines. What the kernels and cutters do is held against this.
 */
import { createCipheriv, hkdfSync } from 'node:crypto'
import type { Bytes } from '@granary/core'
import type { ChunkerParameters } from '../src/index.ts'

export interface Piece {
  readonly length: number
  readonly kind: 'data' | 'zero'
}

const BLOCK = 4096
const ZERO_RUN = 32_768

export const secretFor = (secret: Bytes, use: string, length: number): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `granary chunker v1 ${use}`, length))

export const isZero = (bytes: Bytes): boolean => bytes.every(byte => byte === 0)

/** Two passes of NH over a block; the second one uses the key 4 words further on. */
export const nhDigest = (block: Bytes, key: Buffer): Buffer => {
  const message = Buffer.from(block)
  const digest = Buffer.alloc(16)
  for (const pass of [0, 1]) {
    let sum = 0n
    const term = (word: number): bigint =>
      BigInt((message.readUInt32LE(4 * word) + key.readUInt32LE(4 * (word + 4 * pass))) % 2 ** 32)
    for (let eight = 0; eight < 1024; eight += 8) {
      for (let t = 0; t < 4; t++) sum += term(eight + t) * term(eight + t + 4)
    }
    digest.writeBigUInt64LE(sum % 2n ** 64n, 8 * pass)
  }
  return digest
}

/** Whether a block may end a chunk shorter than the average, or a longer one. */
export const gridVerdict = (
  block: Bytes,
  averageBytes: number,
  secret: Bytes,
): { ends: boolean; endsLong: boolean } => {
  const cipher = createCipheriv('aes-256-ecb', secretFor(secret, 'grid aes', 32), null).setAutoPadding(false)
  const sealed = cipher.update(nhDigest(block, secretFor(secret, 'grid nh', 4112)))
  const bits = Math.log2(averageBytes / BLOCK)
  const word = sealed.readUInt32LE(0)
  return { ends: word % 2 ** (bits + 2) === 0, endsLong: word % 2 ** (bits - 2) === 0 }
}

const blockAt = (bytes: Bytes, at: number): Bytes => bytes.subarray(at, at + BLOCK)
const isZeroBlock = (bytes: Bytes, at: number): boolean => at + BLOCK <= bytes.length && isZero(blockAt(bytes, at))

/** How many bytes of whole zero blocks begin at `at`; a part of a block at the end of the disk counts behind a zero run. */
const zerosFrom = (bytes: Bytes, at: number): number => {
  let end = at
  while (isZeroBlock(bytes, end)) end += BLOCK
  const rest = bytes.subarray(end)
  return end - at >= ZERO_RUN && rest.length < BLOCK && isZero(rest) ? bytes.length - at : end - at
}

const gridPieces = (bytes: Bytes, { minBytes, averageBytes, maxBytes }: ChunkerParameters, secret: Bytes): Piece[] => {
  const verdicts = new Map<string, ReturnType<typeof gridVerdict>>()
  const verdict = (at: number): ReturnType<typeof gridVerdict> => {
    const block = blockAt(bytes, at)
    const key = Buffer.from(block).toString('latin1')
    const known = verdicts.get(key) ?? gridVerdict(block, averageBytes, secret)
    verdicts.set(key, known)
    return known
  }
  /** Where the chunk that begins at `start` would end if there were no zero runs. */
  const endByContent = (start: number): number => {
    for (let end = start + BLOCK; end <= bytes.length; end += BLOCK) {
      const length = end - start
      if (length === maxBytes) return end
      if (length < minBytes || isZeroBlock(bytes, end - BLOCK)) continue
      const { ends, endsLong } = verdict(end - BLOCK)
      if (length < averageBytes ? ends : endsLong) return end
    }
    return bytes.length
  }
  const zeroRunAfter = (start: number): number => {
    let at = start
    while (at < bytes.length && zerosFrom(bytes, at) < ZERO_RUN) at += BLOCK
    return at
  }
  const pieces: Piece[] = []
  for (let at = 0; at < bytes.length;) {
    const zeros = zerosFrom(bytes, at)
    if (zeros >= ZERO_RUN) {
      pieces.push({ length: zeros, kind: 'zero' })
      at += zeros
      continue
    }
    const end = endByContent(at)
    const run = zeroRunAfter(at)
    const length = (end < run + ZERO_RUN ? end : run) - at
    pieces.push({ length, kind: 'data' })
    at += length
  }
  return pieces
}

const joinZeros = (pieces: readonly Piece[]): Piece[] => {
  const joined: Piece[] = []
  for (const piece of pieces) {
    const last = joined.at(-1)
    if (piece.kind === 'zero' && last?.kind === 'zero')
      joined.splice(-1, 1, { ...last, length: last.length + piece.length })
    else joined.push(piece)
  }
  return joined
}

const fixedPieces = (bytes: Bytes, { averageBytes }: ChunkerParameters): Piece[] => {
  const pieces: Piece[] = []
  for (let at = 0; at < bytes.length; at += averageBytes) {
    const chunk = bytes.subarray(at, at + averageBytes)
    pieces.push({ length: chunk.length, kind: isZero(chunk) ? 'zero' : 'data' })
  }
  return joinZeros(pieces)
}

const gearStep = (hash: bigint, byte: number, table: Buffer): bigint =>
  BigInt.asUintN(64, (hash << 1n) + table.readBigUInt64LE(8 * byte))

export const gearHash = (bytes: Bytes, table: Buffer): bigint =>
  bytes.reduce((hash, byte) => gearStep(hash, byte, table), 0n)

/** Where the first byte in [from, to) ends after which the `bits` bits below bit 63 are zero, the hash beginning with `hashed`. */
export const gearStop = (
  bytes: Bytes,
  from: number,
  to: number,
  bits: number,
  table: Buffer,
  hashed: Bytes = new Uint8Array(0),
): number | undefined => {
  const mask = ((1n << BigInt(bits)) - 1n) << BigInt(63 - bits)
  let hash = gearHash(hashed, table)
  for (let at = from; at < to; at++) {
    hash = gearStep(hash, bytes[at] as number, table)
    if ((hash & mask) === 0n) return at + 1
  }
  return undefined
}

/** How long the chunk is that begins a stretch of data. */
const gearLength = (bytes: Bytes, { minBytes, averageBytes, maxBytes }: ChunkerParameters, table: Buffer): number => {
  const bits = Math.log2(averageBytes)
  const end = Math.min(bytes.length, maxBytes)
  const middle = Math.min(averageBytes, end)
  const short = gearStop(bytes, minBytes, middle, bits + 2, table)
  // 64 bytes are all the hash remembers.
  const remembered = bytes.subarray(Math.max(minBytes, middle - 64), middle)
  return short ?? gearStop(bytes, middle, end, bits - 2, table, remembered) ?? end
}

const fastcdcPieces = (bytes: Bytes, parameters: ChunkerParameters, secret: Bytes): Piece[] => {
  const table = secretFor(secret, 'fastcdc gear', 2048)
  const pieces: Piece[] = []
  for (let at = 0; at < bytes.length;) {
    const zeros = zerosFrom(bytes, at)
    if (zeros >= ZERO_RUN) {
      pieces.push({ length: zeros, kind: 'zero' })
      at += zeros
      continue
    }
    let end = at
    while (end < bytes.length && zerosFrom(bytes, end) < ZERO_RUN) end = Math.min(end + BLOCK, bytes.length)
    for (; at < end; at += pieces.at(-1)?.length as number) {
      pieces.push({ length: gearLength(bytes.subarray(at, end), parameters, table), kind: 'data' })
    }
  }
  return pieces
}

/** The pieces of a whole window. */
export const referencePieces = (bytes: Bytes, parameters: ChunkerParameters, secret: Bytes): Piece[] => {
  if (parameters.strategy === 'grid') return gridPieces(bytes, parameters, secret)
  if (parameters.strategy === 'fixed') return fixedPieces(bytes, parameters)
  return fastcdcPieces(bytes, parameters, secret)
}
