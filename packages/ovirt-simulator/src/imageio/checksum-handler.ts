/** `/images/TICKET/checksum`. CONTRACT §6.6 @module */
import { createHash } from 'node:crypto'
import { isZero } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'
import { blake2b256 } from './blake2b.ts'
import type { Exchange } from './exchange.ts'
import { HttpFailure } from './http-failure.ts'
import type { Authorize } from './images-handler.ts'
import { pythonRepr } from './python-text.ts'
import type { Operation } from './ticket.ts'
import { oneOf } from './validate.ts'

/** Python's `hashlib.algorithms_available` on the machine of the captures. */
const ALGORITHMS = `blake2b blake2s md5 md5-sha1 ripemd160 sha1 sha224 sha256 sha384 sha3_224 sha3_256 sha3_384 sha3_512
sha512 sha512_224 sha512_256 shake_128 shake_256 sm3`.split(/\s+/)
const DEFAULT_BLOCK_BYTES = 4 * 1024 * 1024
const MIN_BLOCK_BYTES = DEFAULT_BLOCK_BYTES / 4
const MAX_BLOCK_BYTES = DEFAULT_BLOCK_BYTES * 4

export const listAlgorithms = (exchange: Exchange): void => exchange.sendJson({ algorithms: ALGORITHMS })

export const getChecksum = async (authorize: Authorize, exchange: Exchange, ticketId: string): Promise<void> => {
  const algorithm = oneOf('algorithm', exchange.query.get('algorithm'), ALGORITHMS, 'blake2b')
  const asked = exchange.query.get('block_size') ?? String(DEFAULT_BLOCK_BYTES)
  if (!/^\s*[+-]?\d+\s*$/.test(asked)) throw new HttpFailure(400, `Invalid block size: ${pythonRepr(asked)}`)
  const blockBytes = Number(asked)
  if (blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES)
    throw new HttpFailure(400, `Block size out of allowed range: ${MIN_BLOCK_BYTES}-${MAX_BLOCK_BYTES}`)
  if (blockBytes % 4096 !== 0) throw new HttpFailure(400, 'Block size is not aligned to 4096')
  const { ticket, backend } = await authorize(exchange, ticketId, 'read')
  const checksum = await ticket.run(
    0,
    async operation => await hashDisk(backend.disk, algorithm, blockBytes, operation),
  )
  exchange.sendJson({ algorithm, block_size: blockBytes, checksum })
}

/** Hash of the hashes of the blocks. */
const hashDisk = async (
  disk: DiskReader,
  algorithm: string,
  blockBytes: number,
  operation: Operation,
): Promise<string> => {
  const block = new Uint8Array(blockBytes)
  const digests: Uint8Array[] = []
  let zeroDigest: Uint8Array | undefined
  for (let at = 0; at < disk.sizeBytes; at += blockBytes) {
    const part = block.subarray(0, Math.min(blockBytes, disk.sizeBytes - at))
    await disk.read(at, part, { signal: operation.signal })
    digests.push(
      part.length === blockBytes && isZero(part) ? (zeroDigest ??= digest(algorithm, part)) : digest(algorithm, part),
    )
  }
  return Buffer.from(digest(algorithm, Buffer.concat(digests))).toString('hex')
}

/** OpenSSL's names; BLAKE2 has 32 bytes of digest in both sizes. */
const digest = (algorithm: string, bytes: Bytes): Uint8Array => {
  if (algorithm === 'blake2b') return blake2b256(bytes)
  const name = algorithm === 'blake2s' ? 'blake2s256' : algorithm.replace('shake_', 'shake').replace('_', '-')
  return createHash(name).update(bytes).digest()
}
