/** Which ciphers the runtime's OpenSSL has. @module */
import { getCiphers } from 'node:crypto'
import type { BlockCipherSpec } from './block-cipher-spec.ts'

let available: ReadonlySet<string> | undefined

/** The name node:crypto knows the cipher by in this mode, or undefined where it lacks it. */
export const opensslName = (
  spec: BlockCipherSpec,
  keyBits: number,
  mode: 'ctr' | 'ecb' | 'gcm',
): string | undefined => {
  if (spec.openssl === undefined) return undefined
  available ??= new Set(getCiphers())
  const { family } = spec.openssl
  return [`${family}-${keyBits}-${mode}`, `${family}-${mode}`].find(name => available?.has(name))
}
