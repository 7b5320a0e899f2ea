/**
 * The keys of the configuration: one row each. The first part is the reference product's `rb_module_ovirt.conf`, as it is;
 * the second is ours.
 *
 * @see docs/ovirt-configuration.md
 * @module
 */

/** What a value may be. */
export type ValueRule =
  | { readonly kind: 'text'; readonly pattern?: RegExp; readonly expected?: string; readonly default?: string }
  | { readonly kind: 'secret' }
  | { readonly kind: 'choice'; readonly values: readonly string[]; readonly default?: string }
  | { readonly kind: 'flag'; readonly default: boolean }
  | {
      readonly kind: 'whole'
      readonly min: number
      readonly max: number
      readonly unit: string
      readonly default: number
    }
  | { readonly kind: 'bytes'; readonly min: number; readonly default?: number }

export type KeyRow = ValueRule & {
  readonly meaning: string
  readonly isRequired?: boolean
}

const MIB = 1024 ** 2
const GIB = 1024 ** 3

const flag = (isOn: boolean, meaning: string) => ({ kind: 'flag', default: isOn, meaning }) as const
const seconds = (value: number, max: number, meaning: string, min = 1) =>
  ({ kind: 'whole', default: value, min, max, unit: 's', meaning }) as const
const count = (value: number, max: number, meaning: string) =>
  ({ kind: 'whole', default: value, min: 1, max, unit: '', meaning }) as const

const PATH = { kind: 'text', pattern: /^\//, expected: 'an absolute path' } as const

export const KEYS = {
  engine: { kind: 'text', isRequired: true, meaning: 'URL or address of the engine' },
  grant_type: { kind: 'choice', values: ['password'], default: 'password', meaning: 'OAuth grant' },
  username: {
    kind: 'text',
    pattern: /.@./,
    expected: 'a user with its profile, such as admin@internal',
    isRequired: true,
    meaning: 'account',
  },
  password: { kind: 'secret', isRequired: true, meaning: 'its password, or where it is' },
  ca_info: { kind: 'text', meaning: 'file of the CA certificate of the engine' },
  timeout: seconds(10, 300, 'one answer of the engine'),
  disk_upload_mechanism: {
    kind: 'choice',
    values: ['file', 'nbd'],
    meaning: 'how disks are read and written inside the platform, where no backup is under way',
  },
  backup_vm_from_native_host: flag(
    true,
    'a VM is read on the host it runs on; no: by `host_path_method snapshot` on another one, too, that mounts its storage',
  ),
  disk_upload_timeout: {
    kind: 'whole',
    default: 25,
    min: 1,
    max: 100_000,
    unit: 'min',
    meaning: 'an upload that does not move',
  },
  disk_download_timeout: {
    kind: 'whole',
    default: 25,
    min: 1,
    max: 100_000,
    unit: 'min',
    meaning: 'a download that does not move',
  },
  image_transfer_timeout: seconds(300, 3600, 'until a transfer is transferring'),
  imagetransfer_inactivity_timeout: seconds(60, 500, "a transfer's own inactivity timeout", 5),
  image_transfer_finalize_timeout: seconds(300, 3600, 'until a transfer is finished'),
  allow_work_with_incompatible_versions: flag(false, 'work with engines that were not tested'),
  curl_verbose: flag(false, 'log every request'),
  backup_using_ovirt_api: flag(false, "read disks through the engine's backup API, not on the host"),
  remove_vm_checkpoints_at_full_backup: flag(
    false,
    "a full backup deletes all checkpoints of the VM, other products' too",
  ),
  platform_side_backup_timeout: seconds(7200, 72_000, 'until a backup is ready'),
  backup_finalize_timeout: seconds(300, 3600, 'until a backup has succeeded'),

  imageio_ca_info: { ...PATH, meaning: "file of the CA certificate of the hosts' imageio, if not the engine's own CA" },
  engine_outage_timeout: seconds(1800, 86_400, 'how long the engine may be away', 0),
  vm_state_timeout: seconds(600, 86_400, 'until a passing state of a VM is over'),
  host_path_method: {
    kind: 'choice',
    values: ['backup', 'snapshot'],
    default: 'backup',
    meaning: 'on the host: a pull-mode backup job, or a snapshot that is committed afterwards',
  },
  libvirt_authfile: {
    ...PATH,
    meaning: "file with the account of this host's libvirt, as its connection URI takes it",
  },
  libvirt_ssh_user: {
    kind: 'text',
    pattern: /^[a-z_][a-z0-9_-]*$/,
    expected: 'the name of an account',
    meaning: 'account that reaches libvirt on other hosts by ssh, with a key; without it, only this host is reached',
  },
  scratch_folder: { ...PATH, default: '/var/tmp', meaning: "where the host path keeps libvirt's scratch files" },
  scratch_limit: { kind: 'bytes', min: 64 * MIB, default: 16 * GIB, meaning: 'largest scratch space of one VM' },
  journal_folder: { ...PATH, default: '/var/lib/granary/ovirt', meaning: 'where unfinished work is noted down' },
  installation_id: {
    kind: 'text',
    pattern: /^[A-Za-z0-9._-]{1,36}$/,
    expected: 'at most 36 letters, digits, dots, dashes and underscores',
    meaning: 'tells what is ours from what another installation made; else the journal makes one',
  },
  vms_at_once: count(4, 64, 'VMs worked on at once'),
  vms_per_host: count(2, 64, 'of these, on one host'),
  vms_per_storage_domain: count(4, 64, 'of these, with disks in one storage domain'),
  transfers_per_vm: count(4, 32, 'disks of one VM moved at once'),
  connections_per_transfer: count(4, 32, "connections of one transfer, at most the host's max_readers or max_writers"),
  bandwidth: { kind: 'bytes', min: 64 * 1024, meaning: 'bytes a second, all transfers together' },
  restore_age_limit: {
    kind: 'whole',
    default: 14,
    min: 1,
    max: 3650,
    unit: 'd',
    meaning: 'after which what an interrupted restore left is removed',
  },
} as const satisfies Record<string, KeyRow>

export type ConfigKey = keyof typeof KEYS

export const isConfigKey = (key: string): key is ConfigKey => Object.hasOwn(KEYS, key)
