import { GranaryError } from '@granary/core'
import { verify as verifyRepository } from '@granary/dedup-store'
import type { SeriesReport, VerifyReport } from '@granary/dedup-store'
import { listOption, textOption } from '../command.ts'
import type { Command } from '../command.ts'
import { readHeadState, writeHeadState } from '../head-state.ts'
import type { SeenHead } from '../head-state.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'verify signatures and the chain of each series; what was removed, changed or rolled back shows',
  arguments: [{ name: '[REPO]', description: 'the repository' }],
  options: [
    {
      flags: '--expect-head <HASH>',
      description: 'hash of a snapshot that must be there, or ID:HASH; `granary show --json` has both',
      isRepeated: true,
    },
    {
      flags: '--state <FILE>',
      description: 'remembers the last snapshot of each series there, and expects those that it remembers',
      values: 'file',
    },
  ],
  examples: [
    'granary verify /backup/repo --state /var/lib/granary/web.heads   # keep the file where the storage’s owner can’t reach it',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const given = listOption(invocation, 'expectHead').map(parseHead)
    await using repository = await openRepositoryOf(invocation, invocation.arguments[0] as string | undefined)
    const state = textOption(invocation, 'state')
    const remembered = state === undefined ? [] : await readHeadState(state, repository.config.id)
    const report = await verifyRepository(repository, { expected: [...given, ...remembered], signal })
    say(terminal, report)
    const { problems } = report
    if (problems.length > 0) {
      throw new GranaryError('GRANARY_AUTHENTICATION', `${problems.length} found that should not be`, {
        detail: { problems: problems.length },
        hint: 'compare with a second copy; what each kind means and what to do is in docs/operations.md',
      })
    }
    if (state !== undefined) await writeHeadState(state, repository.config.id, report.series.flatMap(headsOf))
    return 0
  },
}

const headsOf = ({ name, heads }: SeriesReport): SeenHead[] => heads.map(({ id, hash }) => ({ series: name, id, hash }))

const say = (terminal: Terminal, { series, problems, verified }: VerifyReport): void => {
  for (const each of series) terminal.emit({ type: 'series', v: 1, ...each })
  for (const problem of problems) terminal.emit({ type: 'problem', v: 1, ...problem })
  terminal.emit({ type: 'verify', v: 1, series: series.length, verified, problems: problems.length })
  terminal.say(
    formatTable(
      ['SERIES', 'SNAPSHOTS', 'FORGOTTEN', 'LAST', 'FORKS'],
      series.map(({ name, snapshots, forgotten, heads, forks }) => [
        name,
        String(snapshots),
        String(forgotten),
        heads.map(({ id }) => shortId(id)).join(', '),
        forks
          .map(({ prev, ids }) => `${prev === null ? 'start' : shortId(prev)} -> ${ids.map(shortId).join(', ')}`)
          .join('; '),
      ]),
      [1, 2],
    ),
  )
  for (const { kind, message } of problems) terminal.say(`${kind}: ${message}`)
  terminal.say(
    `${verified} signatures verified: ${problems.length === 0 ? 'all is as it was made' : `${problems.length} wrong`}`,
  )
}

const parseHead = (text: string): { hash: string; id?: string } => {
  const [, id, hash = ''] = /^(?:([0-9a-f]{32}):)?([0-9a-f]{64})$/.exec(text) ?? []
  if (hash !== '') return { hash, ...(id === undefined ? {} : { id }) }
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `--expect-head ${text}: expected 64 hexadecimal digits, or ID:HASH`,
    {
      hint: '`granary show ID --json` gives id and hash of a snapshot',
    },
  )
}
