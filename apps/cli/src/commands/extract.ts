import { once } from 'node:events'
import { GranaryError, formatBytes, formatDuration } from '@granary/core'
import {
  OWNERS_FILE,
  applyOwners,
  createPartialOutput,
  extractToFolder,
  selectedItems,
  writeTar,
} from '@granary/extract'
import type { ExtractOptions, ExtractReport, ExtractStep, TarSink } from '@granary/extract'
import { isGiven, textOption } from '../command.ts'
import type { Command, CommandResult, Invocation } from '../command.ts'
import { displayName } from '../terminal/display-name.ts'
import { parseGuestAddress } from '../guest/guest-address.ts'
import type { GuestAddress } from '../guest/guest-address.ts'
import { GUEST_OPTIONS, openGuestDisks } from '../guest/open-disks.ts'
import { ISO_CONTENT_OPTION, writeIso } from '../guest/iso-image.ts'
import { PATH_OPTION, openTrees } from '../guest/open-trees.ts'
import { selectionOf } from '../guest/selections.ts'
import { warnOfFile } from '../guest/warn-of-file.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const extract: Command = {
  name: 'extract',
  summary: 'write files of disks to a folder, a tar archive, an ISO image or standard output',
  arguments: [
    {
      name: '[DISK[:VOLUME[:/PATH]]...]',
      description: 'what to extract, as for ls; a folder with all that is in it, all volumes each into its own folder',
    },
  ],
  options: [
    { flags: '--to <TARGET>', description: 'a folder, F.tar, F.iso, or - for a tar stream', values: 'file' },
    { flags: '--snapshots', description: 'read-only snapshots of btrfs too' },
    { flags: '--devices', description: 'make device nodes too: a guest chose what they lead to' },
    {
      flags: '--no-sparse',
      description: 'write holes as zeros into the archive, for readers that know no sparse files',
    },
    {
      flags: '--apply-owners <DIR>',
      description: `instead: set what ${OWNERS_FILE} of an earlier extraction says, as root`,
      values: 'file',
    },
    ISO_CONTENT_OPTION,
    PATH_OPTION,
    ...GUEST_OPTIONS,
  ],
  examples: [
    'granary extract granary:latest:guest:/home/anna --to /restore',
    'granary extract web.qcow2:p1:/etc --to etc.tar',
    'granary extract granary:latest:p2:/Users --to users.iso',
    'granary extract granary:1f2e3d4c/root:p3 --to - | ssh host "tar -x -C /restore"',
    'sudo granary extract --apply-owners /restore',
  ],
  async run(invocation) {
    const folder = textOption(invocation, 'applyOwners')
    const addresses = invocation.arguments[0] as readonly string[]
    if (folder !== undefined) return await apply(invocation, folder, addresses)
    const target = textOption(invocation, 'to')
    if (target === undefined || addresses.length === 0)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'extract needs what to extract, and --to', {
        hint: 'as in `granary extract DISK:VOLUME:/PATH --to FOLDER`',
      })
    const parsed = addresses.map(parseGuestAddress)
    if (target.endsWith('.iso')) return await writeIso(invocation, parsed, target)
    return await extractAll(invocation, parsed, target)
  },
}

const apply = async (invocation: Invocation, folder: string, addresses: readonly string[]): CommandResult => {
  const { terminal, signal } = invocation
  if (addresses.length > 0 || textOption(invocation, 'to') !== undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', '--apply-owners extracts nothing: give it alone')
  const report = await applyOwners(folder, {
    signal,
    devices: isGiven(invocation, 'devices'),
    onError: (path, error) => warnOfFile(invocation, path, error),
  })
  terminal.emit({ type: 'applied', v: 1, folder, ...report })
  terminal.say(`${folder}: ${report.applied} files given what ${OWNERS_FILE} says`)
  if (report.leftOut > 0) terminal.warn(`${report.leftOut} devices were left out: --devices makes them`)
  return terminal.warnings > 0 ? 3 : 0
}

const extractAll = async (
  invocation: Invocation,
  addresses: readonly GuestAddress[],
  target: string,
): CommandResult => {
  const { terminal, signal } = invocation
  const progress = startProgress(terminal)
  const startMs = performance.now()
  const options: ExtractOptions = {
    signal,
    onError(path, error) {
      progress.end()
      warnOfFile(invocation, path, error)
    },
    onProgress: ({ path, doneBytes }) => progress.show({ what: displayName(path), doneBytes }),
  }
  const steps = stepsOf(invocation, addresses)
  const report = await write(invocation, steps, target, options).finally(() => progress.end())
  tell(invocation, report, target, (performance.now() - startMs) / 1000)
  return terminal.warnings > 0 ? 3 : 0
}

const write = async (
  invocation: Invocation,
  steps: AsyncIterable<ExtractStep>,
  target: string,
  options: ExtractOptions,
): Promise<ExtractReport> => {
  const sparse = invocation.options['sparse'] !== false
  if (target === '-') return await writeTar(steps, stdoutSink(invocation), { ...options, sparse })
  if (!target.endsWith('.tar'))
    return await extractToFolder(steps, target, { ...options, devices: isGiven(invocation, 'devices') })
  await using output = await createPartialOutput(target)
  const report = await writeTar(steps, output, { ...options, sparse })
  await output.publish()
  return report
}

const stdoutSink = ({ terminal, signal }: Invocation): TarSink => {
  const { stdout } = terminal.streams
  let position = 0
  return {
    get position() {
      return position
    },
    async write(bytes) {
      position += bytes.length
      // The stream keeps what it is given, and the writer uses its memory again.
      if (!stdout.write(bytes.slice())) await once(stdout, 'drain', { signal })
    },
  }
}

/** All addresses, one after the other; each volume is closed before the next is opened. */
async function* stepsOf(
  invocation: Invocation,
  addresses: readonly GuestAddress[],
): AsyncGenerator<ExtractStep, void, undefined> {
  for (const address of addresses) {
    await using guest = await openGuestDisks(invocation, address.disks)
    for await (const named of openTrees(invocation, guest.set, address)) {
      const selection = await selectionOf(invocation, named, address)
      yield* selectedItems([selection], { signal: invocation.signal, snapshots: isGiven(invocation, 'snapshots') })
    }
  }
}

const tell = ({ terminal }: Invocation, report: ExtractReport, target: string, seconds: number): void => {
  const { files, folders, bytes, failed, kept, leftOut } = report
  if (kept > 0)
    terminal.warn(
      `owners, modes, attributes or devices of ${kept} files could not be set: they are kept in ${OWNERS_FILE}, and set by: granary extract --apply-owners ${target}`,
    )
  if (leftOut > 0)
    terminal.notice(`${leftOut} sockets, named streams or attributes have no place in the target, and were left out`)
  if (target === '-') return // Standard output is the archive.
  terminal.emit({ type: 'extracted', v: 1, target, ...report, seconds: Number(seconds.toFixed(3)) })
  terminal.say(
    `${files} files in ${folders} folders to ${target}: ${formatBytes(bytes)}, in ${formatDuration(seconds)}` +
      (failed === 0 ? '' : `; ${failed} could not be read`),
  )
}
