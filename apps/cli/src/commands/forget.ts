import { GranaryError } from '@granary/core'
import { forgetSnapshot, listSnapshots, planRetention, readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import type { Repository, RetentionPolicy, Snapshot } from '@granary/dedup-store'
import { isGiven, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, shortId } from '../snapshot-output.ts'

export const forget: Command = {
  name: 'forget',
  summary: 'forget snapshots, by id or by a retention policy; `granary gc` then gives their space back',
  arguments: [{ name: '[ID...]', description: 'snapshots to forget' }],
  options: [
    { flags: '--keep-last <N>', description: 'keep the last N of each series' },
    { flags: '--keep-daily <N>', description: 'keep the last of each of the last N days that have one' },
    { flags: '--keep-weekly <N>', description: 'the same for weeks' },
    { flags: '--keep-monthly <N>', description: 'the same for months' },
    { flags: '--name <NAME>', description: 'apply the policy to this series only' },
    { flags: '--dry-run', description: 'say what would be forgotten, and forget nothing' },
  ],
  examples: [
    'granary forget 1f2e3d4c',
    'granary forget --keep-last 3 --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const isDryRun = isGiven(invocation, 'dryRun')
    const { forget: doomed, kept } = await choose(invocation, repository)
    for (const { snapshot, reasons } of kept) {
      terminal.emit({ type: 'keep', v: 1, id: snapshot.id, name: snapshot.name, reasons })
      terminal.say(
        `keep    ${shortId(snapshot.id)}  ${formatTime(snapshot.timeMs)}  ${snapshot.name}  (${reasons.join(', ')})`,
      )
    }
    for (const snapshot of doomed) {
      if (!isDryRun) await forgetSnapshot(repository.context, snapshot.id, { signal })
      terminal.emit({ type: 'forget', v: 1, id: snapshot.id, name: snapshot.name, dryRun: isDryRun })
      terminal.say(
        `${isDryRun ? 'would forget' : 'forgot'}  ${shortId(snapshot.id)}  ${formatTime(snapshot.timeMs)}  ${snapshot.name}`,
      )
    }
    return 0
  },
}

const RULES = {
  keepLast: '--keep-last',
  keepDaily: '--keep-daily',
  keepWeekly: '--keep-weekly',
  keepMonthly: '--keep-monthly',
} as const

const choose = async (
  invocation: Invocation,
  repository: Repository,
): Promise<{ forget: readonly Snapshot[]; kept: ReturnType<typeof planRetention>['keep'] }> => {
  const { signal } = invocation
  const ids = (invocation.arguments[0] ?? []) as readonly string[]
  const policy = readPolicy(invocation)
  if (ids.length > 0 === Object.keys(policy).length > 0) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'expected ids of snapshots, or a retention policy', {
      hint: 'for instance `granary forget ID`, or `granary forget --keep-last 3 --keep-daily 7`',
    })
  }
  if (ids.length > 0) {
    const chosen: Snapshot[] = []
    for (const text of ids) {
      chosen.push(
        await readSnapshot(repository.context, await resolveSnapshotId(repository.context, text, { signal }), {
          signal,
        }),
      )
    }
    return { forget: chosen, kept: [] }
  }
  const name = textOption(invocation, 'name')
  const all = await listSnapshots(repository.context, { signal })
  const plan = planRetention(name === undefined ? all : all.filter(snapshot => snapshot.name === name), policy)
  return { forget: plan.forget, kept: plan.keep }
}

const readPolicy = (invocation: Invocation): RetentionPolicy => {
  const policy: Record<string, number> = {}
  for (const [name, flag] of Object.entries(RULES)) {
    const text = textOption(invocation, name)
    if (text === undefined) continue
    if (!/^\d{1,6}$/.test(text))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${flag} ${text}: expected a whole number`)
    policy[name] = Number(text)
  }
  return policy
}
