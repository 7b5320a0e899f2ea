/**
 * The modes of DSTU 7624 that no suite uses, as they read: GCM with its GMAC, CCM and XTS. Blocks are integers, the first byte
 * lowest.
 *
 * @module
 */
import { kalyna } from './kalyna.ts'
import { xor } from './twin.ts'

/** What follows the highest term of the field's polynomial, by the size of the block in bytes. */
const REDUCTION: Readonly<Record<number, bigint>> = { 16: 0x87n, 32: 0x425n, 64: 0x125n }

/** Bytes of a message's length in CCM. */
const CCM_LENGTH_BYTES = 4

const toInteger = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

const toBytes = (value: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))

const double = (value: bigint, blockBytes: number): bigint => {
  const top = BigInt(8 * blockBytes)
  const doubled = value << 1n
  return doubled >> top === 0n ? doubled : (doubled ^ (REDUCTION[blockBytes] as bigint)) & ((1n << top) - 1n)
}

const multiply = (a: bigint, b: bigint, blockBytes: number): bigint => {
  let [sum, power] = [0n, a]
  for (let bits = b; bits > 0n; bits >>= 1n) {
    if ((bits & 1n) === 1n) sum ^= power
    power = double(power, blockBytes)
  }
  return sum
}

/** Blocks, the last one filled up with zeros. */
const blocksOf = (bytes: Uint8Array, blockBytes: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, i) => {
    const block = new Uint8Array(blockBytes)
    block.set(bytes.subarray(i * blockBytes, (i + 1) * blockBytes))
    return block
  })

interface Message {
  readonly blockBytes: number
  readonly key: Uint8Array
  readonly iv: Uint8Array
  readonly plain: Uint8Array
  readonly associated: Uint8Array
  readonly tagBytes: number
}

/** Bytes under the key stream E(E(iv) + 1), E(E(iv) + 2) and so on. */
const counterMode = (
  encrypt: (block: Uint8Array) => Uint8Array,
  { iv, blockBytes }: Message,
  bytes: Uint8Array,
): Uint8Array => {
  const start = toInteger(encrypt(iv))
  const at = (number: number): Uint8Array =>
    encrypt(toBytes((start + BigInt(number)) & ((1n << BigInt(8 * blockBytes)) - 1n), blockBytes))
  const blocks = blocksOf(bytes, blockBytes).map((block, i) => xor(block, at(i + 1)))
  return Buffer.concat(blocks).subarray(0, bytes.length)
}

/** Ciphertext, then the tag; without a message and an iv, the tag of the associated data. */
export const dstuGcm = (message: Message): Uint8Array => {
  const { blockBytes, key, plain, associated, tagBytes } = message
  const encrypt = kalyna(key, { blockBytes, tweak: new Uint8Array() })
  const hashKey = toInteger(encrypt(new Uint8Array(blockBytes)))
  const sealed = plain.length === 0 ? new Uint8Array() : counterMode(encrypt, message, plain)
  let sum = 0n
  for (const block of [...blocksOf(associated, blockBytes), ...blocksOf(sealed, blockBytes)])
    sum = multiply(sum ^ toInteger(block), hashKey, blockBytes)
  const lengths = BigInt(8 * associated.length) | (BigInt(8 * sealed.length) << BigInt(4 * blockBytes))
  return Buffer.concat([sealed, encrypt(toBytes(sum ^ lengths, blockBytes)).subarray(0, tagBytes)])
}

/** Bits 4 to 6 of the flags of CCM, by the length of the tag. */
const TAG_FLAGS: Readonly<Record<number, number>> = { 8: 2, 16: 3, 32: 4, 48: 5, 64: 6 }

/** Message and tag under one key stream. A last block that isn't whole is filled up with a bit 1, then zeros, for the tag. */
export const dstuCcm = (message: Message): Uint8Array => {
  const { blockBytes, key, iv, plain, associated, tagBytes } = message
  const encrypt = kalyna(key, { blockBytes, tweak: new Uint8Array() })
  const first = new Uint8Array(blockBytes)
  first.set(iv.subarray(0, blockBytes - CCM_LENGTH_BYTES - 1))
  first.set(toBytes(BigInt(plain.length), CCM_LENGTH_BYTES), blockBytes - CCM_LENGTH_BYTES - 1)
  first[blockBytes - 1] = 0x80 | ((TAG_FLAGS[tagBytes] as number) << 4) | (CCM_LENGTH_BYTES - 1)
  const second = new Uint8Array(blockBytes)
  second.set(toBytes(BigInt(associated.length), CCM_LENGTH_BYTES))
  // Associated data that fit stand in one block with their length.
  const isShort = associated.length <= blockBytes - CCM_LENGTH_BYTES
  if (isShort) second.set(associated, CCM_LENGTH_BYTES)
  let tag = encrypt(first)
  const rest = isShort ? [] : blocksOf(associated, blockBytes)
  const padded = plain.length % blockBytes === 0 ? plain : Buffer.concat([plain, Buffer.from([0x80])])
  for (const block of [second, ...rest, ...blocksOf(padded, blockBytes)]) tag = encrypt(xor(tag, block))
  return counterMode(encrypt, message, Buffer.concat([plain, tag.subarray(0, tagBytes)]))
}

/** Whole blocks. */
export const dstuXts = ({ blockBytes, key, iv, plain }: Message): Uint8Array => {
  const encrypt = kalyna(key, { blockBytes, tweak: new Uint8Array() })
  let tweak = toInteger(encrypt(iv))
  const blocks: Uint8Array[] = []
  for (const block of blocksOf(plain, blockBytes)) {
    tweak = double(tweak, blockBytes)
    const mask = toBytes(tweak, blockBytes)
    blocks.push(xor(encrypt(xor(block, mask)), mask))
  }
  return Buffer.concat(blocks)
}
