/** Options of `granary ovirt restore`, and what they ask for. @module */
import { readFile } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { MacConflict, OvirtConfig, RestoreChoices, RestoreMap } from '@granary/ovirt-adapter'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'
import { loadAdapter } from './open-ovirt.ts'

/** What the reference product writes for "as it was". */
const ORIGINAL = 'ORIGINAL'

export const RESTORE_OPTIONS: readonly OptionRow[] = [
  { flags: '--name <NAME>', description: 'name of the machine (default: its own; with _1, _2 when it is taken)' },
  { flags: '--cluster <NAME>', description: 'cluster (default: the one of the same name)' },
  { flags: '--storage-domain <NAME>', description: 'storage domain of all disks (default: ORIGINAL, where each was)' },
  {
    flags: '--vnic-profile <NETWORK/PROFILE>',
    description: 'vNIC profile of all NICs; "" is none (default: ORIGINAL)',
  },
  { flags: '--map <FILE>', description: 'TOML: what of the old engine is what on the new one', values: 'file' },
  { flags: '--keep-mac', description: 'NICs keep their MACs (default: new ones)' },
  {
    flags: '--mac-conflict <WHAT>',
    description: 'when a kept MAC is taken: skip the NIC (default), give it a new MAC, or fail',
    values: ['skip', 'new', 'fail'],
  },
  { flags: '--disk <NAME>', description: 'only this disk: name, alias or id', isRepeated: true },
  { flags: '--exclude-disk <NAME>', description: 'not this disk', isRepeated: true },
  { flags: '--disks-only', description: 'only the disks, floating, and no machine' },
  { flags: '--preallocate', description: 'thin raw disks become preallocated on block storage, not thin qcow2' },
  { flags: '--with-initialization', description: 'send cloud-init and sysprep settings, which may hold passwords' },
  { flags: '--without-ovf', description: 'make the machine without its OVF: NVRAM and TPM start empty' },
  { flags: '--start', description: 'start the machine when all is done' },
]

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT`, `GRANARY_NOT_FOUND` */
export const restoreChoicesOf = async (invocation: Invocation, config: OvirtConfig): Promise<RestoreChoices> => {
  const disks = listOption(invocation, 'disk')
  const map = await readMap(textOption(invocation, 'map'))
  return {
    ...optional('name', textOption(invocation, 'name')),
    ...optional('cluster', textOption(invocation, 'cluster')),
    ...optional('storageDomain', originalIsNone(textOption(invocation, 'storageDomain'))),
    ...optional('vnicProfile', originalIsNone(textOption(invocation, 'vnicProfile'))),
    ...optional('macConflict', macConflictOf(invocation)),
    ...optional('map', map),
    ...optional('uploadMechanism', config.diskUploadMechanism),
    ...(disks.length === 0 ? {} : { disks }),
    excludedDisks: listOption(invocation, 'excludeDisk'),
    keepsMac: isGiven(invocation, 'keepMac'),
    disksOnly: isGiven(invocation, 'disksOnly'),
    preallocates: isGiven(invocation, 'preallocate'),
    withInitialization: isGiven(invocation, 'withInitialization'),
    withoutOvf: isGiven(invocation, 'withoutOvf'),
  }
}

const macConflictOf = (invocation: Invocation): MacConflict | undefined => {
  const text = textOption(invocation, 'macConflict')
  if (text === undefined || text === 'skip' || text === 'new' || text === 'fail') return text
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--mac-conflict ${text}: expected skip, new or fail`)
}

const originalIsNone = (text: string | undefined): string | undefined => (text === ORIGINAL ? undefined : text)

const optional = <Name extends string, Value>(name: Name, value: Value | undefined): { [N in Name]?: Value } =>
  (value === undefined ? {} : { [name]: value }) as { [N in Name]?: Value }

const readMap = async (path: string | undefined): Promise<RestoreMap | undefined> => {
  if (path === undefined) return undefined
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fromSystemError(error, `reading the mapping ${path}`)
  })
  return (await loadAdapter()).parseRestoreMap(text, path)
}
