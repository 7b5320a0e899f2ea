import { formatBytes } from '@granary/core'
import { collect } from '@granary/dedup-store'
import { isGiven } from '../command.ts'
import type { Command } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId } from '../snapshot-output.ts'

export const gc: Command = {
  name: 'gc',
  summary: 'give back the space of what no snapshot needs; runs beside backups and restores',
  arguments: [{ name: '[REPO]', description: 'the repository' }],
  options: [{ flags: '--dry-run', description: 'say what would go, and change nothing' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation, invocation.arguments[0] as string | undefined)
    const isDryRun = isGiven(invocation, 'dryRun')
    const report = await collect(repository, {
      dryRun: isDryRun,
      signal,
      onWait: sid =>
        terminal.notice(`waiting for session ${shortId(sid)} to end; Ctrl-C gives this collection up, nothing is lost`),
    })
    terminal.emit({ type: 'collection', v: 1, dryRun: isDryRun, ...report })
    terminal.say(
      `${isDryRun ? 'would free' : 'freed'} ${formatBytes(report.deletedBytes)}: ${report.deletedPacks} of ${report.packs} packs` +
        (report.repackedBytes > 0 ? `, ${formatBytes(report.repackedBytes)} copied out of half-empty ones` : ''),
    )
    for (const sid of report.doubtfulForgets)
      terminal.warn(`${sid} was forgotten by a mark that no key holder signed; its data is kept: granary verify`)
    return terminal.warnings > 0 ? 3 : 0
  },
}
