/**
 * The file of `--map`: what of the old engine is what on the new one. TOML, tables of texts; all may be left out.
 *
 * @see docs/ovirt-restore.md, "Mapping"
 * @module
 */
import { GranaryError } from '@granary/core'
import { parse } from 'smol-toml'

/** Old name to new name. */
export type NameMap = Readonly<Record<string, string>>

export interface RestoreMap {
  readonly clusters?: NameMap
  readonly storage_domains?: NameMap
  /** A disk's name, alias or id to a storage domain. */
  readonly disks?: NameMap
  /** `NETWORK` to `NETWORK`, or `NETWORK/PROFILE` to `NETWORK/PROFILE`. */
  readonly networks?: NameMap
  /** A NIC's name to `NETWORK/PROFILE`; the empty text is a NIC without a network. */
  readonly nics?: NameMap
  readonly quotas?: NameMap
  readonly disk_profiles?: NameMap
  readonly cpu_profiles?: NameMap
  /** `user@domain` to `user@domain`. */
  readonly users?: NameMap
}

const TABLES = [
  'clusters',
  'storage_domains',
  'disks',
  'networks',
  'nics',
  'quotas',
  'disk_profiles',
  'cpu_profiles',
  'users',
] as const satisfies readonly (keyof RestoreMap)[]

const MAX_TEXT = 1024 ** 2

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names the line or the table */
export const parseRestoreMap = (text: string, path: string): RestoreMap => {
  if (text.length > MAX_TEXT) throw invalid(path, `it has ${text.length} characters, at most ${MAX_TEXT} are read`)
  let tables: Record<string, unknown>
  try {
    tables = parse(text, { maxDepth: 8, unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    const { line } = error as { line?: number }
    throw invalid(path, `${line === undefined ? '' : `line ${line}: `}${(error as Error).message.split('\n')[0] ?? ''}`)
  }
  for (const [name, table] of Object.entries(tables)) {
    if (!(TABLES as readonly string[]).includes(name))
      throw invalid(path, `there is no table "${name}"; there are ${TABLES.join(', ')}`)
    const isTexts =
      typeof table === 'object' && table !== null && Object.values(table).every(value => typeof value === 'string')
    if (!isTexts) throw invalid(path, `[${name}] holds pairs of names, such as "old" = "new"`)
  }
  return tables
}

const invalid = (path: string, reason: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: ${reason}`, {
    detail: { path },
    hint: 'docs/ovirt-restore.md shows a mapping file',
  })

/** What a name is mapped to, by the first of several keys that is there. */
export const mapped = (map: NameMap | undefined, ...keys: readonly string[]): string | undefined => {
  for (const key of keys) if (map !== undefined && Object.hasOwn(map, key)) return map[key]
  return undefined
}
