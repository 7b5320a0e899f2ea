/**
 * The table of suites: the one place that knows which there are. To add one, add a row, and vectors for its primitive.
 * Ids are never reused.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import { cipherSuites } from './cipher-suites.ts'
import { kuznyechikMgm } from './mgm-suite.ts'
import { opensslAead } from './openssl-aead.ts'
import type { Suite } from './suite.ts'

/** The suite of a repository that names none. */
export const DEFAULT_SUITE = 'aes-256-gcm'

export const suites: readonly Suite[] = [
  opensslAead({
    id: 1,
    name: 'aes-256-gcm',
    keyBytes: 32,
    nonceBytes: 12,
    tagBytes: 16,
    keyLimitBytes: 2 ** 44,
    description: 'The default: fast wherever the processor has AES instructions, and what most policies ask for.',
  }),
  opensslAead({
    id: 2,
    name: 'chacha20-poly1305',
    keyBytes: 32,
    nonceBytes: 12,
    tagBytes: 16,
    keyLimitBytes: 2 ** 50,
    description: 'For processors without AES instructions: fast and constant-time in plain software.',
  }),
  kuznyechikMgm({
    id: 3,
    name: 'kuznyechik-mgm',
    keyBytes: 32,
    nonceBytes: 16,
    tagBytes: 16,
    keyLimitBytes: 2 ** 40,
    description: 'The Russian standard cipher in the mode of RFC 9058: where policy names both.',
  }),
  ...cipherSuites,
]

/** @throws GranaryError `GRANARY_UNSUPPORTED` when there is none of that name */
export const suiteByName = (name: string): Suite => {
  const suite = suites.find(row => row.name === name)
  if (suite !== undefined) return suite
  throw new GranaryError('GRANARY_UNSUPPORTED', `unknown suite '${name.slice(0, 64)}'`, {
    detail: { suite: name.slice(0, 64) },
    hint: `Known suites: ${suites.map(row => row.name).join(', ')}.`,
  })
}

/** @throws GranaryError `GRANARY_UNSUPPORTED` when there is none of that number */
export const suiteById = (id: number): Suite => {
  const suite = suites.find(row => row.id === id)
  if (suite !== undefined) return suite
  throw new GranaryError('GRANARY_UNSUPPORTED', `unknown suite number ${id}`, {
    detail: { id },
    hint: 'It was probably written by a newer version: update, and try again.',
  })
}
