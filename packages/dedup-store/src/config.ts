/**
 * `config`: a line of JSON that anybody can read (what it is, which version and features), then a sealed object with the
 * settings, which also binds that line.
 *
 * @see docs/formats/repository.md, "Config"
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { ChunkerParameters } from '@granary/chunker'
import { FORMAT_VERSION } from './format/header.ts'
import type { RepositoryKeys } from './format/repository-keys.ts'
import { namingObject } from './format/sealed-object.ts'
import { openByHolder, sealByHolder } from './format/signed-object.ts'

export const CONFIG_KEY = 'config'

/** Features a program must know before it reads, writes or deletes. This version knows none. */
export interface Features {
  readonly read: readonly string[]
  readonly write: readonly string[]
  readonly delete: readonly string[]
}

/** What anybody may know. */
export interface PublicConfig {
  readonly granary: 'repository'
  readonly format: number
  readonly id: string
  readonly features: Features
}

/** What new snapshots use unless told otherwise. */
export interface RepositorySettings {
  readonly suite: string
  /** Such as `zstd:3`. */
  readonly compression: string
  readonly chunker: ChunkerParameters
}

const NEWLINE = 0x0a
const MAX_LINE_BYTES = 65_536
const KNOWN_FEATURES: readonly string[] = []

/** The seal binds the public line through the object's name. */
const sealedName = (line: Bytes): string => `${CONFIG_KEY}\n${Buffer.from(line).toString('utf8')}`

/** The public line of a new repository. */
export const createPublicLine = (): Bytes => {
  const shown: PublicConfig = {
    granary: 'repository',
    format: FORMAT_VERSION,
    id: randomBytes(16).toString('hex'),
    features: { read: [], write: [], delete: [] },
  }
  return Buffer.from(`${JSON.stringify(shown)}\n`)
}

/** What is sealed and signed: the settings, and the last collection whose decisions may lack a signature. */
interface StoredSettings extends RepositorySettings {
  readonly unsignedCollections: number
}

/**
 * A config: the line as it is, and the settings sealed to it, signed by the key holder.
 *
 * @param unsignedCollections number of the last collection whose decisions may lack a signature. @default 0, none
 */
export const encodeConfig = async (
  keys: RepositoryKeys,
  line: Bytes,
  settings: RepositorySettings,
  unsignedCollections = 0,
): Promise<Bytes> => {
  const stored: StoredSettings = { ...settings, unsignedCollections }
  return Buffer.concat([line, await sealByHolder(keys, 'config', sealedName(line), stored)])
}

/**
 * Reads the public line, before any key is asked for.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when it isn't one; `GRANARY_UNSUPPORTED` when it is of a newer format or needs features
 */
export const readPublicConfig = (bytes: Bytes, location: string): { shown: PublicConfig; line: Bytes } => {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf(NEWLINE)
  const line = bytes.subarray(0, end + 1)
  let shown: Partial<PublicConfig> | null = null
  try {
    shown = JSON.parse(Buffer.from(line).toString('utf8')) as Partial<PublicConfig> | null
  } catch {
    // Reported below, with what was expected.
  }
  if (shown?.granary !== 'repository' || typeof shown.format !== 'number') {
    throw new GranaryError('GRANARY_CORRUPT', `${location}: its config is damaged, or it is no Granary repository`, {
      detail: { location, object: CONFIG_KEY },
      hint: 'give the folder that `granary init` made; if it is this one, restore `config` from a copy of the repository',
    })
  }
  const unknown = [...(shown.features?.read ?? []), ...(shown.features?.write ?? [])].filter(
    name => !KNOWN_FEATURES.includes(name),
  )
  if (shown.format !== FORMAT_VERSION || unknown.length > 0) {
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `${location}: format ${shown.format}${unknown.length > 0 ? ` with ${unknown.join(', ')}` : ''}, this program knows format ${FORMAT_VERSION}`,
      {
        detail: { location, object: CONFIG_KEY, found: shown.format, expected: FORMAT_VERSION },
        hint: 'use a newer Granary',
      },
    )
  }
  return { shown: shown as PublicConfig, line }
}

/**
 * The settings, and the last collection whose decisions may lack a signature; undefined for all, in configs of old.
 *
 * @param acceptsUnsigned true for a config of old, in a repository without clients
 * @throws GranaryError `GRANARY_AUTHENTICATION` when a byte of it was changed, or no key holder signed it
 */
export const openSettings = (
  keys: RepositoryKeys,
  bytes: Bytes,
  line: Bytes,
  options: { readonly acceptsUnsigned: boolean },
): { readonly settings: RepositorySettings; readonly unsignedCollections: number | undefined } => {
  const sealed = bytes.subarray(line.length)
  const { value, isSigned } = namingObject(CONFIG_KEY, () =>
    openByHolder<StoredSettings>(keys, 'config', sealedName(line), sealed, options),
  )
  const { unsignedCollections, ...settings } = value
  return { settings, unsignedCollections: isSigned ? unsignedCollections : undefined }
}
