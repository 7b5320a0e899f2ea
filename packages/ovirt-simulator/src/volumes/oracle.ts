/**
 * What a disk held at the moments that count, kept apart from all that serves it: a file of its own that gets the same
 * writes, and digests of it at each freeze. Tests hold restores against that.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { isZero } from '@granary/core'
import type { Bytes, DiskReader, Range } from '@granary/core'

const BLOCK_BYTES = 65_536
const DIGEST_BYTES = 16
const READ_BYTES = 4 * 1024 * 1024

/** The content of a disk at one moment. */
export interface OracleRecord {
  readonly sizeBytes: number
  /** One digest for each 64 KiB; zeros for a block of zeros. */
  readonly digests: Uint8Array
}

export class Oracle {
  readonly #file: FileHandle
  #sizeBytes: number
  #digests: Uint8Array
  /** Blocks changed since their digest was taken. */
  #stale: Uint8Array

  private constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
    this.#digests = new Uint8Array(blocks(sizeBytes) * DIGEST_BYTES)
    this.#stale = new Uint8Array(blocks(sizeBytes))
  }

  /** A disk of zeros. */
  static async create(path: string, sizeBytes: number): Promise<Oracle> {
    const file = await open(path, 'wx+')
    await file.truncate(sizeBytes)
    return new Oracle(file, sizeBytes)
  }

  async write(offset: number, bytes: Bytes): Promise<void> {
    for (let done = 0; done < bytes.length;)
      done += (await this.#file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
    this.#touch(offset, bytes.length)
  }

  async zero(offset: number, length: number): Promise<void> {
    const zeros = new Uint8Array(Math.min(length, READ_BYTES))
    for (let at = offset; at < offset + length;) {
      const known = this.#zeroBlocksAt(at, offset + length)
      if (known > at) at = known
      else {
        const stop = Math.min(offset + length, at + zeros.length)
        await this.write(at, zeros.subarray(0, stop - at))
        at = stop
      }
    }
  }

  async resize(sizeBytes: number): Promise<void> {
    await this.#file.truncate(sizeBytes)
    const [digests, stale] = [this.#digests, this.#stale]
    this.#digests = new Uint8Array(blocks(sizeBytes) * DIGEST_BYTES)
    this.#digests.set(digests.subarray(0, this.#digests.length))
    this.#stale = new Uint8Array(blocks(sizeBytes))
    this.#stale.set(stale.subarray(0, this.#stale.length))
    // The block at the border now ends elsewhere.
    const border = Math.min(this.#sizeBytes, sizeBytes)
    if (border % BLOCK_BYTES !== 0) this.#stale[Math.floor(border / BLOCK_BYTES)] = 1
    this.#sizeBytes = sizeBytes
  }

  /** The content now. The caller sees to it that nothing is written meanwhile. */
  async record(): Promise<OracleRecord> {
    const block = new Uint8Array(BLOCK_BYTES)
    for (let at = this.#stale.indexOf(1); at >= 0; at = this.#stale.indexOf(1, at + 1)) {
      const length = Math.min(BLOCK_BYTES, this.#sizeBytes - at * BLOCK_BYTES)
      await this.#file.read(block, 0, length, at * BLOCK_BYTES)
      this.#digests.set(digestOf(block.subarray(0, length)), at * DIGEST_BYTES)
      this.#stale[at] = 0
    }
    return { sizeBytes: this.#sizeBytes, digests: this.#digests.slice() }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #touch(offset: number, length: number): void {
    if (length > 0) this.#stale.fill(1, Math.floor(offset / BLOCK_BYTES), Math.ceil((offset + length) / BLOCK_BYTES))
  }

  /** Where blocks known to be zeros end, from a block's start on: those need no writing. */
  #zeroBlocksAt(offset: number, end: number): number {
    if (offset % BLOCK_BYTES !== 0) return offset
    let at = offset / BLOCK_BYTES
    const isKnownZero = (): boolean =>
      this.#stale[at] === 0 && isZero(this.#digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES))
    while (at * BLOCK_BYTES < end && isKnownZero()) at++
    return Math.min(at * BLOCK_BYTES, end)
  }
}

/**
 * Where a disk differs from what was recorded, at most `limit` ranges of whole blocks; none means that it is the same to the bit.
 * A disk that is longer counts as the same where the rest is zeros, as restores that round sizes up leave it.
 */
export const differencesFrom = async (record: OracleRecord, disk: DiskReader, limit = 16): Promise<Range[]> => {
  const differences: Range[] = []
  if (disk.sizeBytes < record.sizeBytes) return [{ offset: disk.sizeBytes, length: record.sizeBytes - disk.sizeBytes }]
  const buffer = new Uint8Array(READ_BYTES)
  for (let at = 0; at < disk.sizeBytes && differences.length < limit; at += READ_BYTES) {
    const part = buffer.subarray(0, Math.min(READ_BYTES, disk.sizeBytes - at))
    await disk.read(at, part)
    for (let offset = at; offset < at + part.length && differences.length < limit; offset += BLOCK_BYTES)
      if (!isSame(record, offset, part.subarray(offset - at, Math.min(offset - at + BLOCK_BYTES, part.length))))
        differences.push({ offset, length: Math.min(BLOCK_BYTES, disk.sizeBytes - offset) })
  }
  return differences
}

const isSame = ({ sizeBytes, digests }: OracleRecord, offset: number, block: Bytes): boolean => {
  const known = Math.max(0, Math.min(block.length, sizeBytes - offset))
  const at = (offset / BLOCK_BYTES) * DIGEST_BYTES
  const isTailZero = isZero(block.subarray(known))
  return (
    isTailZero &&
    (known === 0 || Buffer.compare(digestOf(block.subarray(0, known)), digests.subarray(at, at + DIGEST_BYTES)) === 0)
  )
}

const digestOf = (block: Bytes): Uint8Array =>
  isZero(block) ? new Uint8Array(DIGEST_BYTES) : createHash('sha256').update(block).digest().subarray(0, DIGEST_BYTES)

const blocks = (sizeBytes: number): number => Math.ceil(sizeBytes / BLOCK_BYTES)
