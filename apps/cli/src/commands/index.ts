/**
 * The table of commands: help, completion and parsing come from it. A command line loads only what it runs: loading all takes
 * three times as long as loading one.
 *
 * @module
 */
import type { Command } from '../command.ts'

/** First words of commands, and how to load those that begin with them. In the order of the help. */
const ROWS: readonly (readonly [word: string, load: () => Promise<readonly Command[]>])[] = [
  ['init', async () => [(await import('./init.ts')).init]],
  ['backup', async () => [(await import('./backup.ts')).backup]],
  ['snapshots', async () => [(await import('./snapshots.ts')).snapshots]],
  ['show', async () => [(await import('./show.ts')).show]],
  ['diff', async () => [(await import('./diff.ts')).diff]],
  ['restore', async () => [(await import('./restore.ts')).restore]],
  ['forget', async () => [(await import('./forget.ts')).forget]],
  ['gc', async () => [(await import('./gc.ts')).gc]],
  ['check', async () => [(await import('./check.ts')).check]],
  ['verify', async () => [(await import('./verify.ts')).verify]],
  ['copy', async () => [(await import('./copy.ts')).copy]],
  ['serve', async () => [(await import('./serve.ts')).serve]],
  ['volumes', async () => [(await import('./volumes.ts')).volumes]],
  ['ls', async () => [(await import('./ls.ts')).ls]],
  ['cat', async () => [(await import('./cat.ts')).cat]],
  ['extract', async () => [(await import('./extract.ts')).extract]],
  ['find', async () => [(await import('./find.ts')).find]],
  ['catalog', async () => (await import('./catalog.ts')).catalogCommands],
  ['map', async () => [(await import('./map.ts')).map]],
  ['info', async () => [(await import('./info.ts')).info]],
  ['measure', async () => [(await import('./measure.ts')).measure]],
  ['resize', async () => [(await import('./resize.ts')).resize]],
  ['rebase', async () => [(await import('./rebase.ts')).rebase]],
  ['commit', async () => [(await import('./commit.ts')).commit]],
  ['ovirt', async () => [(await import('./ovirt-check.ts')).ovirtCheck]],
  ['ovirt', async () => [(await import('./ovirt-vms.ts')).ovirtVms]],
  ['ovirt', async () => [(await import('./ovirt-backup.ts')).ovirtBackup]],
  ['ovirt', async () => [(await import('./ovirt-backups.ts')).ovirtBackups]],
  ['ovirt', async () => [(await import('./ovirt-restore.ts')).ovirtRestore]],
  ['ovirt', async () => (await import('./ovirt-files.ts')).ovirtFilesCommands],
  ['ovirt', async () => [(await import('./ovirt-recover.ts')).ovirtRecover]],
  ['ovirt', async () => [(await import('./ovirt-clean.ts')).ovirtClean]],
  ['simulate', async () => [(await import('./simulate-ovirt.ts')).simulateOvirt]],
  ['key', async () => (await import('./key.ts')).keyCommands],
  ['client', async () => (await import('./client.ts')).clientCommands],
  ['seal', async () => [(await import('./seal.ts')).seal]],
  ['open', async () => [(await import('./seal.ts')).open]],
  ['settings', async () => [(await import('./settings.ts')).settings]],
  ['suites', async () => [(await import('./suites.ts')).suites]],
  ['bench', async () => [(await import('./bench.ts')).bench]],
  ['completion', async () => [(await import('./completion.ts')).completion]],
]

/** The commands that begin with this word; all of them when none does. */
export const loadCommands = async (word?: string): Promise<readonly Command[]> => {
  const chosen = ROWS.filter(([first]) => first === word)
  const rows = chosen.length > 0 ? chosen : ROWS
  return (await Promise.all(rows.map(async ([, load]) => await load()))).flat()
}
