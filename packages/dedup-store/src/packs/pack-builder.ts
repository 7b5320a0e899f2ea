/**
 * Builds one pack, piece by piece, without input or output: workers run it, whoever runs it sends the pieces on.
 *
 * @see docs/formats/repository.md, "Packs"
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Bytes } from '@granary/core'
import { createSigner, deriveObjectKeys, suiteById } from '@granary/transform'
import type { Sealer } from '@granary/transform'
import { encodeHeader } from '../format/header.ts'
import { packKey } from '../format/ids.ts'
import {
  ENTRY_BYTES,
  FOOTER_ORDINAL,
  MAX_PACK_ENTRIES,
  PACK_AT,
  PACK_BYTES,
  blobAssociated,
  encodeEntry,
  encodeTrailer,
  footerAssociated,
} from './pack-format.ts'
import type { PackType } from './pack-format.ts'
import { signPack } from './pack-signature.ts'

/** What seals a session's packs of one type. Plain data: it travels to workers. */
export interface PackSeal {
  readonly type: PackType
  readonly suite: number
  readonly generation: number
  /** The session's data key, or the map key. */
  readonly domainKey: Bytes
  /** 16 bytes. */
  readonly domain: Bytes
  readonly envelope: Bytes
  /** The session that writes. */
  readonly sid: string
  /** Seals the list of what is in the pack. */
  readonly listKey: Bytes
  /** Of whom signs it. */
  readonly signingSeed: Bytes
}

/** A blob to be added: already compressed where that paid. */
export interface BlobInput {
  readonly id: Bytes
  readonly bytes: Bytes
  readonly plainLength: number
  readonly compression: number
}

export class PackBuilder {
  readonly uid: Bytes = new Uint8Array(randomBytes(16))
  readonly #seal: PackSeal
  readonly #number: number
  readonly #sealer: Sealer
  readonly #listSealer: Sealer
  readonly #tagBytes: number
  readonly #prelude: Bytes
  #footer = new Uint8Array(256 * ENTRY_BYTES)
  #entries = 0
  #blobBytes = 0

  /** @param number of the pack in its session, never used before */
  constructor(seal: PackSeal, number: number) {
    const salt = new Uint8Array(randomBytes(32))
    const suite = suiteById(seal.suite)
    const { encryption, mac, commitment } = deriveObjectKeys(seal.domainKey, salt, suite.keyBytes)
    this.#seal = seal
    this.#number = number
    this.#sealer = suite.open({ encryption, mac })
    this.#listSealer = suite.open(deriveObjectKeys(seal.listKey, salt, suite.keyBytes))
    this.#tagBytes = suite.tagBytes
    this.#prelude = new Uint8Array(PACK_AT.envelope + seal.envelope.length)
    this.#prelude.set(
      encodeHeader({
        type: seal.type,
        suite: seal.suite,
        generation: seal.generation,
        salt,
        commitment,
        isSigned: true,
      }),
    )
    this.#prelude.set(this.uid, PACK_AT.uid)
    this.#prelude.set(seal.domain, PACK_AT.domain)
    new DataView(this.#prelude.buffer).setUint16(PACK_AT.envelopeLength, seal.envelope.length, true)
    this.#prelude.set(seal.envelope, PACK_AT.envelope)
  }

  /** The bytes before the first blob. */
  get prelude(): Bytes {
    return this.#prelude
  }

  get entries(): number {
    return this.#entries
  }

  get isFull(): boolean {
    return this.#blobBytes >= PACK_BYTES || this.#entries >= MAX_PACK_ENTRIES
  }

  /** Bytes a blob takes in the pack. */
  sealedLength(blob: BlobInput): number {
    return blob.bytes.length + this.#tagBytes
  }

  /**
   * Seals a blob into the first `sealedLength(blob)` bytes of `target`, which is where the pack goes on, and gives back that
   * length. The blob's ordinal is spent even if sealing fails.
   */
  add(blob: BlobInput, target: Bytes): number {
    const ordinal = this.#entries++
    const sealedLength = this.sealedLength(blob)
    const place = { ordinal, compression: blob.compression, sealedLength, plainLength: blob.plainLength }
    this.#sealer.sealInto(ordinal, blobAssociated(this.#seal.type, this.#prelude, place), blob.bytes, target)
    this.#record(ordinal, { ...place, id: blob.id })
    this.#blobBytes += sealedLength
    return sealedLength
  }

  /** The footer and the trailer: the end of the pack. */
  finish(): Bytes {
    const { type, sid, signingSeed } = this.#seal
    const entries = this.#footer.subarray(0, this.#entries * ENTRY_BYTES)
    const key = packKey({ sid, number: this.#number })
    const signature = signPack(createSigner(signingSeed), { key, prelude: this.#prelude, entries })
    const plain = Buffer.concat([entries, signature])
    const sealedLength = plain.length + this.#tagBytes
    const associated = footerAssociated(type, this.#prelude, { sealedLength, plainLength: plain.length })
    const sealed = this.#listSealer.seal(FOOTER_ORDINAL, associated, plain)
    return Buffer.concat([sealed, encodeTrailer(sealedLength, this.#entries)])
  }

  /** The ids of the blobs so far, 32 bytes each, in ordinal order. */
  ids(): Bytes {
    const ids = new Uint8Array(this.#entries * 32)
    for (let i = 0; i < this.#entries; i++)
      ids.set(this.#footer.subarray(i * ENTRY_BYTES, i * ENTRY_BYTES + 32), i * 32)
    return ids
  }

  #record(ordinal: number, entry: Parameters<typeof encodeEntry>[0]): void {
    if ((ordinal + 1) * ENTRY_BYTES > this.#footer.length) {
      const grown = new Uint8Array(this.#footer.length * 2)
      grown.set(this.#footer)
      this.#footer = grown
    }
    encodeEntry(entry, this.#footer, ordinal * ENTRY_BYTES)
  }
}
