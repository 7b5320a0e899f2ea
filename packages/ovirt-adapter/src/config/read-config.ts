/** Reads a configuration file: every problem is told at once, with its line. @module */
import { open } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { engineBase } from '../engine/address.ts'
import { checkValue } from './check-value.ts'
import type { CheckedValue, ConfigValue } from './check-value.ts'
import { readConfFile } from './conf-file.ts'
import type { ConfigEntry, ConfigProblem } from './entries.ts'
import { KEYS, isConfigKey } from './keys.ts'
import type { ConfigKey, KeyRow } from './keys.ts'
import { composeConfig } from './ovirt-config.ts'
import type { OvirtConfig } from './ovirt-config.ts'
import { parseSecretReference } from './secret-reference.ts'
import type { ResolveSecret } from './secret-reference.ts'
import { readTomlFile } from './toml-file.ts'

export interface ReadConfigOptions extends AbortOptions {
  /** An unknown key is an error, not a warning. @default false */
  readonly isStrict?: boolean
  /** Without it, references to secrets are an error. */
  readonly resolveSecret?: ResolveSecret
}

export interface ReadConfig {
  readonly config: OvirtConfig
  /** What is not as it should be, and does no harm. */
  readonly warnings: readonly string[]
}

const MAX_FILE_BYTES = 1024 ** 2

/**
 * Reads the file at `path`: TOML where its name ends in `.toml`, else the reference product's format.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND`, `GRANARY_PERMISSION` when it cannot be read; else as `parseOvirtConfig`
 */
export const readOvirtConfig = async (path: string, options: ReadConfigOptions = {}): Promise<ReadConfig> => {
  const { text, mode } = await readText(path)
  const format = path.endsWith('.toml') ? 'toml' : 'conf'
  const { config, warnings } = await parseOvirtConfig(text, { ...options, path, format })
  // POSIX permissions: group and others.
  const isOpen = (mode & 0o077) !== 0 && process.platform !== 'win32'
  return { config, warnings: isOpen ? [...warnings, `${path} can be read by others: chmod 600 it`] : warnings }
}

const readText = async (path: string): Promise<{ text: string; mode: number }> => {
  try {
    await using file = await open(path, 'r')
    const stats = await file.stat()
    const { mode, size } = stats
    if (!stats.isFile()) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is no regular file`)
    if (size > MAX_FILE_BYTES)
      throw new GranaryError('GRANARY_LIMIT', `${path} has ${size} bytes, a configuration at most ${MAX_FILE_BYTES}`)
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile()), mode }
  } catch (error) {
    if (error instanceof TypeError) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is no text in UTF-8`)
    throw fromSystemError(error, `reading the configuration ${path}`)
  }
}

export interface ParseConfigOptions extends ReadConfigOptions {
  /** Named in messages. */
  readonly path: string
  readonly format: 'conf' | 'toml'
}

/**
 * Reads the text of a configuration.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names every wrong line; what `resolveSecret` throws
 */
export const parseOvirtConfig = async (
  text: string,
  { path, format, isStrict = false, resolveSecret, signal }: ParseConfigOptions,
): Promise<ReadConfig> => {
  const { entries, problems } = format === 'toml' ? readTomlFile(text) : readConfFile(text)
  const warnings: string[] = []
  const values = new Map<ConfigKey, ConfigValue>()
  for (const entry of entries) {
    if (!isConfigKey(entry.key)) {
      if (isStrict) problems.push({ ...entry, message: 'there is no such key' })
      else warnings.push(`${path}, line ${entry.line}: ${entry.key}: there is no such key; it is ignored`)
      continue
    }
    if (values.has(entry.key))
      warnings.push(`${path}, line ${entry.line}: ${entry.key}: it was given before; this one counts`)
    const checked = checkEntry(entry.key, entry)
    if ('value' in checked) values.set(entry.key, checked.value)
    else problems.push({ line: entry.line, key: entry.key, message: checked.problem })
  }
  const named = new Set([...entries, ...problems].map(({ key }) => key))
  for (const [key, row] of Object.entries<KeyRow>(KEYS))
    if (row.isRequired === true && !named.has(key)) problems.push({ key, message: 'it is missing' })
  if (problems.length > 0) throw invalid(path, problems)
  const password = await secretOf(values.get('password'), { path, resolveSecret, signal })
  return { config: composeConfig(Object.fromEntries(values), String(values.get('engine')), password), warnings }
}

const checkEntry = (key: ConfigKey, { value }: ConfigEntry): CheckedValue => {
  const checked = checkValue(KEYS[key], value)
  if (key !== 'engine' || 'problem' in checked) return checked
  try {
    return { value: engineBase(value) }
  } catch (error) {
    return { problem: (error as GranaryError).message }
  }
}

const secretOf = async (
  value: ConfigValue | undefined,
  {
    path,
    resolveSecret,
    signal,
  }: { path: string; resolveSecret: ResolveSecret | undefined; signal: AbortSignal | undefined },
): Promise<string> => {
  const text = String(value)
  const reference = parseSecretReference(text)
  if (reference === undefined) return text
  if (resolveSecret === undefined)
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `${path}: password: nothing here reads ${reference.kind}: references`,
    )
  const secret = await resolveSecret(reference, { signal })
  if (secret !== '') return secret
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: password: ${reference.kind}: gave nothing`)
}

const invalid = (path: string, problems: readonly ConfigProblem[]): GranaryError => {
  const sorted = problems.toSorted((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity))
  const texts = sorted.map(({ line, key, message }) =>
    [line && `line ${line}`, key, message].filter(Boolean).join(': '),
  )
  return new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: ${texts.join('; ')}`, {
    detail: { path, line: sorted[0]?.line ?? 0, problems: problems.length },
    hint: 'docs/ovirt-configuration.md has every key with its range',
  })
}
