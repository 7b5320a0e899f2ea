/** Random names, salts and keys that are the same for the same seed, in this thread: so that a run can be seen again. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** Replaces `randomBytes` for everybody in this thread. Only for a thread that does nothing but explore. */
export const seedRandomBytes = (seed: number): void => {
  const stream = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16, seed % 251), counterOf(seed))
  crypto.randomBytes = ((length: number) => stream.update(Buffer.alloc(length))) as typeof crypto.randomBytes
  syncBuiltinESMExports()
}

const counterOf = (seed: number): Buffer => {
  const counter = Buffer.alloc(16)
  counter.writeUInt32LE(seed)
  return counter
}
