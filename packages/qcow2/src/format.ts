/**
 * Names and limits of the qcow2 format. The limits are those of QEMU, so that whatever QEMU opens, we open.
 *
 * @see QEMU docs/interop/qcow2.txt
 * @module
 */
import { GranaryError } from '@granary/core'
import type { ErrorDetail } from '@granary/core'

export const MAGIC = 0x514649fb

export const MIN_CLUSTER_BITS = 9
export const MAX_CLUSTER_BITS = 21
/** Section "Extended L2 Entries": 32 subclusters of at least 512 bytes. */
export const MIN_EXTENDED_L2_CLUSTER_BITS = 14
export const SUBCLUSTERS = 32

export const MAX_L1_BYTES = 32 * 1024 * 1024
export const MAX_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024
export const MAX_SNAPSHOTS = 65_536
export const MAX_SNAPSHOT_TABLE_BYTES = 64 * 1024 * 1024
export const MAX_SNAPSHOT_EXTRA_BYTES = 1024
export const MAX_BITMAPS = 65_535
export const MAX_BITMAP_DIRECTORY_BYTES = 1024 * MAX_BITMAPS
export const MAX_BITMAP_TABLE_ENTRIES = 0x8000000
export const MAX_NAME_BYTES = 1023

/** Incompatible features, section "Header", bytes 72-79: whoever does not know one must not open the image. */
export const INCOMPATIBLE = { dirty: 1, corrupt: 2, dataFile: 4, compressionType: 8, extendedL2: 16 } as const
export const COMPATIBLE = { lazyRefcounts: 1 } as const
/** Autoclear features: a writer that does not know one clears its bit. */
export const AUTOCLEAR = { bitmaps: 1, dataFileRaw: 2 } as const

export const EXTENSION = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  luks: 0x0537be77,
  dataFileName: 0x44415441,
} as const

/** Table entries, upper 32 bits: bit 63 of an L1 or L2 entry says "refcount is exactly one". */
export const COPIED_HIGH = 0x80000000
/** Bit 62 of an L2 entry. */
export const COMPRESSED_HIGH = 0x40000000
/** Bits 32 to 55 of an offset. */
export const OFFSET_HIGH_MASK = 0x00ffffff
/** Bits 9 to 31 of an offset. */
export const OFFSET_LOW_MASK = 0xfffffe00

export const WORD = 0x1_0000_0000

/** What damage in an image is reported as. */
export const corrupt = (message: string, detail: ErrorDetail = {}, cause?: unknown): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `qcow2: ${message}`, {
    detail: { format: 'qcow2', ...detail },
    ...(cause === undefined ? {} : { cause }),
  })

export const unsupported = (message: string, detail: ErrorDetail = {}, hint?: string): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `qcow2: ${message}`, {
    detail: { format: 'qcow2', ...detail },
    ...(hint === undefined ? {} : { hint }),
  })

export const overLimit = (message: string, detail: ErrorDetail = {}): GranaryError =>
  new GranaryError('GRANARY_LIMIT', `qcow2: ${message}`, { detail: { format: 'qcow2', ...detail } })

/** A 64-bit big-endian number; above 2^53 it is only near, which every check against a file size survives. */
export const readU64 = (view: DataView, at: number): number => view.getUint32(at) * WORD + view.getUint32(at + 4)

/** Writes a 64-bit big-endian number below 2^53. */
export const writeU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, Math.floor(value / WORD))
  view.setUint32(at + 4, value % WORD)
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
