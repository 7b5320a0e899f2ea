import { GranaryError } from '@granary/core'
import type { Repository } from '@granary/dedup-store'
import type {
  Engine,
  Journal,
  OvirtConfig,
  ReadableSource,
  RestoreContext,
  RestoreReport,
} from '@granary/ovirt-adapter'
import { isGiven, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { confirm } from '../ovirt/confirm.ts'
import { keepAliveMs, loadAdapter, openEngineOf, openJournalOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { OVIRT_OPTIONS } from '../ovirt/ovirt-options.ts'
import { recoverFirst } from '../ovirt/recover-first.ts'
import { RESTORE_OPTIONS, restoreChoicesOf } from '../ovirt/restore-options.ts'
import { showInPlacePlan, showInPlaceReport, showPlan, showReport } from '../ovirt/restore-output.ts'
import { openRestoreSource } from '../ovirt/restore-source.ts'
import { restoreToFolder } from '../ovirt/restore-to-folder.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const ovirtRestore: Command = {
  name: 'ovirt restore',
  summary: 'restore a machine: to an engine as a new one, in place, or to a folder',
  arguments: [{ name: '[ID]', description: 'a snapshot, a unique beginning of its id, or "latest"' }],
  options: [
    ...RESTORE_OPTIONS,
    { flags: '--in-place <VM>', description: 'write what differs to the disks of this stopped machine: name or id' },
    { flags: '--to-folder <DIR>', description: 'one file a disk, and no engine', values: 'file' },
    { flags: '--format <FORMAT>', description: 'of files: raw (default) or qcow2', values: ['raw', 'qcow2'] },
    { flags: '--with-secrets', description: 'write passwords and keys of its configuration to the folder, too' },
    { flags: '--overlay <DIR>', description: 'with what `ovirt recover` kept there over the disks', values: 'file' },
    { flags: '--resume <RESTORE>', description: 'go on with a restore that broke off' },
    { flags: '--dry-run', description: 'show what would be done' },
    { flags: '--yes', description: 'ask nothing' },
    ...OVIRT_OPTIONS,
  ],
  examples: [
    'granary ovirt restore 1f2e3d4c --config /etc/granary/ovirt.toml --dry-run',
    'granary ovirt restore latest --name web-test --storage-domain nfs2 --keep-mac --start',
    'granary ovirt restore latest --in-place web --yes',
    'granary ovirt restore latest --to-folder /vm/web --format qcow2',
    'granary ovirt restore --resume 5f60718a',
  ],
  async run(invocation) {
    const { terminal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const folder = textOption(invocation, 'toFolder')
    if (folder !== undefined) {
      await restoreToFolder(invocation, await openRestoreSource(invocation, repository, idOf(invocation)), folder)
      return 0
    }
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    await restoreToEngine(invocation, { repository, config, engine, journal })
    return terminal.warnings > 0 ? 3 : 0
  },
}

const idOf = ({ arguments: [id] }: Invocation): string => {
  if (typeof id === 'string') return id
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'which snapshot was not said', {
    hint: '`granary ovirt backups` lists them',
  })
}

interface Opened {
  readonly repository: Repository
  readonly config: OvirtConfig
  readonly engine: Engine
  readonly journal: Journal
}

const restoreToEngine = async (invocation: Invocation, opened: Opened): Promise<void> => {
  const resumed = textOption(invocation, 'resume')
  if (resumed !== undefined) return await resume(invocation, opened, resumed)
  if (!isGiven(invocation, 'dryRun')) await recoverFirst(invocation, opened.config, opened)
  const source = await openRestoreSource(invocation, opened.repository, idOf(invocation))
  const vm = textOption(invocation, 'inPlace')
  if (vm === undefined) await restoreAnew(invocation, opened, source)
  else await restoreOver(invocation, opened, { source, vm })
}

/** Shows steps and disks while it works. */
const working = async <Result>(
  { terminal }: Invocation,
  { engine, journal, config }: Opened,
  work: (context: RestoreContext) => Promise<Result>,
): Promise<Result> => {
  const { openImageUpload } = await loadAdapter()
  const progress = startProgress(terminal)
  try {
    return await work({
      engine,
      journal,
      settings: config,
      openUpload: async options => await openImageUpload({ ...options, keepAliveMs: keepAliveMs(config) }),
      onEvent(event) {
        if (event.type === 'step') terminal.emit({ type: 'restore-step', v: 1, step: event.step, what: event.what })
        else progress.show({ what: event.disk, doneBytes: event.doneBytes, totalBytes: event.totalBytes })
      },
    })
  } finally {
    progress.end()
  }
}

const restoreAnew = async (invocation: Invocation, opened: Opened, source: ReadableSource): Promise<void> => {
  const { terminal, signal } = invocation
  const { planRestore, readRestoreTarget, requirePlan, restoreMachine } = await loadAdapter()
  const choices = await restoreChoicesOf(invocation, opened.config)
  const name = choices.name ?? String(source.record.vm['name'] ?? 'restored')
  const target = await readRestoreTarget(opened.engine, { name, signal })
  const plan = requirePlan(planRestore(source, target, choices))
  if (isGiven(invocation, 'dryRun')) return showPlan(terminal, plan)
  const report = await working(
    invocation,
    opened,
    async context =>
      await restoreMachine(context, source, plan, {
        start: isGiven(invocation, 'start'),
        note: opened.repository.config.id,
        signal,
      }),
  )
  showReport(terminal, report)
}

const restoreOver = async (
  invocation: Invocation,
  opened: Opened,
  { source, vm: wanted }: { readonly source: ReadableSource; readonly vm: string },
): Promise<void> => {
  const { terminal, signal } = invocation
  const { chooseVms, planInPlace, readInPlaceTarget, requirePlan, restoreInPlace } = await loadAdapter()
  const { disks, excludedDisks, map } = await restoreChoicesOf(invocation, opened.config)
  const [vm, ...others] = await chooseVms(opened.engine, { names: [wanted] }, { signal })
  if (vm === undefined || others.length > 0)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--in-place ${wanted}: expected the name or id of one machine`)
  const plan = requirePlan(
    planInPlace(source, await readInPlaceTarget(opened.engine, vm, { signal }), {
      ...(disks === undefined ? {} : { disks }),
      ...(excludedDisks === undefined ? {} : { excludedDisks }),
      ...(map?.disks === undefined ? {} : { diskMap: map.disks }),
    }),
  )
  showInPlacePlan(terminal, plan)
  if (isGiven(invocation, 'dryRun')) return
  await confirm(invocation, `What these disks of "${plan.vmName}" hold now is lost.`)
  const repositoryId = opened.repository.config.id
  const report = await working(
    invocation,
    opened,
    async context => await restoreInPlace(context, source, plan, { note: repositoryId, signal }),
  )
  showInPlaceReport(terminal, report)
}

const resume = async (invocation: Invocation, opened: Opened, id: string): Promise<void> => {
  const { terminal, signal } = invocation
  const { findBrokenRestore, resumeInPlace, resumeRestore } = await loadAdapter()
  await using broken = await findBrokenRestore(opened.journal, id)
  if (broken.note !== '' && broken.note !== opened.repository.config.id) {
    throw new GranaryError(
      'GRANARY_INVALID_ARGUMENT',
      `restore ${id} reads from repository ${broken.note.slice(0, 8)}`,
      {
        hint: 'give that one with --repo',
      },
    )
  }
  const source = await openRestoreSource(invocation, opened.repository, broken.snapshotId)
  if (broken.isInPlace) {
    showInPlaceReport(
      terminal,
      await working(
        invocation,
        opened,
        async context => await resumeInPlace(context, source, broken.entry, { signal }),
      ),
    )
    return
  }
  const report: RestoreReport = await working(
    invocation,
    opened,
    async context => await resumeRestore(context, source, broken.entry, { signal }),
  )
  showReport(terminal, report)
}
