/**
 * The system's own libzstd, called through koffi: the one way that decodes straight into given memory, which saves a page
 * fault for every 4 KiB. Only functions that need no context are used, so there is nothing to free when a thread ends.
 *
 * @see zstd.h, "Simple Core API"; docs/decisions/0003-zstd.md
 * @module
 */
import { createRequire } from 'node:module'
import type { Bytes } from '../bytes.ts'
import { loadOptional } from '../load-optional.ts'
import type { ZstdEngine } from './zstd-engine.ts'

/** The name of the interface that is stable since version 1.0. */
const LIBRARY = 'libzstd.so.1'

interface Koffi {
  load(path: string): { func(prototype: string): unknown }
}

/** Results are lengths, or error codes, which are larger than any length. */
interface Libzstd {
  readonly compressBound: (length: number) => number
  readonly compress: (to: Bytes, room: number, from: Bytes, length: number, level: number) => number | bigint
  readonly decompress: (to: Bytes, room: number, from: Bytes, length: number) => number | bigint
}

const bind = (): Libzstd => {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi
  const library = koffi.load(LIBRARY)
  return {
    compressBound: library.func('size_t ZSTD_compressBound(size_t length)'),
    compress: library.func('size_t ZSTD_compress(void *to, size_t room, const void *from, size_t length, int level)'),
    decompress: library.func('size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t length)'),
  } as Libzstd
}

/** The system's library, or undefined where there is none, or no koffi. */
export const loadZstdSystem = (): ZstdEngine | undefined => {
  const zstd = process.platform === 'linux' ? loadOptional(bind) : undefined
  if (zstd === undefined) return undefined
  let scratch: Bytes = new Uint8Array()
  return {
    name: 'system',
    isBounded: true,
    compressor: level => bytes => {
      const room = zstd.compressBound(bytes.length)
      if (scratch.length < room) scratch = new Uint8Array(room)
      return scratch.slice(0, checked(zstd.compress(scratch, scratch.length, bytes, bytes.length, level), room))
    },
    decompress: (frame, target) => checked(zstd.decompress(target, target.length, frame, frame.length), target.length),
  }
}

const checked = (result: number | bigint, room: number): number => {
  if (result > room) throw new Error(`zstd error ${BigInt.asIntN(64, BigInt(result))}`)
  return Number(result)
}
