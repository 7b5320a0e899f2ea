/** The option that says how a passphrase becomes a key. @module */
import { GranaryError } from '@granary/core'
import { DEFAULT_SCRYPT } from '@granary/transform'
import type { Kdf } from '@granary/transform'
import { textOption } from './command.ts'
import type { Invocation, OptionRow } from './command.ts'

export const KDF_OPTION: OptionRow = {
  flags: '--kdf <NAME>',
  description: 'for a passphrase: argon2id (default, its cost measured here) or scrypt',
  values: ['argon2id', 'scrypt'],
}

/** Nothing for Argon2id, whose cost is measured when a slot is made. */
export const kdfOf = (invocation: Pick<Invocation, 'options'>): { kdf?: Kdf } => {
  const name = textOption(invocation, 'kdf')
  if (name === undefined || name === 'argon2id') return {}
  if (name === 'scrypt') return { kdf: DEFAULT_SCRYPT }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--kdf ${name}: expected argon2id or scrypt`, {
    detail: { argument: 'kdf', got: name },
  })
}
