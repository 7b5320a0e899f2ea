/** The explorer on local files that lose power, and with single steps of collection left out. */
import t from 'tap'
import { IS_LONG, LONG_MS, exploreAll, runJob } from './explorer/run-jobs.ts'

t.setTimeout(LONG_MS)

/**
 * Worlds of chance find these by themselves; collection-protocol.test.ts shows for what schedules each step is there. The seeds
 * begin where chance is soon lucky: without fences it takes one world in three hundred.
 */
const BROKEN = [
  { protocol: { waits: false }, firstSeed: 0 },
  { protocol: { fences: false }, firstSeed: 260 },
  { protocol: { marksTwice: false }, firstSeed: 0 },
]
for (const { protocol, firstSeed } of BROKEN)
  t.test(`chance finds what is lost without a step: ${JSON.stringify(protocol)}`, { timeout: LONG_MS }, async t => {
    const seeds = [firstSeed, firstSeed + 500] as const
    const { wrong, interleavings } = await runJob({ seeds, isFaulty: false, prefixes: 1, protocol })
    const loss = wrong.find(text => /snapshot \w+ (can't be read|reads wrong)/.test(text))
    t.comment(`found in interleaving ${interleavings}: ${loss ?? wrong.join()}`)
    t.ok(loss, 'a committed snapshot is lost')
  })

t.test(
  'power cuts: the same on local files, of which any legal part of what was not synced is left',
  { timeout: LONG_MS },
  async t => {
    await exploreAll(t, { seeds: [70_000, IS_LONG ? 70_200 : 70_006], isFaulty: false, prefixes: 25, outcomes: 1 })
    if (IS_LONG) await exploreAll(t, { seeds: [80_000, 80_004], isFaulty: false, prefixes: Infinity, outcomes: 6 })
  },
)
