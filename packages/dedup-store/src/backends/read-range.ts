/** The range of a `get`, settled against the size of the object it meets. @module */
import { GranaryError } from '@granary/core'
import type { GetOptions } from './backend.ts'

/** Errors every backend raises alike. */
export const noSuchObject = (location: string, key: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', `${location} has no object ${key}`, { detail: { location, key } })

/**
 * @returns offset and length in bytes, inside the object
 * @throws GranaryError GRANARY_INVALID_ARGUMENT when offset or length is no whole number from 0
 * @throws GranaryError GRANARY_CORRUPT when the object ends before the range does
 */
export const readRange = (
  location: string,
  key: string,
  sizeBytes: number,
  { offset = 0, length }: GetOptions,
): { offset: number; length: number } => {
  for (const [argument, got] of Object.entries({ offset, length: length ?? 0 }))
    if (!Number.isSafeInteger(got) || got < 0)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${argument} of a read must be a whole number from 0`, {
        detail: { argument, got, key },
      })
  const wanted = length ?? Math.max(0, sizeBytes - offset)
  if (offset + wanted > sizeBytes)
    throw new GranaryError('GRANARY_CORRUPT', `object ${key} is truncated`, {
      detail: { location, key, offset, length: wanted, sizeBytes },
      hint: 'Run `granary check` to see which snapshots need it.',
    })
  return { offset, length: wanted }
}
