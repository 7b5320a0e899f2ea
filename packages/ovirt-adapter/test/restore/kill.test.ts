/** `kill -9` at random moments of a restore: the next start leaves nothing of ours, or goes on to the end. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { loadNative } from '@granary/core'
import { createRealClock } from '@granary/ovirt-simulator'
import { seededRandom } from '@granary/testing'
import { findBrokenRestore, resumeRestore } from '../../src/index.ts'
import type { Json } from '../../src/index.ts'
import { siblingOf } from '../journal/sibling.ts'
import {
  NOTHING_LEFT,
  SETTINGS,
  addMachine,
  compare,
  differencesOf,
  openSite,
  recoverIn,
  sourceOf,
} from './restore-site.ts'
import type { ChildTask } from './restore-child.ts'

const SPEED = 60
const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 4 : 100
const skip = (await loadNative()) === undefined ? 'no file locks on this system' : false

t.test(`${RUNS} of 100 moments`, { skip }, async t => {
  t.setTimeout(1_800_000)
  const originMs = Date.now()
  const clock = createRealClock({ speed: SPEED, originMs })
  await using site = await openSite({ clock })
  const source = await sourceOf(site, await addMachine(site))
  const folder = await mkdtemp(join(tmpdir(), 'granary-kill-'))
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  const files: Record<string, string> = {}
  for (const [index, { name, sizeBytes }] of source.disks.entries()) {
    await using disk = await source.openDisk(name, {})
    const bytes = new Uint8Array(sizeBytes)
    await disk.read(0, bytes)
    files[name] = join(folder, `${index}.raw`)
    await writeFile(files[name], bytes)
  }
  const { url, ca: apiCa, credentials } = site.simulator
  const { snapshotId, record, disks } = source
  const task: ChildTask = {
    engine: { url, apiCa, ...credentials },
    clock: { speed: SPEED, originMs },
    journalFolder: site.journalFolder,
    settings: SETTINGS,
    source: { snapshotId, record, disks },
    files,
  }
  const taskFile = join(folder, 'task.json')
  await writeFile(taskFile, JSON.stringify(task))
  /** @returns whether it came to its end before it was killed, and how long it took, ms */
  const runFor = async (ms: number): Promise<{ isWhole: boolean; tookMs: number }> => {
    const child = fork(siblingOf(import.meta.url, 'restore-child'), [taskFile], { stdio: 'inherit' })
    await once(child, 'message')
    const startMs = performance.now()
    const ended = once(child, 'exit')
    await Promise.race([ended, sleep(ms, undefined, { ref: false })])
    const isWhole = child.exitCode === 0
    child.kill('SIGKILL')
    await ended
    return { isWhole, tookMs: performance.now() - startMs }
  }
  const killedVms = async (): Promise<Json[]> =>
    ((await site.engine.get('/vms'))['vm'] as Json[]).filter(({ name }) => name === 'killed')
  const removeKilled = async (): Promise<void> => {
    for (const { id } of await killedVms())
      await site.engine.remove(`/vms/${String(id)}`, { conflictTimeoutMs: 600_000 })
  }
  const { isWhole, tookMs } = await runFor(120_000)
  t.ok(isWhole, 'left alone, it comes to its end')
  await removeKilled()
  const random = seededRandom(20261127)
  const seen = { undone: 0, resumed: 0, whole: 0 }
  for (let run = 0; run < RUNS; run++) {
    const ended = await runFor(((run + random(1000) / 1000) / RUNS) * tookMs)
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
