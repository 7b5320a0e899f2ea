import { GranaryError } from '@granary/core'
import { forgetSnapshot, listCatalogs, listSnapshots, resolveSnapshotId } from '@granary/dedup-store'
import { recordFiles } from '../catalog/record-files.ts'
import { isGiven, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { codePageOf, CODE_PAGE_OPTION } from '../guest/open-disks.ts'
import { UNLOCK_OPTION, unlockOptions } from '../guest/unlock-option.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, shortId } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'

const add: Command = {
  name: 'catalog add',
  summary: 'list the files of snapshots, for granary find',
  arguments: [{ name: '[ID...]', description: 'snapshots, as in show' }],
  options: [
    { flags: '--missing', description: 'every snapshot that has no list yet' },
    { flags: '--snapshots', description: 'read-only snapshots of btrfs too' },
    { flags: '--timeout <SECONDS>', description: 'give up on a snapshot after this long (default: never)' },
    CODE_PAGE_OPTION,
    UNLOCK_OPTION,
  ],
  examples: ['granary catalog add latest', 'granary catalog add --missing'],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const timeoutMs = timeoutOf(invocation)
    const unlock = await unlockOptions(invocation)
    for (const id of await chooseSnapshots(invocation, repository.context))
      await recordFiles(terminal, repository, id, {
        signal,
        snapshots: isGiven(invocation, 'snapshots'),
        unlock,
        ...codePageOf(invocation),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      })
    return terminal.warnings > 0 ? 3 : 0
  },
}

type Context = Parameters<typeof listCatalogs>[0]

const chooseSnapshots = async (invocation: Invocation, context: Context): Promise<readonly string[]> => {
  const { signal } = invocation
  const ids = invocation.arguments[0] as readonly string[]
  if (!isGiven(invocation, 'missing')) {
    if (ids.length > 0) return await Promise.all(ids.map(async id => await resolveSnapshotId(context, id, { signal })))
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'which snapshots?', { hint: 'name them, or give --missing' })
  }
  const have = new Set((await listCatalogs(context, { signal })).map(({ catalogOf }) => catalogOf))
  return (await listSnapshots(context, { signal })).map(({ id }) => id).filter(id => !have.has(id))
}

const timeoutOf = (invocation: Invocation): number | undefined => {
  const text = textOption(invocation, 'timeout')
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (seconds > 0 && seconds <= 1_000_000) return Math.ceil(seconds * 1000)
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--timeout ${text}: expected seconds, above 0 and up to 1,000,000`)
}

const list: Command = {
  name: 'catalog list',
  summary: 'show which snapshots have a list of their files',
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const catalogs = new Map(
      (await listCatalogs(repository.context, { signal })).map(catalog => [catalog.catalogOf, catalog]),
    )
    const rows = (await listSnapshots(repository.context, { signal })).map(({ id, name, timeMs }) => ({
      ...{ id, name, timeMs },
      catalog: catalogs.get(id),
    }))
    for (const { id, name, timeMs, catalog } of rows)
      terminal.emit({
        ...{ type: 'cataloged', v: 1, snapshot: id, name, time: new Date(timeMs).toISOString() },
        ...(catalog === undefined
          ? { listed: null }
          : { listed: new Date(catalog.timeMs).toISOString(), bytes: catalog.disks[0]?.sizeBytes ?? 0 }),
      })
    const lines = rows.map(({ id, name, timeMs, catalog }) => [
      shortId(id),
      formatTime(timeMs),
      name,
      catalog === undefined ? '-' : formatTime(catalog.timeMs),
    ])
    terminal.say(formatTable(['ID', 'TIME (UTC)', 'NAME', 'FILES LISTED'], lines))
    return 0
  },
}

const remove: Command = {
  name: 'catalog remove',
  summary: 'forget the list of files of snapshots; the snapshots stay',
  arguments: [{ name: '<ID...>', description: 'snapshots, as in show' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const { context } = repository
    const catalogs = await listCatalogs(context, { signal })
    for (const text of invocation.arguments[0] as readonly string[]) {
      const snapshot = await resolveSnapshotId(context, text, { signal })
      const own = catalogs.filter(({ catalogOf }) => catalogOf === snapshot)
      if (own.length === 0) throw new GranaryError('GRANARY_NOT_FOUND', `the files of ${snapshot} are not listed`)
      for (const { id } of own) await forgetSnapshot(context, id, { signal })
      terminal.emit({ type: 'catalog-removed', v: 1, snapshot })
      terminal.say(`the list of files of ${shortId(snapshot)} is forgotten`)
    }
    return 0
  },
}

export const catalogCommands: readonly Command[] = [add, list, remove]
