/** Kuznyechik in Multilinear Galois Mode, as a suite. @see RFC 9058, and docs/formats/suites.md, "Kuznyechik-MGM" @module */
import { isGranaryError } from '@granary/core'
import { checkLength } from '../check-length.ts'
import { mgm } from '../ciphers/mgm.ts'
import { createSealer } from './sealer.ts'
import { ordinalNonce } from './suite.ts'
import type { Sealer, SealingKeys, Suite, SuiteFacts } from './suite.ts'

/** The suite of MGM over the 256-bit key of Kuznyechik. Its nonces have a zero top bit, as ordinals end at 2^32 - 1. */
export const kuznyechikMgm = (facts: SuiteFacts): Suite => ({ ...facts, open: keys => openSuite(facts, keys) })

const openSuite = (facts: SuiteFacts, { encryption }: SealingKeys): Sealer => {
  checkLength('encryption key', encryption, facts.keyBytes)
  const aead = mgm('kuznyechik', encryption)
  return createSealer(facts, {
    seal: (ordinal, associated, plain, target) =>
      target.set(aead.seal(ordinalNonce(ordinal, facts.nonceBytes), plain, associated)),
    open: (ordinal, associated, sealed, target) => {
      // MGM has no tag for nothing at all, so nobody can have sealed it.
      if (sealed.length === facts.tagBytes && associated.length === 0) return false
      try {
        target.set(aead.open(ordinalNonce(ordinal, facts.nonceBytes), sealed, associated))
        return true
      } catch (error) {
        if (isGranaryError(error) && error.code === 'GRANARY_AUTHENTICATION') return false
        throw error
      }
    },
  })
}
