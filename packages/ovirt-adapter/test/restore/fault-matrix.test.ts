import t from 'tap'
import { seededBytes } from '@granary/testing'
import { readVm } from '../../src/engine/resources/vms.ts'
import {
  findBrokenRestore,
  planInPlace,
  readInPlaceTarget,
  requirePlan,
  restoreInPlace,
  restoreMachine,
  resumeInPlace,
  resumeRestore,
} from '../../src/index.ts'
import type { ReadableSource } from '../../src/index.ts'
import { RESTORE_FAULTS } from './restore-faults.ts'
import type { RestoreFault, RestoreFlow, RestoreOutcome } from './restore-faults.ts'
import { NOTHING_LEFT, addMachine, differencesOf, openSite, recoverIn, sourceOf } from './restore-site.ts'
import type { RestoreSite } from './restore-site.ts'

const FLOWS: readonly RestoreFlow[] = ['new machine', 'in place']
const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
/** Part of a fault's name: only its cells, all of them. */
const only = process.env['GRANARY_TEST_FAULT']
t.setTimeout(600_000)

const cells = Object.keys(RESTORE_FAULTS).flatMap((name, row) =>
  FLOWS.map((flow, column) => ({
    name: name as keyof typeof RESTORE_FAULTS,
    flow,
    isSample: (row + column) % 2 === 0,
  })),
)
const chosen = cells.filter(({ name, flow, isSample }) => {
  const fault: RestoreFault = RESTORE_FAULTS[name]
  return (only === undefined ? isLong || isSample : name.includes(only)) && fault.outcomes[flow] !== 'does not apply'
})
t.comment(`${chosen.length} of ${cells.length} cells`)

interface Attempt {
  readonly outcome: RestoreOutcome
  /** Where the disks of the source are now, in their order. */
  readonly diskIds: readonly string[]
}

/** Tries it, and does what the next start does. */
const attempt = async (
  site: RestoreSite,
  source: ReadableSource,
  flow: RestoreFlow,
  vmId: string,
): Promise<Attempt> => {
  try {
    await using journal = await site.openJournal()
    const context = site.context(journal)
    if (flow === 'new machine') {
      const { disks } = await restoreMachine(context, source, await site.plan(source))
      return { outcome: 'completes', diskIds: disks.map(({ id }) => id) }
    }
    const target = await readInPlaceTarget(site.engine, await readVm(site.engine, vmId), {})
    const { disks } = await restoreInPlace(context, source, requirePlan(planInPlace(source, target)), {})
    return { outcome: 'completes', diskIds: disks.map(({ id }) => id) }
  } catch {
    return { outcome: 'undone', diskIds: [] }
  }
}

for (const { name, flow } of chosen) {
  t.test(`${name}: ${flow}`, async t => {
    const fault: RestoreFault = RESTORE_FAULTS[name]
    await using site = await openSite()
    const vmId = await addMachine(site)
    const source = await sourceOf(site, vmId)
    const own = [...site.simulator.vm(vmId).attachments.keys()]
    for (const id of own) await site.simulator.image(id).write(65_536, seededBytes(4096, 3))
    const scene = {
      site,
      atUpload: (strike: (diskId: string) => unknown) =>
        void site.simulator.moments.once('transfer-ready', async ({ diskId = '' }) => void (await strike(diskId))),
    }
    await fault.arm(scene)
    let { outcome, diskIds } = await attempt(site, source, flow, vmId)
    await fault.mend?.(scene)
    if (outcome !== 'completes') {
      await using next = await site.openJournal()
      const [left] = await recoverIn(site, next)
      t.not(left?.outcome.kind, 'failed', JSON.stringify(left?.outcome))
      if (left?.outcome.kind === 'left') {
        outcome = 'resumable'
        await using broken = await findBrokenRestore(next, String(left.entry.facts['restore']))
        const context = site.context(next)
        const resumed = broken.isInPlace
          ? await resumeInPlace(context, source, broken.entry)
          : await resumeRestore(context, source, broken.entry)
        diskIds = resumed.disks.map(({ id }) => id)
      }
    }
    t.equal(outcome, fault.outcomes[flow])
    t.equal(diskIds.length, outcome === 'undone' ? 0 : source.disks.length)
    for (const [index, id] of diskIds.entries())
      t.equal(await differencesOf(site, source, source.disks[index]?.name ?? '', id), 0, 'to the bit')
    t.match(site.simulator.state(), NOTHING_LEFT)
    t.same([...site.simulator.vm(vmId).attachments.keys()], own, 'the machine still has its disks')
  })
}
