import { GranaryError } from '@granary/core'
import { CATALOG_TYPES, SORT_COLUMNS, searchCatalog } from '@granary/catalog'
import type { CatalogHit, CatalogQuery, CatalogResult, CatalogType, SortColumn } from '@granary/catalog'
import { resolveSnapshotId } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import { INDEX_OPTION, openCatalogIndex } from '../catalog/open-index.ts'
import { describeHit, hitObject } from '../catalog/hit-output.ts'
import { parseSize, parseTime } from '../catalog/query-values.ts'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime, shortId } from '../snapshot-output.ts'

export const find: Command = {
  name: 'find',
  summary: 'search the files of cataloged snapshots by name, size, owner and time',
  arguments: [{ name: '[TEXT]', description: 'what paths have in them; upper and lower case are the same' }],
  options: [
    { flags: '--prefix <TEXT>', description: 'paths that begin so, as in /etc/' },
    { flags: '--suffix <TEXT>', description: 'paths that end so, as in .docx' },
    { flags: '--type <TYPE>', description: CATALOG_TYPES.join(', '), isRepeated: true, values: CATALOG_TYPES },
    { flags: '--min-size <SIZE>', description: 'at least that large, as in 10M' },
    { flags: '--max-size <SIZE>', description: 'at most that large' },
    { flags: '--owner <UID>', description: 'number of the owner' },
    { flags: '--from <TIME>', description: 'not before: 2026-11-01 or 2026-11-01T14:00, UTC' },
    { flags: '--to <TIME>', description: 'before that time' },
    {
      flags: '--by <WHICH>',
      description: 'the time that counts: modified (default) or created',
      values: ['modified', 'created'],
    },
    { flags: '--sort <COLUMN>', description: `by ${SORT_COLUMNS.join(', ')} (default: path)`, values: SORT_COLUMNS },
    { flags: '--ascending', description: 'the first or smallest first (default: the last or largest)' },
    { flags: '--limit <N>', description: 'files shown at once, 1 to 10000 (default: 100)' },
    { flags: '--after <KEY>', description: 'go on behind the page that ended with this key' },
    { flags: '--snapshot <ID>', description: 'search this one only', isRepeated: true },
    { flags: '--name <NAME>', description: 'search this series only', isRepeated: true },
    { flags: '--all', description: 'search every snapshot (default: the last of each series)' },
    INDEX_OPTION,
  ],
  examples: [
    'granary find invoice --suffix .pdf --from 2026-01-01',
    'granary find --name web --prefix /var/log/ --sort size --limit 20',
    'granary find отчёт --all --json',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const query = await queryOf(invocation, repository)
    await using index = await openCatalogIndex(invocation, repository)
    signal.throwIfAborted()
    const result = searchCatalog(index, query)
    if (result.snapshots.length === 0) throw nothingCataloged(query)
    print(invocation, result)
    return terminal.warnings > 0 ? 3 : 0
  },
}

const queryOf = async (invocation: Invocation, { context }: Repository): Promise<CatalogQuery> => {
  const text = (name: string): string | undefined => textOption(invocation, name)
  const contains = invocation.arguments[0] as string | undefined
  const ids = listOption(invocation, 'snapshot')
  const names = listOption(invocation, 'name')
  const snapshots = await Promise.all(
    ids.map(async id => await resolveSnapshotId(context, id, { signal: invocation.signal })),
  )
  const given = <Key extends keyof CatalogQuery>(key: Key, value: CatalogQuery[Key]): Pick<CatalogQuery, Key> =>
    (value === undefined ? {} : { [key]: value }) as Pick<CatalogQuery, Key>
  return {
    ...given('contains', contains),
    ...given('prefix', text('prefix')),
    ...given('suffix', text('suffix')),
    ...given('types', listOption(invocation, 'type') as readonly CatalogType[]),
    ...given('minBytes', parseSize(text('minSize'), '--min-size')),
    ...given('maxBytes', parseSize(text('maxSize'), '--max-size')),
    ...given('owner', numberOf(text('owner'))),
    ...given('from', parseTime(text('from'), '--from')),
    ...given('to', parseTime(text('to'), '--to')),
    ...given('by', text('by') as 'modified' | 'created' | undefined),
    ...given('sort', text('sort') as SortColumn | undefined),
    ...given('limit', numberOf(text('limit'))),
    ...given('after', text('after')),
    ...(snapshots.length > 0 ? { snapshots } : {}),
    ...(names.length > 0 ? { names } : {}),
    ascending: isGiven(invocation, 'ascending'),
    ...(isGiven(invocation, 'all') ? { all: true } : {}),
  }
}

/** What is no number is refused by the search, with its range. */
const numberOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text))

const nothingCataloged = ({ snapshots }: CatalogQuery): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', 'no snapshot that was asked for has a list of its files', {
    detail: { snapshots: snapshots?.join(', ') ?? 'all' },
    hint: 'make one with `granary catalog add latest`, or at every backup with --file-list',
  })

const print = ({ terminal }: Invocation, { hits, next, snapshots }: CatalogResult): void => {
  for (const hit of hits) {
    terminal.emit(hitObject(hit))
    if (!terminal.isJson) terminal.say(describeHit(hit))
  }
  terminal.emit({
    type: 'find-end',
    v: 1,
    found: hits.length,
    snapshots: snapshots.length,
    ...(next === undefined ? {} : { next }),
  })
  const where = snapshots.length === 1 ? whereOf(snapshots[0]) : `${snapshots.length} snapshots`
  terminal.say(`${hits.length} files in ${where}`)
  if (next !== undefined) terminal.say(`there are more: --after ${next}`)
}

const whereOf = (snapshot: CatalogHit['snapshot'] | undefined): string =>
  snapshot === undefined ? '' : `${shortId(snapshot.snapshot)} of ${snapshot.name}, ${formatTime(snapshot.timeMs)}`
