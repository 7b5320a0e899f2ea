import t from 'tap'
import { listSnapshots } from '@granary/dedup-store'
import { recover } from '../../src/index.ts'
import type { VmBackupReport } from '../../src/index.ts'
import { FAULTS, FLOWS, change } from './faults.ts'
import type { Fault, FaultName, Flow, Outcome, Scene } from './faults.ts'
import { World, MIB } from './world.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
/** Part of a fault's name: only its cells, all of them. */
const only = process.env['GRANARY_TEST_FAULT']
t.setTimeout(isLong ? 3_600_000 : 900_000)

const cells = (Object.keys(FAULTS) as FaultName[]).flatMap((fault, row) =>
  (Object.keys(FLOWS) as Flow[]).map((flow, column) => ({
    fault,
    flow,
    isSample: (row + column) % 6 === 0,
  })),
)

t.test('every fault has an outcome in every flow', async t => {
  for (const { fault, flow } of cells)
    t.match(
      (FAULTS[fault] as Fault).outcomes[flow],
      /^(completes|as full|warns|marked|fails|does not apply)$/,
      `${fault}: ${flow}`,
    )
})

const chosen = cells.filter(
  ({ fault, flow, isSample }) =>
    (only === undefined ? isLong || isSample : fault.includes(only)) &&
    (FAULTS[fault] as Fault).outcomes[flow] !== 'does not apply',
)
t.comment(`${chosen.length} of ${cells.length} cells`)

/** What came of it. */
const run = async (
  { world, vmId }: Scene,
  kind: 'full' | 'incremental',
): Promise<{ outcome: Outcome; report?: VmBackupReport; error?: unknown }> => {
  try {
    const report = await world.backUp(vmId, { kind })
    if (report.snapshot.labels['inconsistent'] !== undefined) return { outcome: 'marked', report }
    if (report.snapshot.backupKind !== kind) return { outcome: 'as full', report }
    return { outcome: report.warnings.length === 0 ? 'completes' : 'warns', report }
  } catch (error) {
    return { outcome: 'fails', error }
  }
}

for (const { fault: name, flow } of chosen) {
  t.test(`${name}: ${flow}`, { timeout: 120_000 }, async t => {
    const fault: Fault = FAULTS[name]
    const { level, status, kind } = FLOWS[flow]
    await using world = await World.open({ clusterLevel: level })
    const vmId = await world.addVm('web', [{ sizeBytes: 4 * MIB }, { sizeBytes: 4 * MIB }], [2 * MIB, MIB])
    const vm = world.simulator.vm(vmId)
    if (status === 'down') Object.assign(vm, { status, hostId: undefined })
    const foreign = await world.simulator.inventory.addVm({
      name: 'foreign',
      clusterId: world.simulator.site.clusterId,
    })
    const diskIds = world.diskIds(vmId)
    const scene: Scene = {
      world,
      vmId,
      diskIds,
      at: (moment, strike) => void world.simulator.moments.once(moment, async () => void (await strike())),
    }
    const first = await world.backUp(vmId, { kind: 'full' })
    await change(scene, 20)
    await fault.arm(scene)
    const { outcome, report, error } = await run(scene, kind)
    t.equal(outcome, fault.outcomes[flow], String((error as Error | undefined)?.message ?? report?.warnings.join('; ')))
    const committed = await listSnapshots(world.repository.context)
    t.equal(committed.length, outcome === 'fails' ? 1 : 2, 'nothing is committed by what fails')
    if (report !== undefined) t.strictSame(await world.differing(report), [], 'bit-exact')

    await fault.mend?.(scene)
    world.simulator.faults.http.clear()
    await world.restart()
    await recover({ engine: world.engine, journal: world.journal })
    t.strictSame(world.leftovers(), {}, 'the next start leaves nothing')
    t.equal(world.simulator.vm(foreign.id).status, foreign.status)
    await change(scene, 40)
    const next = await world.backUp(vmId)
    if (outcome === 'marked') t.equal(next.snapshot.parent, first.snapshot.id, 'a marked one is no base')
    t.strictSame(await world.differing(next), [], 'the next one is right')
    t.strictSame(await world.differing(first), [], 'the first one still is')
    t.strictSame(world.leftovers(), {})
  })
}
