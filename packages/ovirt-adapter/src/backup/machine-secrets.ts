/** Takes the secrets out of what the engine says of a machine, and keeps them apart. @module */
import { isJson, objectOf, textOf } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'
import type { MachineSecrets } from '../machine/machine-record.ts'
import { splitOvfSecrets } from '../ovf/secrets.ts'
import type { SplitOvf } from '../ovf/secrets.ts'

/** Properties of `initialization` that let somebody in, or may hold anything. */
const SECRETS = [
  'root_password',
  'authorized_ssh_keys',
  'custom_script',
  'windows_license_key',
  'cloud_init', //             the same once more, in an older shape
  'payloads',
]

export interface SplitMachine {
  readonly vm: Json
  readonly ovf?: string
  /** Undefined when there is nothing to keep apart. */
  readonly secrets?: MachineSecrets
}

/** @param vm as `all_content` gives it. @throws GranaryError `GRANARY_CORRUPT` when the OVF is no XML */
export const splitMachineSecrets = (vm: Json): SplitMachine => {
  const { initialization, payloads, ...rest } = vm
  const { configuration, ...settings } = objectOf({ initialization }, 'initialization') ?? {}
  const { shown, secret } = splitSettings({ ...settings, ...(payloads === undefined ? {} : { payloads }) })
  const ovf = splitOvf(configuration)
  const hasSecrets = !isEmpty(secret) || (ovf?.secrets.length ?? 0) > 0
  return {
    vm: isEmpty(shown) ? rest : { ...rest, initialization: shown },
    ...(ovf === undefined ? {} : { ovf: ovf.xml }),
    ...(hasSecrets ? { secrets: { ovf: ovf?.secrets ?? [], initialization: secret } } : {}),
  }
}

const splitSettings = (settings: Json): { shown: Json; secret: Json } => {
  const entries = Object.entries(settings)
  return {
    shown: Object.fromEntries(entries.filter(([name]) => !SECRETS.includes(name))),
    secret: Object.fromEntries(entries.filter(([name]) => SECRETS.includes(name))),
  }
}

const splitOvf = (configuration: unknown): SplitOvf | undefined => {
  const text = isJson(configuration) ? textOf(configuration, 'data') : undefined
  return text === undefined || text === '' ? undefined : splitOvfSecrets(text)
}

const isEmpty = (json: Json): boolean => Object.keys(json).length === 0
