/**
 * LZ4 blocks, by a WebAssembly kernel that works in place in an arena.
 *
 * @see assembly/lz4.ts, and lz4_Block_format.md of the LZ4 project
 * @module
 */
import { Arena, GranaryError, compileKernel } from '@granary/core'
import type { ArenaSlice, Bytes } from '@granary/core'
import { wasmBase64 } from '../lz4.wasm.ts'

interface Kernel {
  readonly TABLE_BYTES: { readonly value: number }
  compress(input: number, length: number, out: number, capacity: number, table: number): number
  decompress(input: number, length: number, out: number, plainLength: number): number
}

const instantiate = compileKernel<Kernel>(wasmBase64)

/** How far the kernel may write beyond the capacity it was given, bytes. */
const OVERRUN_BYTES = 16

/** What the kernel's answers mean. */
const DAMAGE = ['', 'it ends too early', 'it holds more', 'it holds less', 'a match begins before the start'] as const

export interface Lz4 {
  /**
   * The LZ4 block of `bytes`, or undefined when it would be longer than `capacityBytes`.
   * The result is a view that the next call of this object overwrites.
   */
  compress(bytes: Bytes, capacityBytes: number): Bytes | undefined
  /**
   * The `plainLengthBytes` bytes in a block: a view that the next call of this object overwrites.
   *
   * @throws GranaryError `GRANARY_CORRUPT` when the block is damaged, or is one of another length
   */
  decompress(block: Bytes, plainLengthBytes: number): Bytes
}

export interface Lz4Options {
  /** Memory to work in: blocks that lie in it are read where they are. Its places are never given back. */
  readonly arena?: Arena
  /** Longest plaintext, bytes; twice as much of the arena is taken. Without `arena` memory is made as it is needed. */
  readonly maxBlockBytes: number
}

/** LZ4 in a given arena, or in one of its own that grows with the blocks. */
export const createLz4 = ({ arena, maxBlockBytes }: Lz4Options): Lz4 => {
  let workspace = arena === undefined ? undefined : createWorkspace(arena, maxBlockBytes)
  const workspaceFor = (length: number): Workspace => {
    if (length > maxBlockBytes) throw tooLong(length, maxBlockBytes)
    if (workspace === undefined || workspace.capacityBytes < length) workspace = ownWorkspace(length, maxBlockBytes)
    return workspace
  }
  return {
    compress: (bytes, capacityBytes) => {
      const space = workspaceFor(bytes.length)
      const capacity = Math.min(capacityBytes, space.output.bytes.length - OVERRUN_BYTES)
      const input = space.place(bytes)
      const length = space.kernel.compress(input, bytes.length, space.output.pointer, capacity, space.table)
      return length === 0 ? undefined : space.output.bytes.subarray(0, length)
    },
    decompress: (block, plainLengthBytes) => {
      // Whatever is longer than its plaintext plus the marks of literal runs is not LZ4 of it.
      if (block.length > compressBound(plainLengthBytes)) throw damaged(block.length, plainLengthBytes, DAMAGE[2])
      const space = workspaceFor(plainLengthBytes)
      const { kernel, output } = space
      const damage = kernel.decompress(space.place(block), block.length, output.pointer, plainLengthBytes)
      if (damage !== 0) throw damaged(block.length, plainLengthBytes, DAMAGE[damage] ?? '')
      return output.bytes.subarray(0, plainLengthBytes)
    },
  }
}

interface Workspace {
  readonly kernel: Kernel
  readonly capacityBytes: number
  readonly table: number
  readonly output: ArenaSlice
  /** Where `bytes` are in the arena: in place, or copied there. */
  place(bytes: Bytes): number
}

const createWorkspace = (arena: Arena, capacityBytes: number): Workspace => {
  const kernel = instantiate(arena)
  const table = arena.allocate(kernel.TABLE_BYTES.value).pointer
  const output = arena.allocate(compressBound(capacityBytes) + OVERRUN_BYTES)
  const input = arena.allocate(compressBound(capacityBytes))
  const place = (bytes: Bytes): number => {
    if (bytes.buffer === arena.memory.buffer) return bytes.byteOffset
    input.bytes.set(bytes)
    return input.pointer
  }
  return { kernel, capacityBytes, table, output, place }
}

/** A workspace in an arena of its own for `length` bytes, or the next power of two. */
const ownWorkspace = (length: number, maxBlockBytes: number): Workspace => {
  const capacity = Math.min(maxBlockBytes, Math.max(64 * 1024, 2 ** Math.ceil(Math.log2(length))))
  return createWorkspace(new Arena(2 * compressBound(capacity) + 64 * 1024), capacity)
}

/** Longest LZ4 block of so many bytes. */
const compressBound = (length: number): number => length + Math.floor(length / 255) + 16

const damaged = (lengthBytes: number, plainLengthBytes: number, found: string): GranaryError =>
  new GranaryError(
    'GRANARY_CORRUPT',
    `LZ4 block of ${lengthBytes} bytes does not hold the ${plainLengthBytes} bytes it should: ${found}`,
    { detail: { lengthBytes, plainLengthBytes, found } },
  )

const tooLong = (lengthBytes: number, maxBlockBytes: number): GranaryError =>
  new GranaryError('GRANARY_LIMIT', `block of ${lengthBytes} bytes: at most ${maxBlockBytes} are compressed at once`, {
    detail: { lengthBytes, maxBlockBytes },
  })
