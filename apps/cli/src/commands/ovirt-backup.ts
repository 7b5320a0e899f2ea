import { GranaryError, formatBytes } from '@granary/core'
import type { BackupKind } from '@granary/dedup-store'
import type {
  BackupVmOptions,
  GuestScripts,
  HostPath,
  OvirtConfig,
  ScriptReport,
  Vm,
  VmBackupReport,
  VmChoice,
  VmResult,
} from '@granary/ovirt-adapter'
import { FILE_LIST_OPTION, recordFilesAfterBackup } from '../catalog/record-files.ts'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { parseLabels, parseWorkers } from '../backup-options.ts'
import { OVIRT_OPTIONS, VM_OPTIONS } from '../ovirt/ovirt-options.ts'
import { keepAliveMs, loadAdapter, openEngineOf, openJournalOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { recoverFirst } from '../ovirt/recover-first.ts'
import { showVmProgress } from '../ovirt/vm-progress.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId, snapshotObject, sumOf } from '../snapshot-output.ts'

const KINDS = ['incremental', 'full', 'differential'] as const satisfies readonly BackupKind[]

export const ovirtBackup: Command = {
  name: 'ovirt backup',
  summary: 'back up machines of an engine, each into one snapshot',
  arguments: [{ name: '[VM...]', description: 'names or ids; * in a name stands for anything' }],
  options: [
    ...VM_OPTIONS,
    { flags: '--kind <KIND>', description: 'incremental (default), full, differential', values: KINDS },
    { flags: '--require-consistency', description: "fail unless the guest's file systems were frozen" },
    { flags: '--require-all-disks', description: 'fail when a disk of a machine can not be in the copy' },
    { flags: '--exclude-disk <DISK>', description: 'leave out this disk: alias or id', isRepeated: true },
    { flags: '--no-shutdown', description: 'fail for machines that are down (backup_if_shutdown false)' },
    { flags: '--script-before-snapshot <PATH>', description: 'run this script in the guest before the copy' },
    { flags: '--script-after-snapshot <PATH>', description: 'and this one after, if the first one ran' },
    { flags: '--execution-script-timeout <S>', description: 'seconds each of them may take, 1 to 600 (5)' },
    { flags: '--label <KEY=VALUE>', description: 'a label to keep with the snapshots', isRepeated: true },
    FILE_LIST_OPTION,
    { flags: '--workers <N>', description: 'threads of each machine that cut, compress and seal; 0 for none' },
    ...OVIRT_OPTIONS,
  ],
  examples: [
    'granary ovirt backup web db --config /etc/granary/ovirt.toml',
    "granary ovirt backup --all --exclude 'test-*'",
    'granary ovirt backup --tag nightly --kind full --require-all-disks',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const options = optionsOf(invocation)
    const config = await readConfigOf(invocation)
    await using repository = await openRepositoryOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    const { backupVms, checkVersion, chooseVms, openImageDisk } = await loadAdapter()
    await checkVersion(engine, { allowsOthers: config.allowsIncompatibleVersions, signal })
    await recoverFirst(invocation, config, { engine, journal })
    const vms = await chooseVms(engine, choiceOf(invocation), { signal })
    const progress = showVmProgress(terminal)
    const results = await backupVms(
      {
        engine,
        repository,
        journal,
        openImage: async opening => await openImageDisk({ ...opening, keepAliveMs: keepAliveMs(config) }),
        settings: config,
        host: hostPathOf(config),
      },
      {
        ...options,
        vms,
        signal,
        ...progress.handlers,
        onScript: (vm, report) => progress.above(() => tellScript(invocation, vm, report)),
        onResult: result => progress.above(() => tell(invocation, result)),
      },
    ).finally(() => progress.end())
    // After all machines: none waits for the files of another.
    if (isGiven(invocation, 'fileList'))
      for (const result of results)
        if ('report' in result) await recordFilesAfterBackup(terminal, repository, result.report.snapshot.id, signal)
    return conclude(invocation, results)
  },
}

/** What the host path takes of the configuration. */
const hostPathOf = ({ usesBackupApi, ...config }: OvirtConfig): HostPath => ({
  isPreferred: !usesBackupApi,
  backsUpFromNativeHost: config.backsUpFromNativeHost,
  hostPathMethod: config.hostPathMethod,
  scratchFolder: config.scratchFolder,
  scratchLimitBytes: config.scratchLimitBytes,
  ...(config.libvirtAuthFile === undefined ? {} : { libvirtAuthFile: config.libvirtAuthFile }),
  ...(config.libvirtSshUser === undefined ? {} : { libvirtSshUser: config.libvirtSshUser }),
})

const scriptsOf = (invocation: Invocation): GuestScripts => {
  const [before, after] = ['scriptBeforeSnapshot', 'scriptAfterSnapshot'].map(name => textOption(invocation, name))
  const text = textOption(invocation, 'executionScriptTimeout') ?? '5'
  const seconds = Number(text)
  if (!/^\d+$/.test(text) || seconds < 1 || seconds > 600)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--execution-script-timeout ${text}: expected 1 to 600 seconds`)
  for (const path of [before, after])
    if (path?.startsWith('/') === false)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: expected the full path of a script in the guest`)
  return {
    timeoutMs: seconds * 1000,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }
}

/** What scripts in guests printed is for the log. */
const tellScript = ({ terminal }: Invocation, vm: Vm, report: ScriptReport): void => {
  const { script, path, exitCode, output, failure } = report
  const end = exitCode === undefined ? `failed: ${failure}` : `ended with ${exitCode}`
  const text = `${vm.name}: ${path} ${end}${output === '' ? '' : `: ${output.trimEnd()}`}`
  if (exitCode === 0) terminal.notice(text)
  else terminal.warn(text, { vm: { id: vm.id, name: vm.name } })
  const details = { script, path, exitCode: exitCode ?? null, output, ...(failure === undefined ? {} : { failure }) }
  terminal.emit({ type: 'script', v: 1, vm: { id: vm.id, name: vm.name }, ...details })
}

const optionsOf = (invocation: Invocation): BackupVmOptions => {
  const kind = (textOption(invocation, 'kind') ?? 'incremental') as BackupKind
  if (!KINDS.includes(kind))
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--kind ${kind}: expected ${KINDS.join(', ')}`)
  return {
    kind,
    requireConsistency: isGiven(invocation, 'requireConsistency'),
    requireAllDisks: isGiven(invocation, 'requireAllDisks'),
    backsUpIfShutdown: invocation.options['shutdown'] !== false,
    excludeDisks: listOption(invocation, 'excludeDisk'),
    scripts: scriptsOf(invocation),
    labels: parseLabels(listOption(invocation, 'label')),
    workers: parseWorkers(textOption(invocation, 'workers') ?? '1'),
  }
}

const choiceOf = (invocation: Invocation): VmChoice => {
  const search = textOption(invocation, 'search')
  return {
    names: (invocation.arguments[0] ?? []) as readonly string[],
    all: isGiven(invocation, 'all'),
    tags: listOption(invocation, 'tag'),
    exclude: listOption(invocation, 'exclude'),
    ...(search === undefined ? {} : { search }),
  }
}

/** Each machine's result, as soon as it is there. */
const tell = ({ terminal }: Invocation, result: VmResult): void => {
  const vm = { id: result.vm.id, name: result.vm.name }
  if ('error' in result) {
    const { code, message, hint } = result.error
    terminal.warn(`${vm.name}: not backed up: ${message}${hint === undefined ? '' : ` (${hint})`}`, { code, vm })
    terminal.emit({ type: 'vm-failed', v: 1, vm, code, message, ...(hint === undefined ? {} : { hint }) })
    return
  }
  const { report } = result
  const { snapshot, method, frozen, checkpointId, removedCheckpoints, notCopied, warnings } = report
  const more = { vm, method, frozen, checkpoint: checkpointId ?? null, removedCheckpoints, notCopied }
  terminal.emit({ ...snapshotObject(snapshot), ...more, warnings })
  for (const warning of warnings) terminal.warn(`${vm.name}: ${warning}`, { vm })
  terminal.say(describe(report))
}

const describe = ({ snapshot, method, frozen }: VmBackupReport): string => {
  const { disks, name, backupKind, id, labels } = snapshot
  const size = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0)
  const copied = method === 'none' ? 'configuration only' : `${method}, frozen: ${frozen}`
  const how = labels['inconsistent'] === undefined ? copied : `${copied}, inconsistent`
  return (
    `snapshot ${shortId(id)} of ${name} (${backupKind}, ${how}): ${disks.length} ${disks.length === 1 ? 'disk' : 'disks'}, ` +
    `${formatBytes(size)}, ${formatBytes(sumOf(snapshot, 'readBytes'))} read, ${formatBytes(sumOf(snapshot, 'newBytes'))} new, ` +
    `${formatBytes(sumOf(snapshot, 'storedBytes'))} stored`
  )
}

const conclude = ({ terminal }: Invocation, results: readonly VmResult[]): 0 | 3 => {
  const failed = results.flatMap(result => ('error' in result ? [result] : []))
  const [first] = failed
  if (results.length > 1) terminal.say(`${results.length - failed.length} of ${results.length} machines backed up`)
  if (first === undefined) return terminal.warnings > 0 ? 3 : 0
  const { error, vm } = first
  const message =
    results.length === 1
      ? `${vm.name}: ${error.message}`
      : `${failed.length} of ${results.length} machines were not backed up`
  throw new GranaryError(error.code, message, {
    detail: { failed: failed.map(one => one.vm.name).join(', ') },
    cause: error,
    retryable: error.retryable,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })
}
