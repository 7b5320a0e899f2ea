import { GranaryError, formatBytes } from '@granary/core'
import type { AttachedFiles, Engine, FilesChoices, FilesContext, Journal, OvirtConfig } from '@granary/ovirt-adapter'
import { isGiven, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { parseGuestAddress } from '../guest/guest-address.ts'
import { GUEST_OPTIONS } from '../guest/open-disks.ts'
import { ISO_CONTENT_OPTION, planImage } from '../guest/iso-image.ts'
import { keepAliveMs, loadAdapter, openEngineOf, openJournalOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { OVIRT_OPTIONS } from '../ovirt/ovirt-options.ts'
import { parseDuration } from '../ovirt/parse-duration.ts'
import { recoverFirst } from '../ovirt/recover-first.ts'
import { formatTime } from '../snapshot-output.ts'
import { startProgress } from '../terminal/progress-line.ts'
import { formatTable } from '../terminal/table.ts'

const attach: Command = {
  name: 'ovirt files attach',
  summary: "put files of disks into a machine's CD drive",
  arguments: [{ name: '<DISK[:VOLUME[:/PATH]]...>', description: 'what to put there, as for extract' }],
  options: [
    { flags: '--vm <VM>', description: 'name or id of the machine' },
    {
      flags: '--storage-domain <NAME>',
      description: 'a data domain of its data center, or an ISO domain that is mounted and writable here',
    },
    { flags: '--replace-cd', description: 'take out the disc that is in the drive; it comes back at the end' },
    { flags: '--eject-after <TIME>', description: 'wait, and eject the files after so long: 30m, 2h, 1d' },
    ISO_CONTENT_OPTION,
    { flags: '--snapshots', description: 'read-only snapshots of btrfs too' },
    ...GUEST_OPTIONS,
    ...OVIRT_OPTIONS,
  ],
  examples: [
    'granary ovirt files attach granary:latest:guest:/home/anna --vm web --storage-domain data1',
    'granary ovirt files attach granary:1f2e3d4c:p2:/Users/Anna --vm desk-7 --storage-domain data1 --eject-after 4h',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const choices = choicesOf(invocation)
    const addresses = (invocation.arguments[0] as readonly string[]).map(parseGuestAddress)
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    const { attachFiles, openImageUpload } = await loadAdapter()
    const progress = startProgress(terminal)
    let files: AttachedFiles
    {
      await using journal = await openJournalOf(config)
      await recoverFirst(invocation, config, { engine, journal })
      await using planned = await planImage(invocation, addresses)
      const context: FilesContext = {
        engine,
        journal,
        settings: config,
        openUpload: async options => await openImageUpload({ ...options, keepAliveMs: keepAliveMs(config) }),
        onEvent: event => {
          if (event.type === 'disk-progress') progress.show({ what: event.disk, ...event })
        },
      }
      const result = await attachFiles(context, planned.image, choices, { signal }).finally(() => progress.end())
      planned.tell()
      for (const warning of result.warnings) terminal.notice(warning)
      ;({ files } = result)
      showAttached(invocation, files, planned.image.sizeBytes)
    }
    // The journal of this run is closed: from here on anybody may eject the files.
    if (choices.ejectAfterMs !== undefined) await ejectLater(invocation, config, engine, files)
    return terminal.warnings > 0 ? 3 : 0
  },
}

const choicesOf = (invocation: Invocation): FilesChoices => {
  const vm = textOption(invocation, 'vm')
  const ejectAfterMs = parseDuration(textOption(invocation, 'ejectAfter'), '--eject-after')
  const storageDomain = textOption(invocation, 'storageDomain')
  if (vm === undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'which machine is to get the files?', { hint: 'give --vm NAME' })
  return {
    vm,
    ...(storageDomain === undefined ? {} : { storageDomain }),
    replaceCd: isGiven(invocation, 'replaceCd'),
    ...(ejectAfterMs === undefined ? {} : { ejectAfterMs }),
  }
}

const filesObject = (type: string, files: AttachedFiles): object => {
  const { id, vmId, vmName, storageDomain, disc, isCurrent, attachedMs, ejectAtMs } = files
  return {
    ...{ type, v: 1, id, vm: vmName, vmId, storageDomain, disc, isCurrent },
    attached: new Date(attachedMs).toISOString(),
    ...(ejectAtMs === undefined ? {} : { ejectAt: new Date(ejectAtMs).toISOString() }),
  }
}

const showAttached = ({ terminal }: Invocation, files: AttachedFiles, sizeBytes: number): void => {
  terminal.emit({ ...filesObject('files-attached', files), sizeBytes })
  terminal.say(`${formatBytes(sizeBytes)} for the drive of ${files.vmName}, as ${files.id}`)
  terminal.say('if its guest shows an old disc: unmount, eject and mount again')
  terminal.say(`granary ovirt files eject ${files.id} takes them out`)
}

/** Waits until the time is up. Told to end before that, the files stay: the next start after their time ejects them. */
const ejectLater = async (
  invocation: Invocation,
  config: OvirtConfig,
  engine: Engine,
  { id, ejectAtMs = 0 }: AttachedFiles,
): Promise<void> => {
  const { terminal, signal } = invocation
  try {
    await engine.clock.sleep(Math.max(ejectAtMs - engine.clock.now(), 0), signal)
  } catch {
    terminal.notice(
      `the files stay: granary ovirt files eject ${id} takes them out, or the next start after their time`,
    )
    return
  }
  await using journal = await openJournalOf(config)
  await ejectOne(invocation, engine, journal, id)
}

const ejectOne = async (invocation: Invocation, engine: Engine, journal: Journal, id: string): Promise<void> => {
  const { terminal } = invocation
  const { ejectFiles } = await loadAdapter()
  const { files, warnings } = await ejectFiles({ engine, journal }, id, { signal: invocation.signal })
  for (const warning of warnings) terminal.warn(warning, { id })
  terminal.emit(filesObject('files-ejected', files))
  terminal.say(`the files ${id} are out of the drive of ${files.vmName}, and removed`)
}

const eject: Command = {
  name: 'ovirt files eject',
  summary: "take files out of a machine's CD drive; what was there before comes back",
  arguments: [{ name: '<ID...>', description: 'as attach and list show them' }],
  options: OVIRT_OPTIONS,
  examples: ['granary ovirt files eject 1f2e3d4c'],
  async run(invocation) {
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    for (const id of invocation.arguments[0] as readonly string[]) await ejectOne(invocation, engine, journal, id)
    return invocation.terminal.warnings > 0 ? 3 : 0
  },
}

const list: Command = {
  name: 'ovirt files list',
  summary: 'show the files that are in drives of machines',
  options: OVIRT_OPTIONS,
  async run(invocation) {
    const { terminal } = invocation
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    await using journal = await openJournalOf(config)
    const { listFiles } = await loadAdapter()
    const all = await listFiles({ engine, journal })
    for (const files of all) terminal.emit(filesObject('files', files))
    const rows = all.map(({ id, vmName, storageDomain, attachedMs, ejectAtMs }) => [
      ...[id, vmName, storageDomain, formatTime(attachedMs)],
      ejectAtMs === undefined ? '' : formatTime(ejectAtMs),
    ])
    terminal.say(formatTable(['ID', 'MACHINE', 'DOMAIN', 'SINCE (UTC)', 'EJECTED AT'], rows))
    return 0
  },
}

export const ovirtFilesCommands: readonly Command[] = [attach, list, eject]
