import { GranaryError, formatBytes } from '@granary/core'
import { check as checkRepository, rebuildIndex } from '@granary/dedup-store'
import type { CheckReport, RebuildReport } from '@granary/dedup-store'
import { isGiven, textOption } from '../command.ts'
import type { Command, OptionValues } from '../command.ts'
import { checkImage } from './check-image.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { shortId } from '../snapshot-output.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const check: Command = {
  name: 'check',
  summary: 'check a repository: every object, every snapshot; with --read-data every byte; or a qcow2 image',
  arguments: [{ name: '[REPO]', description: 'the repository, or qcow2:FILE' }],
  options: [
    {
      flags: '--read-data [PERCENT]',
      description: 'read and verify the data, of all packs or of this share, chosen at random',
    },
    {
      flags: '--repair-index',
      description: 'first make damaged or lost parts of the index anew, from what packs say of themselves',
    },
    { flags: '--repair <FILE>', description: 'write a qcow2 image without leaks into this new file', values: 'file' },
  ],
  examples: [
    'granary check /backup/repo',
    'granary check /backup/repo --read-data=5',
    'granary check /backup/repo --repair-index',
    'granary check qcow2:web.qcow2',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const readData = parseShare(invocation.options)
    const [, image] = /^qcow2:(.+)$/s.exec((invocation.arguments[0] as string | undefined) ?? '') ?? []
    if (image !== undefined) return await checkImage(invocation, image)
    if (textOption(invocation, 'repair') !== undefined)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', '--repair is for qcow2:FILE')
    await using repository = await openRepositoryOf(invocation, invocation.arguments[0] as string | undefined)
    if (isGiven(invocation, 'repairIndex')) sayRebuilt(terminal, await rebuildIndex(repository, { signal }))
    const progress = startProgress(terminal)
    const report = await checkRepository(repository, {
      readData,
      signal,
      onProgress: ({ doneBytes, totalBytes }) => progress.show({ what: 'check', doneBytes, totalBytes }),
    }).finally(() => progress.end())
    say(terminal, report)
    if (report.damages.length === 0) return 0
    throw new GranaryError(
      'GRANARY_CORRUPT',
      `${report.damages.length} damaged, ${touchedSnapshots(report)} snapshots touched`,
      {
        detail: { damages: report.damages.length, touched: report.touched.length },
        hint: 'all other snapshots and ranges can be restored; --repair-index mends the index; back the machines up again: what is damaged in packs is stored again where they still have it: docs/operations.md',
      },
    )
  },
}

const touchedSnapshots = (report: CheckReport): number => new Set(report.touched.map(range => range.snapshot)).size

const say = (terminal: Terminal, report: CheckReport): void => {
  for (const damage of report.damages) {
    terminal.emit({ type: 'damage', v: 1, ...damage })
    terminal.say(`damaged  ${damage.object}: ${damage.message} (${damage.code})`)
  }
  for (const range of report.touched) {
    terminal.emit({ type: 'touched', v: 1, ...range })
    terminal.say(`touches  ${shortId(range.snapshot)}/${range.disk}  ${range.offset}+${range.length}`)
  }
  const { snapshots, packs, unindexedPacks, passedPacks, unverifiedPacks, damagedPacks, readBytes } = report
  const damages = report.damages.length
  terminal.emit({
    type: 'check',
    v: 1,
    snapshots,
    packs,
    unindexedPacks,
    passedPacks,
    unverifiedPacks,
    damagedPacks,
    readBytes,
    damages,
  })
  if (passedPacks > 0)
    terminal.say(`${passedPacks} packs of write-only clients passed: others rely on them from now on`)
  if (unverifiedPacks > 0)
    terminal.say(`${unverifiedPacks} packs of write-only clients serve nobody else yet: check --read-data reads them`)
  if (damagedPacks > 0)
    terminal.say(
      `${damagedPacks} packs are known to be damaged: the next backups store again what is in them, then granary gc takes them`,
    )
  terminal.say(
    `${snapshots} snapshots, ${packs} packs, ${formatBytes(readBytes)} read: ${damages === 0 ? 'no damage found' : `${damages} damaged`}`,
  )
}

const sayRebuilt = (terminal: Terminal, report: RebuildReport): void => {
  const { damagedSegments, indexedPacks, unreadablePacks } = report
  terminal.emit({ type: 'indexRepaired', v: 1, damagedSegments, indexedPacks, unreadablePacks })
  terminal.say(`index: ${damagedSegments.length} damaged segments made anew, ${indexedPacks} packs named again`)
  for (const pack of unreadablePacks) terminal.warn(`${pack} does not say what is in it: its content is not found`)
}

const parseShare = ({ readData }: OptionValues): number => {
  if (readData === undefined || readData === false) return 0
  if (readData === true || readData === '') return 1
  const percent = typeof readData === 'string' ? Number(readData.replace(/%$/, '')) : Number.NaN
  if (percent > 0 && percent <= 100) return percent / 100
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `--read-data=${String(readData as string)}: expected a percentage above 0, at most 100`,
  )
}
