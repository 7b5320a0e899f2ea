/** What a server offers. @module */
import { GranaryError } from '@granary/core'
import type { DiskReader, DiskWriter, Extent, ExtentOptions } from '@granary/core'
import type { StatusExtent } from '../protocol/block-status.ts'
import { ALLOCATION_FLAG, CONTEXT, DIRTY_FLAG, EXPORT_FLAG } from '../protocol/constants.ts'
import { encodeText } from '../protocol/fields.ts'
import type { ReplyStyle } from '../protocol/replies.ts'

/** Where the extents of a bitmap come from: every `DiskReader` whose extents say `dirty` is one. */
export interface BitmapSource {
  extents(options?: ExtentOptions): AsyncIterable<Extent>
}

/** A disk to serve. The server does not close it. */
export interface NbdExport {
  /** "" is the default export. */
  readonly name: string
  readonly description?: string
  readonly disk: DiskReader | (DiskReader & DiskWriter)
  /** True lets clients write; the disk must be a writer then. @default false */
  readonly isWritable?: boolean
  /** Shown as `qemu:dirty-bitmap:NAME`; what does not say `dirty: false` is shown as dirty. */
  readonly bitmaps?: Readonly<Record<string, BitmapSource>>
  /** Shows `qemu:allocation-depth`, for disks whose extents have a `depth`. @default false */
  readonly hasAllocationDepth?: boolean
}

/** One meta context of one export. */
export interface MetaContext {
  /** Unique within the export, never 0. */
  readonly id: number
  readonly name: string
  /** Runs of the range, equal neighbours not joined. */
  readonly runs: (
    options: Required<Pick<ExtentOptions, 'offset' | 'length'>> & ExtentOptions,
  ) => AsyncIterable<StatusExtent>
}

export interface PreparedExport {
  readonly name: string
  readonly description: string
  readonly disk: DiskReader
  /** Undefined for a read-only export. */
  readonly writer: DiskWriter | undefined
  readonly preferredBytes: number
  readonly contexts: readonly MetaContext[]
}

const MIN_PREFERRED_BYTES = 4096
const MAX_PREFERRED_BYTES = 1024 * 1024

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when two exports have one name, or a writable one has no writer */
export const prepareExports = (exports: readonly NbdExport[]): ReadonlyMap<string, PreparedExport> => {
  const prepared = new Map<string, PreparedExport>()
  for (const each of exports) {
    if (prepared.has(each.name)) throw invalid(each.name, 'another export has this name')
    prepared.set(each.name, prepare(each))
  }
  if (prepared.size === 0) throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'NBD server: nothing to serve')
  return prepared
}

const prepare = ({ name, description = '', disk, ...rest }: NbdExport): PreparedExport => {
  encodeText(name, 'export name')
  encodeText(description, 'description')
  const { isWritable = false, bitmaps = {}, hasAllocationDepth = false } = rest
  if (isWritable && !('write' in disk)) throw invalid(name, 'the disk cannot be written')
  const sources: Omit<MetaContext, 'id'>[] = [
    { name: CONTEXT.allocation, runs: runsOf(disk, ({ kind }) => ALLOCATION[kind]) },
    ...(hasAllocationDepth ? [{ name: CONTEXT.allocationDepth, runs: runsOf(disk, depthOf) }] : []),
    ...Object.entries(bitmaps).map(([bitmap, source]) => ({
      name: CONTEXT.dirtyBitmap + bitmap,
      runs: runsOf(source, ({ dirty }) => (dirty === false ? 0 : DIRTY_FLAG)),
    })),
  ]
  return {
    name,
    description,
    disk,
    writer: isWritable ? (disk as DiskReader & DiskWriter) : undefined,
    preferredBytes: Math.min(MAX_PREFERRED_BYTES, Math.max(MIN_PREFERRED_BYTES, disk.blockBytes)),
    contexts: sources.map((source, i) => {
      encodeText(source.name, 'meta context')
      return { id: i + 1, ...source }
    }),
  }
}

const ALLOCATION: Readonly<Record<Extent['kind'], number>> = {
  data: 0,
  zero: ALLOCATION_FLAG.zero,
  hole: ALLOCATION_FLAG.zero | ALLOCATION_FLAG.hole,
}

/** The context counts from 1; 0 says that no layer has the range. */
const depthOf = ({ depth = 0, present = true }: Extent): number => (present ? depth + 1 : 0)

const runsOf = (source: BitmapSource, flagsOf: (extent: Extent) => number): MetaContext['runs'] =>
  async function* (options) {
    for await (const extent of source.extents(options)) yield { length: extent.length, flags: flagsOf(extent) }
  }

/**
 * Transmission flags of an export. Many connections are always consistent: they share one disk, without a cache of their own.
 */
export const exportFlags = ({ writer }: PreparedExport, style: ReplyStyle, hasContexts: boolean): number =>
  EXPORT_FLAG.hasFlags |
  EXPORT_FLAG.canMultiConn |
  EXPORT_FLAG.sendFlush |
  EXPORT_FLAG.sendFua |
  (writer === undefined ? EXPORT_FLAG.readOnly : EXPORT_FLAG.sendTrim | EXPORT_FLAG.sendWriteZeroes) |
  (style === 'simple' ? 0 : EXPORT_FLAG.sendDf) |
  (style === 'extended' && hasContexts ? EXPORT_FLAG.blockStatusPayload : 0)

const invalid = (exportName: string, why: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `NBD export "${exportName}": ${why}`, { detail: { exportName } })
