/** What is known of a golden repository. */

/** Opens its second slot; the first is opened by the file `key`. */
export const GOLDEN_PASSPHRASE = 'seven sacks of golden grain'

/** The X25519 private key of the escrow slot, where there is one. */
export const goldenEscrowKey: Uint8Array = new Uint8Array(32).map((_, i) => 31 * i + 7)

export interface GoldenRepository {
  readonly suite: string
  /** Oldest first, without the forgotten ones. */
  readonly snapshots: readonly {
    readonly id: string
    readonly name: string
    readonly timeMs: number
    readonly disks: readonly { readonly name: string; readonly sizeBytes: number; readonly sha256: string }[]
  }[]
  readonly forgotten: readonly string[]
}
