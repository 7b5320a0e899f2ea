/** Over the disks of an existing machine: only what differs, never a cancelled upload, and mixed disks are told. */
import t from 'tap'
import type { Test } from 'tap'
import { seededBytes } from '@granary/testing'
import { readVm } from '../../src/engine/resources/vms.ts'
import {
  findBrokenRestore,
  planInPlace,
  readInPlaceTarget,
  requirePlan,
  restoreInPlace,
  resumeInPlace,
} from '../../src/index.ts'
import type { InPlaceChoices, InPlacePlan, Journal, ReadableSource } from '../../src/index.ts'
import { MIB, NOTHING_LEFT, abortAt, addMachine, differencesOf, openSite, recoverIn, sourceOf } from './restore-site.ts'
import type { RestoreSite } from './restore-site.ts'

const planOf = async (
  { engine }: RestoreSite,
  source: ReadableSource,
  vmId: string,
  choices: InPlaceChoices = {},
): Promise<InPlacePlan> =>
  requirePlan(planInPlace(source, await readInPlaceTarget(engine, await readVm(engine, vmId), {}), choices))

/** A machine, what it held, and what it holds now. */
const changedMachine = async (
  site: RestoreSite,
): Promise<{ vmId: string; source: ReadableSource; diskIds: string[] }> => {
  const vmId = await addMachine(site)
  const source = await sourceOf(site, vmId)
  const diskIds = [...site.simulator.vm(vmId).attachments.keys()]
  for (const id of diskIds) {
    await site.simulator.image(id).write(2 * MIB, seededBytes(65_536, 77)) // Where zeros were.
    await site.simulator.image(id).write(4096, seededBytes(4096, 78))
  }
  return { vmId, source, diskIds }
}

const cancelled = ({ simulator }: RestoreSite): string[] =>
  simulator.requests.filter(({ url }) => url.includes('/cancel')).map(({ url }) => url)

const expectEqual = async (
  t: Test,
  site: RestoreSite,
  source: ReadableSource,
  diskIds: readonly string[],
): Promise<void> => {
  for (const [index, id] of diskIds.entries())
    t.equal(await differencesOf(site, source, source.disks[index]?.name ?? '', id), 0)
  t.match(site.simulator.state(), NOTHING_LEFT)
}

t.test('only what differs is written, and the next backup starts anew', async t => {
  await using site = await openSite()
  await using journal = await site.openJournal()
  const { vmId, source, diskIds } = await changedMachine(site)
  const repositoryId = 'cafebabe'.repeat(4)
  const mark = `granary ${journal.installation} ${repositoryId.slice(0, 8)} run x`
  const checkpoints = site.simulator.vm(vmId).checkpoints
  for (const description of [mark, 'a foreign product'])
    checkpoints.push({
      id: `c0000000-0000-0000-0000-00000000000${checkpoints.length}`,
      backupId: 'b',
      parentId: undefined,
      createdMs: 0,
      state: 'created',
      description,
      diskIds,
    })
  const report = await restoreInPlace(site.context(journal), source, await planOf(site, source, vmId))
  await expectEqual(t, site, source, diskIds)
  for (const { writtenBytes } of report.disks)
    t.ok(writtenBytes > 0 && writtenBytes <= 256 * 1024, `${writtenBytes} bytes`)
  t.equal(report.removedCheckpoints.length, 1, 'only ours')
  t.match(report.warnings, [/1 checkpoints of other products/])
  t.match(site.simulator.vm(vmId).checkpoints, [{ description: 'a foreign product' }])
  t.same(journal.pending, [])
  t.same(cancelled(site), [])
})

t.test('what must not be written to is refused, all at once', async t => {
  await using site = await openSite()
  const { vmId, source, diskIds } = await changedMachine(site)
  const target = await readInPlaceTarget(site.engine, await readVm(site.engine, vmId), {})
  const problems = (change: object): string => {
    const result = planInPlace(source, { ...target, ...change })
    return result.kind === 'problems' ? result.problems.join('\n') : ''
  }
  const [first = target.attachments[0]!, ...rest] = target.attachments
  const disk = (overrides: object) => ({ attachments: [{ ...first, disk: { ...first.disk, ...overrides } }, ...rest] })
  t.equal(problems({}), '')
  t.match(problems({ vm: { ...target.vm, status: 'up' } }), /is up: shut it down first/)
  t.match(
    problems({ vm: { ...target.vm, templateId: 'd0000000-0000-0000-0000-000000000001' } }),
    /based on a template: restore to new disks/,
  )
  t.match(problems({ snapshotsOf: new Map([[diskIds[0], ['before update']]]) }), /has snapshots \("before update"\)/)
  t.match(problems(disk({ isShareable: true })), /shareable/)
  t.match(problems(disk({ storageType: 'lun' })), /of type lun/)
  t.match(problems(disk({ status: 'locked' })), /is locked/)
  t.match(problems(disk({ sizeBytes: MIB })), /make it larger, or restore to a new disk/)
  t.match(problems({ attachments: rest }), /has no disk "web_Disk1"/)
  const mapped = planInPlace(source, target, { diskMap: { web_Disk1: 'web_Disk2' } })
  t.match(mapped, { kind: 'problems', problems: [/two stored disks would be written to one disk/] })
  t.match(planInPlace(source, target, { disks: ['web_Disk2'] }), {
    plan: { disks: [{ alias: 'web_Disk2', diskId: diskIds[1] }] },
  })
})

t.test('nothing is written before the transfers on all disks are open', async t => {
  await using site = await openSite()
  const { vmId, source, diskIds } = await changedMachine(site)
  const before = await Promise.all(diskIds.map(async id => await site.simulator.record(id)))
  let opened = 0
  site.simulator.moments.on('transfer-ready', () => void opened++)
  await using journal = await site.openJournal()
  const context = site.context(journal)
  const openings: number[] = []
  await restoreInPlace(
    {
      ...context,
      async openUpload(options) {
        openings.push(opened)
        return await context.openUpload(options)
      },
    },
    source,
    await planOf(site, source, vmId),
  )
  t.same(openings, [2, 2])
  await expectEqual(t, site, source, diskIds)
  // The second disk cannot be had: the first is freed as it was.
  for (const id of diskIds) await site.simulator.image(id).write(4096, seededBytes(4096, 78))
  const now = await Promise.all(diskIds.map(async id => await site.simulator.record(id)))
  t.equal(before.length, now.length)
  site.simulator.faults.http.add({
    kind: 'refuse',
    status: 400,
    detail: 'no',
    method: 'POST',
    path: '*/imagetransfers',
    after: 1,
    times: 1,
  })
  await t.rejects(restoreInPlace(context, source, await planOf(site, source, vmId)), {
    code: 'GRANARY_REMOTE',
  })
  t.same(journal.pending, [])
  t.match(site.simulator.state(), NOTHING_LEFT)
  for (const [index, id] of diskIds.entries()) {
    const bytes = new Uint8Array(4 * MIB)
    await site.simulator.image(id).read(0, bytes)
    t.equal((await site.simulator.differences(now[index]!, bytes)).length, 0, 'as it was')
  }
  t.same(cancelled(site), [])
})

const breakOff = async (t: Test, site: RestoreSite, source: ReadableSource, vmId: string): Promise<string> => {
  await using journal: Journal = await site.openJournal()
  const { signal, onEvent } = abortAt(1)
  const failure = restoreInPlace({ ...site.context(journal), onEvent }, source, await planOf(site, source, vmId), {
    signal,
  })
  await t.rejects(failure)
  t.match(journal.pending, [{ kind: 'restore-in-place', facts: { hasData: true } }])
  return String(journal.pending[0]?.facts['restore'])
}

t.test('a restore that breaks off leaves the disks locked and mixed, says so, and is resumed', async t => {
  await using site = await openSite()
  const { vmId, source, diskIds } = await changedMachine(site)
  const id = await breakOff(t, site, source, vmId)
  t.same(site.simulator.state().lockedDisks, diskIds.toSorted(), 'the machine cannot start on them')
  {
    await using next = await site.openJournal()
    t.match(await recoverIn(site, next), [
      { outcome: { kind: 'left', text: /mixed/, hint: new RegExp(`--resume ${id}`) } },
    ])
  }
  await site.simulator.clock.sleep(3_600_000)
  await using next = await site.openJournal()
  await using broken = await findBrokenRestore(next, id)
  t.equal(broken.isInPlace, true)
  await resumeInPlace(site.context(next), source, broken.entry)
  await expectEqual(t, site, source, diskIds)
  t.same(cancelled(site), [])
})

t.test('cleaning frees the disks, and never removes them', async t => {
  await using site = await openSite()
  const { vmId, source, diskIds } = await changedMachine(site)
  await breakOff(t, site, source, vmId)
  await using next = await site.openJournal()
  t.match(await recoverIn(site, next, { removesResumable: true }), [{ outcome: { kind: 'undone', text: /mixed/ } }])
  t.match(site.simulator.state(), NOTHING_LEFT)
  for (const diskId of diskIds) t.equal(site.simulator.disk(diskId).isIllegal, false)
  t.same(cancelled(site), [])
  // And the same restore again makes it whole.
  await using journal = await site.openJournal()
  await restoreInPlace(site.context(journal), source, await planOf(site, source, vmId))
  await expectEqual(t, site, source, diskIds)
})

t.test('whichever answer is lost, in place', async t => {
  await using site = await openSite()
  const { vmId, source, diskIds } = await changedMachine(site)
  for (const path of ['*/imagetransfers', '*/finalize']) {
    const disarm = site.simulator.faults.http.add({ kind: 'lose-answer', method: 'POST', path, times: 1 })
    await site.simulator.image(diskIds[0] ?? '').write(8192, seededBytes(512, 5))
    await using journal = await site.openJournal()
    await restoreInPlace(site.context(journal), source, await planOf(site, source, vmId))
    disarm()
    await expectEqual(t, site, source, diskIds)
  }
})
