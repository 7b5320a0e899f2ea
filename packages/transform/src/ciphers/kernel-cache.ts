/** Kernels over arenas: made once per arena and cipher. @module */
import type { Arena } from '@granary/core'
import type { BlockCipherSpec, BlockKernel } from './block-cipher-spec.ts'

const kernels = new WeakMap<Arena, Map<BlockCipherSpec, BlockKernel>>()
const tables = new Map<BlockCipherSpec, Uint8Array>()

/** Bytes of a kernel's work area: the counter block and the key stream of one batch, see assembly/ciphers/shared/ctr.ts. */
export const WORK_AREA_BYTES = 128 + 4096

/**
 * The cipher's kernel over the arena's memory, its constant tables in place. Workers that share a memory write the
 * same bytes there, so the order does not matter.
 */
export const kernelOf = (arena: Arena, spec: BlockCipherSpec): BlockKernel => {
  const known = kernels.get(arena) ?? new Map<BlockCipherSpec, BlockKernel>()
  kernels.set(arena, known)
  const cached = known.get(spec)
  if (cached !== undefined) return cached
  const kernel = spec.instantiate(arena)
  if (spec.tables !== undefined) {
    const bytes = tables.get(spec) ?? spec.tables()
    tables.set(spec, bytes)
    new Uint8Array(arena.memory.buffer, kernel.tables(), bytes.length).set(bytes)
  }
  known.set(spec, kernel)
  return kernel
}
