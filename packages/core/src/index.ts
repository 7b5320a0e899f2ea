/** Vocabulary shared by every package: errors, bytes, the disk contract, raw files, copying, worker and WebAssembly helpers. @module */
export type { Bytes, ByteSource } from './bytes.ts'
export type { ErrorCode, ErrorDetail, GranaryErrorOptions } from './errors.ts'
export { GranaryError, isGranaryError } from './errors.ts'
export { fromSystemError } from './system-error.ts'
export type { AbortOptions, DiskReader, DiskWriter, Extent, ExtentKind, ExtentOptions, ZeroOptions } from './disk.ts'
export { checkRange } from './check-range.ts'
export { checkWhole } from './check-whole.ts'
export { memoryDisk } from './memory-disk.ts'

export type { FileLock, Native } from './native/native.ts'
export { loadNative } from './native/native.ts'
export type { RawKind, RawOptions } from './files/raw-file.ts'
export type { RawReader } from './files/raw-reader.ts'
export { openRawReader } from './files/raw-reader.ts'
export type { CreateRawOptions, RawFileWriter, RawWriter } from './files/raw-writer.ts'
export { WRITE_PIECE_BYTES, createRawDisk, openRawWriter } from './files/raw-writer.ts'
export type { DiskStream } from './streams/disk-stream.ts'
export { diskStream } from './streams/disk-stream.ts'
export type { StreamWriter } from './streams/stream-writer.ts'
export { streamWriter } from './streams/stream-writer.ts'

export type { CopyCounts } from './copy/copy-counts.ts'
export type { CopyOptions } from './copy/copy-options.ts'
export type { ComparableTarget } from './copy/copy-piece.ts'
export { copyDisk } from './copy/copy-disk.ts'
export type { GrowingTarget } from './copy/copy-stream.ts'
export { copyStream } from './copy/copy-stream.ts'
export type { ZeroRun, ZeroRunOptions } from './zero-scan.ts'
export { isZero, zeroRuns, zeros } from './zero-scan.ts'
export type { AlignOptions, Range, Ranges } from './extents/range.ts'
export { alignRanges } from './extents/range.ts'
export type { DataRangesOptions, OverlayPiece } from './extents/extents.ts'
export { clipExtents, dataRanges, markDirty, mergeExtents, overlayExtents } from './extents/extents.ts'

export type { MapOrderedOptions } from './concurrency/map-ordered.ts'
export { mapOrdered } from './concurrency/map-ordered.ts'
export { Semaphore } from './concurrency/semaphore.ts'
export type {
  Bottleneck,
  Clock,
  OnProgress,
  ProgressEvent,
  ProgressPhase,
  ThrottledProgress,
} from './progress/progress.ts'
export { throttle } from './progress/progress.ts'
export type { RateMeter, RateMeterOptions } from './progress/rate-meter.ts'
export { rateMeter } from './progress/rate-meter.ts'
export { formatBytes, formatDuration, formatRate, parseBytes } from './progress/units.ts'

export type { ArenaSlice, WasmMemory } from './wasm.ts'
export { Arena, WASM_PAGE_BYTES, compileKernel } from './wasm.ts'
export { siblingModule } from './worker-url.ts'
export { loadOptional } from './load-optional.ts'
export type { ZstdEngine } from './zstd/zstd-engine.ts'
export type { ZstdFrame } from './zstd/zstd-frame.ts'
export { zstdFrameAt } from './zstd/zstd-frame.ts'
export type { ZstdEngines } from './zstd/zstd.ts'
export { decodeZstdFrame, defaultZstdCompressor, defaultZstdDecompressor, zstdEngines } from './zstd/zstd.ts'
