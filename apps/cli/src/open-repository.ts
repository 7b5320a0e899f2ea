/** Opens the repository a command is about. @module */
import { GranaryError } from '@granary/core'
import { openBackend, openRepository } from '@granary/dedup-store'
import type { Backend, Repository } from '@granary/dedup-store'
import { textOption } from './command.ts'
import type { Invocation } from './command.ts'
import { readAccess } from './secrets.ts'

/** The location: positional where a command takes one, else `--repo`, else `GRANARY_REPO`. */
export const repositoryLocation = (invocation: Invocation, positional?: string): string => {
  const fromEnvironment = invocation.terminal.streams.env['GRANARY_REPO']
  const location =
    positional ?? textOption(invocation, 'repo') ?? (fromEnvironment === '' ? undefined : fromEnvironment)
  if (location !== undefined) return location
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'no repository was given', {
    hint: 'give --repo REPO, or set GRANARY_REPO',
  })
}

export const openBackendOf = async (invocation: Invocation, positional?: string): Promise<Backend> =>
  await openBackend(repositoryLocation(invocation, positional))

/** Opens it with what the options name. The caller disposes of it. */
export const openRepositoryOf = async (invocation: Invocation, positional?: string): Promise<Repository> => {
  const backend = await openBackendOf(invocation, positional)
  return await openRepository(backend, await readAccess(invocation), { signal: invocation.signal })
}
