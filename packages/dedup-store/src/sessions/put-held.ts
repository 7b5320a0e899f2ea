/** Puts an object outside of any session: held while it is under way, so that nobody sweeps its temporary file. @module */
import { randomBytes } from 'node:crypto'
import type { Backend, PutOptions } from '../backends/backend.ts'
import type { Bytes } from '@granary/core'

export const putHeld = async (
  backend: Backend,
  key: string,
  bytes: Bytes,
  options: Omit<PutOptions, 'owner'> = {},
): Promise<'stored' | 'exists'> => {
  const owner = `put-${randomBytes(8).toString('hex')}`
  await using _ = await backend.hold?.(owner)
  return await backend.put(key, bytes, { ...options, owner })
}
