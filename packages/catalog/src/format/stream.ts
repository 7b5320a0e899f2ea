/**
 * A catalog as a stream of bytes, as it stands on the disk `.catalog`.
 *
 * @see docs/formats/catalog.md
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'

/** A volume of the snapshot, in the order of `openVolumes`. Rows that follow it are its files. */
export interface CatalogVolume {
  /** As `granary volumes` names it. */
  readonly id: string
  readonly content?: string
  readonly label?: string
  readonly uuid?: string
  readonly sizeBytes: number
  /** Why its files aren't listed. */
  readonly whyNot?: string
}

/** What could not be listed, or was found odd. */
export interface CatalogWarning {
  readonly volume?: string
  /** A path or another place. */
  readonly where: string
  readonly message: string
}

export interface CatalogCounts {
  readonly rows: number
  readonly pages: number
  /** Of all warnings; not all of them may be kept. */
  readonly warnings: number
}

export type CatalogRecord =
  | { readonly kind: 'volume'; readonly volume: CatalogVolume }
  | { readonly kind: 'page'; readonly page: Bytes }
  | { readonly kind: 'warning'; readonly warning: CatalogWarning }
  | { readonly kind: 'end'; readonly counts: CatalogCounts }

const MAGIC = Buffer.from('GRNYCATL\x01\0\0\0', 'latin1')

/** Numbers of the kinds of records; never used again for another. */
const KINDS = { volume: 1, page: 2, warning: 3, end: 4 } as const

const MAX_RECORD_BYTES = 64 * 1024 * 1024

export async function* encodeCatalog(records: AsyncIterable<CatalogRecord>): AsyncGenerator<Bytes, void, undefined> {
  yield MAGIC
  for await (const record of records) {
    const body = bodyOf(record)
    const head = Buffer.alloc(5)
    head[0] = KINDS[record.kind]
    head.writeUInt32LE(body.length, 1)
    yield Buffer.concat([head, body])
  }
}

const bodyOf = (record: CatalogRecord): Bytes => {
  if (record.kind === 'page') return record.page
  const value = record.kind === 'volume' ? record.volume : record.kind === 'warning' ? record.warning : record.counts
  return Buffer.from(JSON.stringify(value))
}

/** @throws GranaryError `GRANARY_CORRUPT` when it is no catalog, `GRANARY_UNSUPPORTED` when it is of another version */
export async function* decodeCatalog(
  disk: DiskReader,
  { signal }: AbortOptions = {},
): AsyncGenerator<CatalogRecord, void, undefined> {
  const read = async (at: number, length: number): Promise<Buffer> => {
    if (at + length > disk.sizeBytes) throw corrupt(`ends at ${disk.sizeBytes}, in the middle of a record`)
    const bytes = Buffer.alloc(length)
    await disk.read(at, bytes, { signal })
    return bytes
  }
  const magic = await read(0, MAGIC.length)
  if (!magic.subarray(0, 8).equals(MAGIC.subarray(0, 8))) throw corrupt('does not begin with "GRNYCATL"')
  if (!magic.equals(MAGIC))
    throw new GranaryError('GRANARY_UNSUPPORTED', `a catalog of version ${magic[8]}, this program reads 1`, {
      hint: 'use a newer Granary, or make the catalog anew',
    })
  for (let at = MAGIC.length; at < disk.sizeBytes;) {
    const head = await read(at, 5)
    const length = head.readUInt32LE(1)
    if (length > MAX_RECORD_BYTES) throw corrupt(`has a record of ${length} bytes`)
    const record = recordOf(head[0] as number, await read(at + 5, length))
    at += 5 + length
    if (record === undefined) continue
    yield record
    if (record.kind === 'end') return
  }
  throw corrupt('has no end')
}

/** Undefined for kinds of later days, which say nothing that this must know. */
const recordOf = (kind: number, body: Buffer): CatalogRecord | undefined => {
  if (kind === KINDS.page) return { kind: 'page', page: new Uint8Array(body) }
  if (kind === KINDS.volume) return { kind: 'volume', volume: JSON.parse(body.toString()) as CatalogVolume }
  if (kind === KINDS.warning) return { kind: 'warning', warning: JSON.parse(body.toString()) as CatalogWarning }
  if (kind === KINDS.end) return { kind: 'end', counts: JSON.parse(body.toString()) as CatalogCounts }
  return undefined
}

const corrupt = (what: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `the catalog ${what}`, { hint: 'make the catalog of that snapshot anew' })
