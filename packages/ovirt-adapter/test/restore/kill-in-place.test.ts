/** `kill -9` at random moments of a restore in place: no disk is lost, and mixed disks are told and mended. */
import t from 'tap'
import { loadNative } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import { findBrokenRestore, resumeInPlace } from '../../src/index.ts'
import { openKillSite, prepareRuns } from './killed-restore.ts'
import { MIB, NOTHING_LEFT, addMachine, differencesOf, recoverIn, sourceOf } from './restore-site.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 4 : 100
const skip = (await loadNative()) === undefined ? 'no file locks on this system' : false
t.setTimeout(1_800_000)

t.test(`${RUNS} of 100 moments`, { skip, timeout: 1_800_000 }, async t => {
  const killSite = await openKillSite()
  await using site = killSite.site
  const { simulator } = site
  const vmId = await addMachine(site)
  const source = await sourceOf(site, vmId)
  const diskIds = [...simulator.vm(vmId).attachments.keys()]
  const runFor = await prepareRuns(t, killSite, source, { inPlaceOf: vmId })
  const change = async (seed: number): Promise<void> => {
    for (const [index, id] of diskIds.entries())
      for (let part = 0; part < 4; part++)
        await simulator.image(id).write(part * MIB + 4096, seededBytes(100_000, seed * 10 + index * 4 + part))
  }
  const countDiffering = async (): Promise<number> => {
    let count = 0
    for (const [index, id] of diskIds.entries())
      count += await differencesOf(site, source, source.disks[index]?.name ?? '', id)
    return count
  }
  await change(0)
  const first = await runFor(120_000)
  t.ok(first.isWhole, 'left alone, it comes to its end')
  let { tookMs } = first // It gets shorter as files come from the cache.
  t.equal(await countDiffering(), 0)
  const random = seededRandom(20261128)
  const seen = { untouched: 0, resumed: 0, whole: 0 }
  for (let run = 0; run < RUNS; run++) {
    await change(run + 1)
    const before = await Promise.all(diskIds.map(async id => await simulator.record(id)))
    const ended = await runFor(((run + random(1000) / 1000) / RUNS) * tookMs)
    if (ended.isWhole) tookMs = Math.min(tookMs, ended.tookMs)
    await using journal = await site.openJournal()
    const recovered = await recoverIn(site, journal)
    t.ok(recovered.length <= 1)
    const [left] = recovered
    t.not(left?.outcome.kind, 'failed', JSON.stringify(left?.outcome))
    if (left?.outcome.kind === 'left') {
      t.match(left.outcome.text, /mixed/)
      await using broken = await findBrokenRestore(journal, String(left.entry.facts['restore']))
      await resumeInPlace(site.context(journal), source, broken.entry)
      t.equal(await countDiffering(), 0, 'resumed')
      seen.resumed++
    } else if ((await countDiffering()) === 0) {
      seen.whole++
    } else {
      // Not mixed, so not touched.
      t.notOk(ended.isWhole)
      for (const [index, id] of diskIds.entries()) {
        const bytes = new Uint8Array(source.disks[index]?.sizeBytes ?? 0)
        await simulator.image(id).read(0, bytes)
        t.equal((await simulator.differences(before[index]!, bytes)).length, 0, 'as it was')
      }
      seen.untouched++
    }
    t.match(simulator.state(), NOTHING_LEFT)
    t.same([...simulator.vm(vmId).attachments.keys()], diskIds)
    t.same(await recoverIn(site, journal), [], 'and nothing is left to do')
  }
  t.notOk(simulator.requests.some(({ url }) => url.includes('/cancel')))
  t.comment(`${RUNS} of 100: ${JSON.stringify(seen)}`)
})
