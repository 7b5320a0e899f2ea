/**
 * The crash-point explorer: writers, a reader, forget, collection, merge and repack run at once in every order that seeds bring
 * about, with faults, stalls and crashes; then everything dies after some, or each, of the changes. A long run takes about
 * 45 minutes of one processor; other seeds are other worlds, so move the ranges to see more of them.
 */
import t from 'tap'
import { IS_LONG, LONG_MS, exploreAll } from './explorer/run-jobs.ts'

t.setTimeout(LONG_MS)

t.test('any interleaving: no snapshot is lost, nothing blocks, nothing is left over', { timeout: LONG_MS }, async t => {
  await exploreAll(t, { seeds: [0, IS_LONG ? 3000 : 40], isFaulty: false, prefixes: 2 })
})

t.test(
  'the same with lost answers, late and duplicated puts, stale lists and failures',
  { timeout: LONG_MS },
  async t => {
    await exploreAll(t, { seeds: [20_000, IS_LONG ? 23_000 : 20_040], isFaulty: true, prefixes: 2 })
  },
)

t.test('every prefix of some of them', { timeout: LONG_MS }, async t => {
  await exploreAll(t, { seeds: [50_000, IS_LONG ? 50_120 : 50_002], isFaulty: false, prefixes: Infinity })
  await exploreAll(t, { seeds: [60_000, IS_LONG ? 60_120 : 60_001], isFaulty: true, prefixes: Infinity })
})
