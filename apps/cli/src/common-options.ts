/** Options that every command takes. @module */
import type { OptionRow } from './command.ts'

export const COMMON_OPTIONS: readonly OptionRow[] = [
  { flags: '--repo <REPO>', description: 'path or URL of the repository (or GRANARY_REPO)', values: 'file' },
  {
    flags: '--key-file <FILE>',
    description: 'file of 32 raw bytes that opens it (or GRANARY_KEY_FILE)',
    values: 'file',
  },
  {
    flags: '--password-file <FILE>',
    description: 'file whose first line is the passphrase (or GRANARY_PASSWORD_FILE)',
    values: 'file',
  },
  {
    flags: '--client-file <FILE>',
    description: 'file of a write-only client (or GRANARY_CLIENT_FILE)',
    values: 'file',
  },
  {
    flags: '--escrow-file <FILE>',
    description: 'private key of an escrow slot, as PEM (or GRANARY_ESCROW_FILE)',
    values: 'file',
  },
  { flags: '--json', description: 'one JSON object a line on standard output; errors go to standard error' },
  { flags: '--no-progress', description: 'no progress line, also on a terminal' },
]
