/** The configuration as the rest of the adapter uses it: units in names, defaults filled in. @module */
import type { ConfigValue } from './check-value.ts'
import { KEYS } from './keys.ts'
import type { ConfigKey } from './keys.ts'

export interface OvirtConfig {
  /** `https://HOST/ovirt-engine`, without an end slash. */
  readonly engineUrl: string
  readonly username: string
  readonly password: string
  /** File of the CA certificate; without it, the system's are trusted. */
  readonly caFile?: string
  /** File of the CA certificate of the hosts' imageio; without it, the engine is asked for its own CA. */
  readonly imageioCaFile?: string
  /** One answer of the engine. */
  readonly timeoutMs: number
  /** Undefined where the file says nothing: `nbd` from engine 4.5 on, else `file`. */
  readonly diskUploadMechanism?: 'file' | 'nbd'
  readonly backsUpFromNativeHost: boolean
  /** How long an upload may stand still. */
  readonly uploadStallMs: number
  readonly downloadStallMs: number
  /** Until a transfer is `transferring`. */
  readonly transferStartMs: number
  /** What a transfer is created with. */
  readonly transferInactivitySeconds: number
  readonly transferFinalizeMs: number
  readonly allowsIncompatibleVersions: boolean
  readonly logsRequests: boolean
  readonly usesBackupApi: boolean
  readonly removesAllCheckpoints: boolean
  /** Until a backup is `ready`. */
  readonly backupStartMs: number
  readonly backupFinalizeMs: number
  readonly engineOutageMs: number
  readonly vmStateMs: number
  readonly hostPathMethod: 'backup' | 'snapshot'
  readonly libvirtAuthFile?: string
  readonly libvirtSshUser?: string
  readonly scratchFolder: string
  readonly scratchLimitBytes: number
  readonly journalFolder: string
  readonly installationId?: string
  readonly limits: OvirtLimits
  /** Interrupted restores older than this are removed. */
  readonly restoreAgeLimitMs: number
}

export interface OvirtLimits {
  readonly vmsAtOnce: number
  readonly vmsPerHost: number
  readonly vmsPerStorageDomain: number
  readonly transfersPerVm: number
  readonly connectionsPerTransfer: number
  readonly bandwidthBytesPerSecond?: number
}

export type ConfigValues = Readonly<Partial<Record<ConfigKey, ConfigValue>>>

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const DAY_MS = 24 * 60 * MINUTE_MS

/** Values must have passed the table, and the required ones be there. */
export const composeConfig = (values: ConfigValues, engineUrl: string, password: string): OvirtConfig => {
  const number = (key: ConfigKey): number => Number(valueOf(values, key))
  const text = (key: ConfigKey): string => String(valueOf(values, key))
  const isOn = (key: ConfigKey): boolean => valueOf(values, key) === true
  return {
    engineUrl,
    username: text('username'),
    password,
    ...optional('caFile', values.ca_info),
    ...optional('imageioCaFile', values.imageio_ca_info),
    timeoutMs: number('timeout') * SECOND_MS,
    ...optional('diskUploadMechanism', values.disk_upload_mechanism as 'file' | 'nbd' | undefined),
    backsUpFromNativeHost: isOn('backup_vm_from_native_host'),
    uploadStallMs: number('disk_upload_timeout') * MINUTE_MS,
    downloadStallMs: number('disk_download_timeout') * MINUTE_MS,
    transferStartMs: number('image_transfer_timeout') * SECOND_MS,
    transferInactivitySeconds: number('imagetransfer_inactivity_timeout'),
    transferFinalizeMs: number('image_transfer_finalize_timeout') * SECOND_MS,
    allowsIncompatibleVersions: isOn('allow_work_with_incompatible_versions'),
    logsRequests: isOn('curl_verbose'),
    usesBackupApi: isOn('backup_using_ovirt_api'),
    removesAllCheckpoints: isOn('remove_vm_checkpoints_at_full_backup'),
    backupStartMs: number('platform_side_backup_timeout') * SECOND_MS,
    backupFinalizeMs: number('backup_finalize_timeout') * SECOND_MS,
    engineOutageMs: number('engine_outage_timeout') * SECOND_MS,
    vmStateMs: number('vm_state_timeout') * SECOND_MS,
    hostPathMethod: text('host_path_method') as 'backup' | 'snapshot',
    ...optional('libvirtAuthFile', values.libvirt_authfile),
    ...optional('libvirtSshUser', values.libvirt_ssh_user),
    scratchFolder: text('scratch_folder'),
    scratchLimitBytes: number('scratch_limit'),
    journalFolder: text('journal_folder'),
    ...optional('installationId', values.installation_id),
    limits: {
      vmsAtOnce: number('vms_at_once'),
      vmsPerHost: number('vms_per_host'),
      vmsPerStorageDomain: number('vms_per_storage_domain'),
      transfersPerVm: number('transfers_per_vm'),
      connectionsPerTransfer: number('connections_per_transfer'),
      ...(values.bandwidth === undefined ? {} : { bandwidthBytesPerSecond: Number(values.bandwidth) }),
    },
    restoreAgeLimitMs: number('restore_age_limit') * DAY_MS,
  }
}

const valueOf = (values: ConfigValues, key: ConfigKey): ConfigValue | undefined => {
  const row = KEYS[key]
  return values[key] ?? ('default' in row ? row.default : undefined)
}

const optional = <Name extends string, Value extends ConfigValue>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value extends string ? Value : string>> =>
  (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Value extends string ? Value : string>>
