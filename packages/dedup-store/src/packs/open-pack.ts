/** A pack whose header and footer have been read and found right. @module */
import type { Bytes } from '@granary/core'
import { blake3 } from '@granary/transform'
import type { Sealer } from '@granary/transform'
import { hexOfId } from '../format/ids.ts'
import { PACK_AT } from './pack-format.ts'
import type { PackEntry, PackType } from './pack-format.ts'
import type { PackPrelude, PackSealing } from './pack-prelude.ts'
import { packSignerOf } from './pack-signature.ts'

interface Footer {
  readonly entries: readonly PackEntry[]
  readonly plainEntries: Bytes
  readonly sealedFooter: Bytes
  readonly signature: Bytes | undefined
}

/** Keys and signature are looked at when they are asked for: most packs are only asked what is in them. */
export class OpenPack {
  readonly key: string
  readonly type: PackType
  readonly uid: Bytes
  readonly entries: readonly PackEntry[]
  readonly prelude: Bytes
  /** False of packs from before packs were signed. */
  readonly isSigned: boolean
  readonly #source: PackPrelude
  readonly #footer: Footer
  #blobs: ReturnType<PackPrelude['openBlobs']> | undefined
  #signer: { readonly publicKey: string | undefined } | undefined

  constructor(source: PackPrelude, footer: Footer) {
    this.key = source.key
    this.type = source.type
    this.prelude = source.bytes
    this.uid = source.bytes.slice(PACK_AT.uid, PACK_AT.domain)
    this.entries = footer.entries
    this.isSigned = footer.signature !== undefined
    this.#source = source
    this.#footer = footer
  }

  /** Opens the blobs. @throws GranaryError `GRANARY_WRONG_KEY` for who can write only */
  get sealer(): Sealer {
    return (this.#blobs ??= this.#source.openBlobs()).sealer
  }

  /** What `sealer` was made of, for another thread. */
  get seal(): PackSealing {
    return (this.#blobs ??= this.#source.openBlobs()).seal
  }

  /** Public key of who made the pack, hexadecimal; undefined when it isn't signed, or the signature is wrong. */
  get signer(): string | undefined {
    const { signature, plainEntries } = this.#footer
    if (signature === undefined) return undefined
    this.#signer ??= {
      publicKey: packSignerOf({ key: this.key, prelude: this.prelude, entries: plainEntries }, signature),
    }
    return this.#signer.publicKey
  }

  /** Tells this pack from any other under its name: a hash of all but the blobs, whose lengths and ids it covers. */
  get digest(): string {
    return hexOfId(blake3(Buffer.concat([this.prelude, this.#footer.sealedFooter])))
  }
}
