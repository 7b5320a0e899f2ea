/** Answers to BLOCK_STATUS. @module */
import { GranaryError } from '@granary/core'
import type { StatusChunk, StatusExtent } from '../protocol/block-status.ts'
import { MAX_UINT32 } from '../protocol/constants.ts'
import type { MetaContext } from './exports.ts'

/** Most extents in one answer: as QEMU does. */
const MAX_EXTENTS = 1 << 17

export interface StatusQuery {
  readonly offset: number
  /** At least 1. */
  readonly length: number
  readonly isOne: boolean
  readonly signal: AbortSignal
}

/** Runs of one context: at least one, equal neighbours joined; perhaps fewer than the range has. */
export const answerStatus = async (
  { id, runs }: MetaContext,
  { offset, length, isOne, signal }: StatusQuery,
): Promise<StatusChunk> => {
  const extents: StatusExtent[] = []
  let last: StatusExtent | undefined
  let covered = 0
  for await (const run of runs({ offset, length, signal })) {
    const kept = Math.min(run.length, length - covered)
    covered += kept
    if (last?.flags === run.flags && last.length + kept <= MAX_UINT32) last = { ...last, length: last.length + kept }
    else {
      if (last !== undefined) extents.push(last)
      last = { length: kept, flags: run.flags }
      if (extents.length === (isOne ? 1 : MAX_EXTENTS)) return { contextId: id, extents }
    }
    if (covered === length) break
  }
  if (last === undefined)
    throw new GranaryError('GRANARY_IO', `the disk tells no extent at ${offset}+${length}`, {
      detail: { offset, length },
    })
  return { contextId: id, extents: [...extents, last] }
}
