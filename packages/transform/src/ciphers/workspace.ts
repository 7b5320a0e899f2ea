/** The memory that synchronous cipher calls of one thread borrow, one call at a time. @module */
import { Arena } from '@granary/core'
import type { ArenaSlice, Bytes } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'
import { WORK_AREA_BYTES, kernelOf } from './kernel-cache.ts'

/** Most bytes a call works on at once: large enough to forget the cost of a call, small enough for the cache. */
const DATA_BYTES = 64 * 1024
const KEY_BYTES = 16 * 1024

/** The areas of a borrowed workspace. */
export interface Workspace {
  readonly arena: Arena
  readonly key: ArenaSlice
  readonly work: ArenaSlice
  readonly data: ArenaSlice
}

let shared: Workspace | undefined

const createWorkspace = (): Workspace => {
  const arena = new Arena(KEY_BYTES + 2 * WORK_AREA_BYTES + DATA_BYTES)
  return {
    arena,
    key: arena.allocate(KEY_BYTES),
    work: arena.allocate(WORK_AREA_BYTES),
    data: arena.allocate(DATA_BYTES),
  }
}

export interface BorrowOptions {
  readonly spec: BlockCipherSpec
  /** What is put into the key area. */
  readonly key: Bytes
  /** How much of the data area the work will use, bytes; more than there is means all. */
  readonly dataBytes: number
}

/**
 * Runs `work` with the thread's workspace and a key in its place, then wipes what was used. Nothing of a call is left
 * for the next one: the workspace is kept only because making memory is slow and its address space is scarce.
 */
export const withWorkspace = <Result>(
  { spec, key, dataBytes }: BorrowOptions,
  work: (kernel: BlockKernel, workspace: Workspace) => Result,
): Result => {
  shared ??= createWorkspace()
  shared.key.bytes.set(key)
  try {
    return work(kernelOf(shared.arena, spec), shared)
  } finally {
    shared.key.bytes.fill(0, 0, key.length)
    shared.work.bytes.fill(0)
    shared.data.bytes.fill(0, 0, Math.min(dataBytes, DATA_BYTES))
  }
}
