/** `kill -9` at random moments of a restore: the next start leaves nothing of ours, or goes on to the end. */
import t from 'tap'
import { loadNative } from '@granary/core'
import { seededRandom } from '@granary/testing'
import { findBrokenRestore, resumeRestore } from '../../src/index.ts'
import type { Json } from '../../src/index.ts'
import { openKillSite, prepareRuns } from './killed-restore.ts'
import { NOTHING_LEFT, addMachine, compare, differencesOf, recoverIn, sourceOf } from './restore-site.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 4 : 100
const skip = (await loadNative()) === undefined ? 'no file locks on this system' : false

t.setTimeout(1_800_000)

t.test(`${RUNS} of 100 moments`, { skip, timeout: 1_800_000 }, async t => {
  const killSite = await openKillSite()
  await using site = killSite.site
  const source = await sourceOf(site, await addMachine(site))
  const runFor = await prepareRuns(t, killSite, source, { name: 'killed' })
  const killedVms = async (): Promise<Json[]> =>
    ((await site.engine.get('/vms'))['vm'] as Json[]).filter(({ name }) => name === 'killed')
  const removeKilled = async (): Promise<void> => {
    for (const { id } of await killedVms())
      await site.engine.remove(`/vms/${String(id)}`, { conflictTimeoutMs: 600_000 })
  }
  const first = await runFor(120_000)
  t.ok(first.isWhole, 'left alone, it comes to its end')
  let { tookMs } = first // It gets shorter as files come from the cache.
  await removeKilled()
  const random = seededRandom(20261127)
  const seen = { undone: 0, resumed: 0, whole: 0 }
  for (let run = 0; run < RUNS; run++) {
    const ended = await runFor(((run + random(1000) / 1000) / RUNS) * tookMs)
    if (ended.isWhole) tookMs = Math.min(tookMs, ended.tookMs)
    await using journal = await site.openJournal()
    const recovered = await recoverIn(site, journal)
    t.ok(recovered.length <= 1)
    const [left] = recovered
    t.not(left?.outcome.kind, 'failed', JSON.stringify(left?.outcome))
    if (left?.outcome.kind === 'left') {
      await using broken = await findBrokenRestore(journal, String(left.entry.facts['restore']))
      await compare(t, site, source, await resumeRestore(site.context(journal), source, broken.entry))
      seen.resumed++
    } else {
      // Without an entry it is all or nothing; it may have come to its end just before the signal.
      const [vm] = await killedVms()
      t.ok(vm !== undefined || !ended.isWhole)
      if (vm === undefined) seen.undone++
      else {
        seen.whole++
        t.equal(vm['description'], 'the web server')
        const made = [...site.simulator.vm(String(vm['id'])).attachments.keys()]
        t.equal(made.length, source.disks.length)
        for (const [index, id] of made.entries())
          t.equal(await differencesOf(site, source, source.disks[index]?.name ?? '', id), 0)
      }
    }
    t.match(site.simulator.state(), NOTHING_LEFT)
    t.same(await recoverIn(site, journal), [], 'and nothing is left to do')
    await removeKilled()
  }
  t.comment(`${RUNS} of 100: ${JSON.stringify(seen)}`)
})
