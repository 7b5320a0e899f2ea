/** What only a key holder may do. @module */
import { GranaryError } from '@granary/core'
import type { Keyring } from '@granary/transform'
import type { Repository } from './repository.ts'

/**
 * The keyring of a repository that was opened with one.
 *
 * @param what for the message: what was asked for
 * @throws GranaryError `GRANARY_WRONG_KEY` for a write-only client
 */
export const requireHolder = ({ keyring }: Pick<Repository, 'keyring'>, what: string): Keyring => {
  if (keyring !== undefined) return keyring
  throw new GranaryError('GRANARY_WRONG_KEY', `a write-only client can't ${what}: that takes the repository's key`, {
    detail: { what },
    hint: 'do it where the key file or passphrase is',
  })
}
