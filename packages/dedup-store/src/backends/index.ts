/** The storages a repository can be on, by the scheme of their location. @module */
import { fileURLToPath } from 'node:url'
import { GranaryError } from '@granary/core'
import type { Backend } from './backend.ts'
import { fileBackend } from './file.ts'
import { memoryBackend } from './memory.ts'

const BACKENDS: Readonly<Record<string, (location: string) => Backend>> = {
  file: location => fileBackend(pathOfUrl(location)),
  memory: () => memoryBackend(),
}

/** A path with a colon in its first part is still a path when it begins with `/` or `.`; one letter is no scheme. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

/**
 * Opens the storage at a path or URL; nothing is made or checked there.
 * @throws GranaryError GRANARY_UNSUPPORTED when no backend has that scheme
 * @throws GranaryError GRANARY_INVALID_ARGUMENT when the location is empty or a malformed file URL
 */
export const openBackend = async (location: string): Promise<Backend> => {
  if (location === '')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'the location of a repository is empty', {
      detail: { argument: 'location' },
    })
  const scheme = SCHEME.exec(location)?.[1]?.toLowerCase()
  if (scheme === undefined) return fileBackend(location)
  const open = Object.hasOwn(BACKENDS, scheme) ? BACKENDS[scheme] : undefined
  if (open !== undefined) return open(location)
  const known = Object.keys(BACKENDS)
    .map(name => `${name}:`)
    .join(', ')
  throw new GranaryError('GRANARY_UNSUPPORTED', `there is no storage of the kind ${scheme}:`, {
    detail: { scheme, known },
    hint: `Give a path, or a URL with one of ${known}; a path with a colon can be written ./${scheme}:…`,
  })
}

const pathOfUrl = (location: string): string => {
  try {
    return fileURLToPath(location)
  } catch (error) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'not a file URL of this machine', {
      cause: error,
      detail: { argument: 'location' },
      hint: 'Write file:///absolute/path, or just the path.',
    })
  }
}
