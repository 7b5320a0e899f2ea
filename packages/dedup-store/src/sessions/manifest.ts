/**
 * Manifests: what a committed session says. The body of `commit/<sid>` is a sealed manifest, or a fence.
 *
 * @see docs/formats/repository.md, "Commits"
 * @module
 */
import type { Bytes } from '@granary/core'
import type { ChunkerParameters } from '@granary/chunker'
import { blake3 } from '@granary/transform'
import { hexOfId, idOfHex } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { openObject } from '../format/sealed-object.ts'
import { openSigned } from '../format/signed-object.ts'
import type { NodeReference } from '../map/map-nodes.ts'
import type { MapRoot } from '../map/map-reader.ts'

/** One disk of a snapshot. */
export interface DiskRecord {
  readonly name: string
  readonly sizeBytes: number
  readonly map: { readonly height: number; /** 64 hexadecimal digits, or what all of it is. */ readonly root: string }
  readonly chunker: ChunkerParameters
  /** Where it came from, for people. */
  readonly source: string
  readonly stats: DiskStats
}

/** What one disk's backup did, bytes. */
export interface DiskStats {
  /** Read from the source. */
  readonly readBytes: number
  /** Data of the disk: all but zeros and holes. */
  readonly dataBytes: number
  /** Data nobody had stored before, before compression. */
  readonly newBytes: number
  /** What was added to packs for it. */
  readonly storedBytes: number
  readonly chunks: number
  readonly newChunks: number
}

export type BackupKind = 'full' | 'incremental' | 'differential'

export interface SnapshotManifest {
  readonly kind: 'snapshot'
  /** Random: tells a lost answer from another's commit. */
  readonly nonce: string
  /** The series it belongs to: same name, same machine. */
  readonly name: string
  /** Milliseconds since 1970, by the writer's clock. */
  readonly timeMs: number
  readonly host: string
  readonly labels: Readonly<Record<string, string>>
  readonly backupKind: BackupKind
  readonly parent: string | null
  /** The commit before it in the series. */
  readonly prev: { readonly sid: string; readonly hash: string } | null
  readonly suite: string
  readonly compression: string
  readonly disks: readonly DiskRecord[]
  /** Configuration of a virtual machine, as its adapter wrote it. */
  readonly machine?: unknown
  readonly warnings: readonly string[]
  /** This is no machine's snapshot but the catalog of one: the list of its files. It goes when that snapshot goes. */
  readonly catalogOf?: string
}

/** A session that kept house (merged segments, copied live chunks) and made no snapshot. */
export interface MaintenanceManifest {
  readonly kind: 'maintenance'
  readonly nonce: string
  readonly timeMs: number
  readonly host: string
}

export type Manifest = SnapshotManifest | MaintenanceManifest

/** What `commit/<sid>` holds. */
export type Decision =
  | { readonly kind: 'fence'; readonly hash: string }
  | { readonly kind: 'manifest'; readonly manifest: Manifest; readonly hash: string; readonly signer: string }

/**
 * Opens what stands under a decision key and checks its signature.
 *
 * @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_AUTHENTICATION`
 */
export const openDecision = (keys: RepositoryKeys, key: string, bytes: Bytes): Decision => {
  const { type, plain } = openObject(keys, ['manifest', 'fence'], key, bytes)
  const hash = hexOfId(blake3(bytes))
  if (type === 'fence') return { kind: 'fence', hash }
  const { value: manifest, signer } = openSigned<Manifest>(key, plain)
  return { kind: 'manifest', manifest, hash, signer }
}

/** The map of a disk, as its record names it. */
export const mapRootOf = (disk: DiskRecord): MapRoot => ({
  sizeBytes: disk.sizeBytes,
  height: disk.map.height,
  root: nodeOfText(disk.map.root),
})

export const textOfNode = (node: NodeReference): string => (node.kind === 'node' ? hexOfId(node.id) : node.kind)

const nodeOfText = (text: string): NodeReference =>
  text === 'hole' || text === 'zero' ? { kind: text } : { kind: 'node', id: idOfHex(text) }
