/** The options that say what new objects are made with. @module */
import type { SettingsOptions } from '@granary/dedup-store'
import { suites } from '@granary/transform'
import { textOption } from './command.ts'
import type { Invocation, OptionRow } from './command.ts'

export const SETTINGS_OPTIONS: readonly OptionRow[] = [
  {
    flags: '--suite <NAME>',
    description: 'encryption of new objects (at first aes-256-gcm); `granary suites` lists them',
    values: suites.map(({ name }) => name),
  },
  {
    flags: '--compression <NAME>',
    description: 'zstd:1 to zstd:19 (at first zstd:3), lz4, none',
    values: ['zstd:1', 'zstd:3', 'zstd:9', 'zstd:19', 'lz4', 'none'],
  },
  {
    flags: '--chunker <NAME>',
    description: 'grid:128k (at first), fixed:64k, fastcdc:64k; sizes from docs/chunking.md',
    values: ['grid:64k', 'grid:128k', 'fixed:64k', 'fixed:128k', 'fastcdc:64k'],
  },
]

/** Those that were given. */
export const settingsOf = (invocation: Invocation): SettingsOptions => ({
  ...named('suite', textOption(invocation, 'suite')),
  ...named('compression', textOption(invocation, 'compression')),
  ...named('chunker', textOption(invocation, 'chunker')),
})

const named = <Name extends string>(name: Name, value: string | undefined): { [Key in Name]?: string } =>
  value === undefined ? {} : ({ [name]: value } as { [Key in Name]: string })
