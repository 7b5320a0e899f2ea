import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { projectPath } from '@granary/testing'
import { KEYS } from '../../src/config/keys.ts'
import type { ConfigKey, KeyRow } from '../../src/config/keys.ts'
import { parseOvirtConfig, readOvirtConfig } from '../../src/index.ts'
import type { OvirtConfig } from '../../src/index.ts'

const REQUIRED = 'engine engine.example\nusername admin@internal\npassword secret\n'

const parse = async (text: string, options: Partial<Parameters<typeof parseOvirtConfig>[1]> = {}) =>
  await parseOvirtConfig(text, { path: 'test.conf', format: 'conf', ...options })

const withKey = async (line: string): Promise<OvirtConfig> =>
  (await parse(`${REQUIRED.replace(new RegExp(`^${line.split(' ')[0] ?? ''} .*\n`, 'm'), '')}${line}\n`)).config

const MINUTE = 60_000

/** What each key makes of the configuration: where it shows, its default, values it takes with their effect, and values it refuses. */
const CASES: Record<
  ConfigKey,
  { pick: (config: OvirtConfig) => unknown; default?: unknown; takes: Record<string, unknown>; refuses: string[] }
> = {
  engine: {
    pick: c => c.engineUrl,
    default: 'https://engine.example/ovirt-engine',
    takes: {
      'https://e.example/ovirt-engine/api': 'https://e.example/ovirt-engine',
      'https://e.example/ovirt-engine/api/v4/': 'https://e.example/ovirt-engine',
      'e.example:8443': 'https://e.example:8443/ovirt-engine',
      '[fd00::1]': 'https://[fd00::1]/ovirt-engine',
      '10.0.0.1': 'https://10.0.0.1/ovirt-engine',
    },
    refuses: ['http://e.example', 'https://user:pass@e.example', 'a b', 'https://e.example/?x=1', '<url>'],
  },
  grant_type: {
    pick: c => c.username,
    default: 'admin@internal',
    takes: { password: 'admin@internal' },
    refuses: ['client_credentials', ''],
  },
  username: {
    pick: c => c.username,
    default: 'admin@internal',
    takes: { 'admin@ovirt@internalsso': 'admin@ovirt@internalsso' },
    refuses: ['admin', '<user>'],
  },
  password: {
    pick: c => c.password,
    default: 'secret',
    takes: { 'two  words # and more': 'two  words # and more', '<': '<' },
    refuses: ['<password>', ''],
  },
  ca_info: {
    pick: c => c.caFile,
    default: undefined,
    takes: { '/etc/pki/ca.pem': '/etc/pki/ca.pem' },
    refuses: ['<path>'],
  },
  timeout: {
    pick: c => c.timeoutMs,
    default: 10_000,
    takes: { 1: 1000, 300: 300_000 },
    refuses: ['0', '301', '1.5', '-1', 'ten'],
  },
  disk_upload_mechanism: {
    pick: c => c.diskUploadMechanism,
    default: undefined,
    takes: { file: 'file', nbd: 'nbd' },
    refuses: ['http'],
  },
  backup_vm_from_native_host: {
    pick: c => c.backsUpFromNativeHost,
    default: true,
    takes: { yes: true, no: false },
    refuses: ['true', 'YES'],
  },
  disk_upload_timeout: {
    pick: c => c.uploadStallMs,
    default: 25 * MINUTE,
    takes: { 1: MINUTE, 5000: 5000 * MINUTE },
    refuses: ['0', '0.5'],
  },
  disk_download_timeout: {
    pick: c => c.downloadStallMs,
    default: 25 * MINUTE,
    takes: { 1: MINUTE, 5000: 5000 * MINUTE },
    refuses: ['0'],
  },
  image_transfer_timeout: {
    pick: c => c.transferStartMs,
    default: 300_000,
    takes: { 1: 1000, 3600: 3_600_000 },
    refuses: ['0', '3601'],
  },
  imagetransfer_inactivity_timeout: {
    pick: c => c.transferInactivitySeconds,
    default: 60,
    takes: { 5: 5, 500: 500 },
    refuses: ['4', '501', '0'],
  },
  image_transfer_finalize_timeout: {
    pick: c => c.transferFinalizeMs,
    default: 300_000,
    takes: { 1: 1000, 3600: 3_600_000 },
    refuses: ['0', '3601'],
  },
  allow_work_with_incompatible_versions: {
    pick: c => c.allowsIncompatibleVersions,
    default: false,
    takes: { yes: true, no: false },
    refuses: ['1'],
  },
  curl_verbose: { pick: c => c.logsRequests, default: false, takes: { yes: true, no: false }, refuses: ['on'] },
  backup_using_ovirt_api: {
    pick: c => c.usesBackupApi,
    default: false,
    takes: { yes: true, no: false },
    refuses: ['maybe'],
  },
  remove_vm_checkpoints_at_full_backup: {
    pick: c => c.removesAllCheckpoints,
    default: false,
    takes: { yes: true, no: false },
    refuses: ['all'],
  },
  platform_side_backup_timeout: {
    pick: c => c.backupStartMs,
    default: 7_200_000,
    takes: { 1: 1000, 72000: 72_000_000 },
    refuses: ['0', '72001'],
  },
  backup_finalize_timeout: {
    pick: c => c.backupFinalizeMs,
    default: 300_000,
    takes: { 1: 1000, 3600: 3_600_000 },
    refuses: ['0', '3601'],
  },
  imageio_ca_info: {
    pick: c => c.imageioCaFile,
    default: undefined,
    takes: { '/ca.pem': '/ca.pem' },
    refuses: ['ca.pem'],
  },
  engine_outage_timeout: {
    pick: c => c.engineOutageMs,
    default: 30 * MINUTE,
    takes: { 0: 0, 86400: 86_400_000 },
    refuses: ['86401'],
  },
  vm_state_timeout: {
    pick: c => c.vmStateMs,
    default: 600_000,
    takes: { 1: 1000, 86400: 86_400_000 },
    refuses: ['0', '86401'],
  },
  host_path_method: {
    pick: c => c.hostPathMethod,
    default: 'backup',
    takes: { backup: 'backup', snapshot: 'snapshot' },
    refuses: ['lvm'],
  },
  libvirt_authfile: {
    pick: c => c.libvirtAuthFile,
    default: undefined,
    takes: { '/etc/granary/virsh.conf': '/etc/granary/virsh.conf' },
    refuses: ['virsh.conf'],
  },
  libvirt_ssh_user: {
    pick: c => c.libvirtSshUser,
    default: undefined,
    takes: { vdsm: 'vdsm' },
    refuses: ['vdsm@host', '-oProxyCommand=x'],
  },
  scratch_folder: {
    pick: c => c.scratchFolder,
    default: '/var/tmp',
    takes: { '/scratch area': '/scratch area' },
    refuses: ['scratch'],
  },
  scratch_limit: {
    pick: c => c.scratchLimitBytes,
    default: 16 * 1024 ** 3,
    takes: { '64M': 64 * 1024 ** 2, '2T': 2 * 1024 ** 4 },
    refuses: ['63M', 'much'],
  },
  journal_folder: {
    pick: c => c.journalFolder,
    default: '/var/lib/granary/ovirt',
    takes: { '/j': '/j' },
    refuses: ['j'],
  },
  installation_id: {
    pick: c => c.installationId,
    default: undefined,
    takes: { 'backup-1.site': 'backup-1.site' },
    refuses: ['a b', 'x'.repeat(37)],
  },
  vms_at_once: { pick: c => c.limits.vmsAtOnce, default: 4, takes: { 1: 1, 64: 64 }, refuses: ['0', '65'] },
  vms_per_host: { pick: c => c.limits.vmsPerHost, default: 2, takes: { 1: 1, 64: 64 }, refuses: ['0', '65'] },
  vms_per_storage_domain: {
    pick: c => c.limits.vmsPerStorageDomain,
    default: 4,
    takes: { 1: 1, 64: 64 },
    refuses: ['0', '65'],
  },
  transfers_per_vm: { pick: c => c.limits.transfersPerVm, default: 4, takes: { 1: 1, 32: 32 }, refuses: ['0', '33'] },
  connections_per_transfer: {
    pick: c => c.limits.connectionsPerTransfer,
    default: 4,
    takes: { 1: 1, 32: 32 },
    refuses: ['0', '33'],
  },
  bandwidth: {
    pick: c => c.limits.bandwidthBytesPerSecond,
    default: undefined,
    takes: { '64k': 65_536, '100MiB': 100 * 1024 ** 2 },
    refuses: ['1k', 'fast'],
  },
  restore_age_limit: {
    pick: c => c.restoreAgeLimitMs,
    default: 14 * 86_400_000,
    takes: { 1: 86_400_000, 3650: 3650 * 86_400_000 },
    refuses: ['0', '3651'],
  },
}

t.test('every key: default, range and effect', async t => {
  const { config } = await parse(REQUIRED)
  for (const [key, { pick, default: standard, takes, refuses }] of Object.entries(CASES)) {
    t.same(pick(config), standard, `${key}: default`)
    for (const [text, effect] of Object.entries(takes))
      t.same(pick(await withKey(`${key} ${text}`)), effect, `${key} ${text}`)
    for (const text of refuses)
      await t.rejects(
        withKey(`${key} ${text}`),
        { code: 'GRANARY_INVALID_ARGUMENT', message: new RegExp(`line \\d+: ${key}: `) },
        `${key} ${text}`,
      )
  }
})

t.test('the page of keys says what the table says', async t => {
  const page = await readFile(projectPath('docs/ovirt-configuration.md'), 'utf8')
  for (const [key, row] of Object.entries<KeyRow>(KEYS)) {
    const line = page.split('\n').find(text => text.startsWith(`| \`${key}\``)) ?? ''
    t.not(line, '', `${key} is on the page`)
    if (row.kind === 'whole') {
      t.match(line, new RegExp(`\\| ${row.default} +\\|`), key)
      t.ok(line.includes(`${row.min} to ${row.max}`), `${key}: ${row.min} to ${row.max}`)
    }
    if (row.kind === 'flag') t.match(line, new RegExp(`\\| ${row.default ? 'yes' : 'no'} +\\|`), key)
    if (row.kind === 'choice') t.ok(line.includes(row.values.join(', ')), key)
  }
})

t.test('lines: comments, blanks, line ends, hashes in values, inner spaces', async t => {
  const { config, warnings } = await parse(
    '# a comment\r\n\r\n  # indented\r\nengine\te.example\r\nusername   admin@internal  \r\npassword  a #  b\r\n#timeout 300\r\n',
  )
  t.match(config, {
    engineUrl: 'https://e.example/ovirt-engine',
    username: 'admin@internal',
    password: 'a #  b',
    timeoutMs: 10_000,
  })
  t.same(warnings, [])
})

t.test('an unknown key is a warning, and an error where that is asked for', async t => {
  const text = `${REQUIRED}new_key 1\n`
  t.match((await parse(text)).warnings, [/line 4: new_key/])
  await t.rejects(parse(text, { isStrict: true }), { code: 'GRANARY_INVALID_ARGUMENT', message: /line 4: new_key/ })
  await t.resolves(parse(`${REQUIRED}constructor 1\n__proto__ 1\n`), 'names of built-in properties are no keys')
})

t.test('a key given twice is told, and the last one counts', async t => {
  const { config, warnings } = await parse(`${REQUIRED}timeout 1\ntimeout 2\n`)
  t.equal(config.timeoutMs, 2000)
  t.match(warnings, [/line 5: timeout/])
})

t.test('every problem is told at once, with its line, and no password with it', async t => {
  try {
    await parse('engine <url>\nusername admin\npassword\ntimeout 0\nca_info <path>\n')
    t.fail('it was read')
  } catch (error) {
    t.match(error, { code: 'GRANARY_INVALID_ARGUMENT', detail: { line: 1, problems: 5 } })
    for (const part of [
      'line 1: engine: it is not filled in',
      'line 2: username',
      'line 3: password: it has no value',
      'line 4: timeout',
      'line 5: ca_info',
    ])
      t.match((error as Error).message, part)
  }
  await t.rejects(parse('timeout 5'), {
    message: /engine: it is missing; username: it is missing; password: it is missing/,
  })
})

t.test('the same as TOML', async t => {
  const toml = async (text: string) => await parse(text, { format: 'toml', path: 'test.toml' })
  const { config } = await toml(
    'engine = "e.example" # the engine\nusername = "admin@internal"\npassword = "a # b"\ntimeout = 20\ncurl_verbose = true\nbackup_using_ovirt_api = "yes"\nbandwidth = "1M"\n',
  )
  t.match(config, {
    password: 'a # b',
    timeoutMs: 20_000,
    logsRequests: true,
    usesBackupApi: true,
    limits: { bandwidthBytesPerSecond: 1024 ** 2 },
  })
  const same = await parse(
    'engine e.example\nusername admin@internal\npassword a # b\ntimeout 20\ncurl_verbose yes\nbackup_using_ovirt_api yes\nbandwidth 1M\n',
  )
  t.same(config, same.config)
  const required = 'engine = "e.example"\nusername = "admin@internal"\npassword = "hunter2"\n'
  await t.rejects(toml(`${required}timeout = 400\n`), {
    message: /line 4: timeout: expected a whole number from 1 to 300/,
  })
  await t.rejects(toml(`${required}timeout = [1]\n`), { message: /line 4: timeout: expected a text, a number/ })
  await t.rejects(toml(`${required}[limits]\nvms_at_once = 2\n`), { message: /line 4: limits/ })
  await t.rejects(toml(`${required}timeout = \n`), { message: /line [45]: / })
  try {
    await toml('password = "hunter2\n')
    t.fail('it was read')
  } catch (error) {
    t.match(error, { code: 'GRANARY_INVALID_ARGUMENT', message: /line 1/ })
    t.notMatch(String(error), 'hunter2')
  }
})

t.test('secrets by reference', async t => {
  const seen: unknown[] = []
  const resolveSecret = async (reference: { kind: string; target: string }): Promise<string> => {
    seen.push(reference)
    return reference.target === 'EMPTY' ? '' : 'resolved'
  }
  for (const [text, reference] of [
    ['file:/etc/granary/password', { kind: 'file', target: '/etc/granary/password' }],
    ['env:OVIRT_PASSWORD', { kind: 'env', target: 'OVIRT_PASSWORD' }],
    ['command:pass show ovirt # main', { kind: 'command', target: 'pass show ovirt # main' }],
  ] as const) {
    const { config } = await parse(REQUIRED.replace('secret', text), { resolveSecret })
    t.equal(config.password, 'resolved')
    t.same(seen.pop(), reference)
    await t.rejects(parse(REQUIRED.replace('secret', text)), { code: 'GRANARY_INVALID_ARGUMENT' })
  }
  await t.rejects(parse(REQUIRED.replace('secret', 'env:EMPTY'), { resolveSecret }), {
    message: /password: env: gave nothing/,
  })
})

t.test('files: missing, readable by others, too large, no text', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-config-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const path = join(folder, 'rb_module_ovirt.conf')
  await t.rejects(readOvirtConfig(path), { code: 'GRANARY_NOT_FOUND', message: new RegExp(path) })
  await writeFile(path, REQUIRED, { mode: 0o600 })
  t.same((await readOvirtConfig(path)).warnings, [])
  await chmod(path, 0o640)
  t.match((await readOvirtConfig(path)).warnings, [/can be read by others: chmod 600/])
  await writeFile(path, new Uint8Array([0xff, 0xfe, 0x00]))
  await t.rejects(readOvirtConfig(path), { code: 'GRANARY_INVALID_ARGUMENT', message: /UTF-8/ })
  await writeFile(path, '#'.repeat(1024 ** 2 + 1))
  await t.rejects(readOvirtConfig(path), { code: 'GRANARY_LIMIT' })
  await t.rejects(readOvirtConfig(folder), { name: 'GranaryError' })
  await writeFile(join(folder, 'a.toml'), 'engine = "e"\nusername = "a@b"\npassword = "c"\n', { mode: 0o600 })
  t.equal((await readOvirtConfig(join(folder, 'a.toml'))).config.engineUrl, 'https://e/ovirt-engine')
})

t.test('whatever the text, it ends in a configuration or in an error of ours', async t => {
  const line = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom(...Object.keys(KEYS)), fc.string()).map(([key, value]) => `${key} ${value}`),
  )
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(line), fc.constantFrom('conf', 'toml'), async (lines, format) => {
        try {
          await parse(lines.join('\n'), { format: format as 'conf' | 'toml' })
        } catch (error) {
          t.match(error, { name: 'GranaryError', code: 'GRANARY_INVALID_ARGUMENT' })
        }
      }),
      { seed: 20261127, numRuns: 500 },
    ),
  )
})
