import t from 'tap'
import { World, MIB, pattern } from './world.ts'

/** On a machine that is busy. */
const SLOW = { timeout: 120_000 }

t.setTimeout(600_000)

const SIZE = 96 * MIB
const USED = 64 * MIB
const CLUSTER = 65_536

t.test('2 % changed in runs of 1 MiB: at most 2.5 % of the used data is read from imageio', SLOW, async t => {
  await using world = await World.open()
  const vmId = await world.addVm('web', [{ sizeBytes: SIZE }], [USED])
  await world.backUp(vmId)
  const [disk = ''] = world.diskIds(vmId)
  world.imageBytes = 0
  // Not on the borders of anything: 1.28 MiB, 2 % of 64.
  await world.simulator.guest(vmId, disk).write(7 * MIB + 12_345, pattern(Math.floor(USED * 0.02), 5))
  const report = await world.backUp(vmId)
  t.equal(report.snapshot.backupKind, 'incremental')
  t.strictSame(await world.differing(report), [])
  t.ok(world.imageBytes <= USED * 0.025, `${world.imageBytes} bytes, ${((world.imageBytes / USED) * 100).toFixed(2)} %`)
})

t.test('scattered writes of 4 KiB: at most 1.05 of the dirty 64 KiB clusters is read from imageio', SLOW, async t => {
  await using world = await World.open({ clusterLevel: '4.6' })
  const vmId = await world.addVm('web', [{ sizeBytes: SIZE }], [USED])
  await world.backUp(vmId)
  const [disk = ''] = world.diskIds(vmId)
  world.imageBytes = 0
  const clusters = new Set<number>()
  const guest = world.simulator.guest(vmId, disk)
  for (let i = 0; i < 100; i++) {
    const offset = ((i * 7919) % (USED / 4096)) * 4096
    clusters.add(Math.floor(offset / CLUSTER))
    await guest.write(offset, pattern(4096, i + 1))
  }
  const report = await world.backUp(vmId)
  t.strictSame(await world.differing(report), [])
  const dirtyBytes = clusters.size * CLUSTER
  t.ok(world.imageBytes <= dirtyBytes * 1.05, `${world.imageBytes} of ${dirtyBytes}`)
})

t.test('the guest writes before, during and after: what is restored is the moment of the freeze', SLOW, async t => {
  for (const clusterLevel of ['4.6', '4.7']) {
    await using world = await World.open({ clusterLevel })
    const vmId = await world.addVm('web', [{ sizeBytes: 12 * MIB }, { sizeBytes: 12 * MIB }], [8 * MIB, 3 * MIB])
    const [first = '', second = ''] = world.diskIds(vmId)
    let seed = 50
    const write = async (): Promise<void> => {
      for (const disk of [first, second])
        await world.simulator.guest(vmId, disk).write((seed * 300_007) % (10 * MIB), pattern(70_000, seed++))
    }
    for (const name of [
      'backup-posted',
      'backup-frozen',
      'backup-ready',
      'transfer-ready',
      'backup-read',
      'backup-finalizing',
    ] as const)
      world.simulator.moments.on(name, write)
    for (const kind of ['full', 'incremental', 'incremental', 'differential'] as const) {
      await write()
      const report = await world.backUp(vmId, { kind })
      t.equal(report.snapshot.backupKind, kind)
      t.strictSame(await world.differing(report), [], `${clusterLevel}, ${kind}`)
    }
    t.strictSame(world.leftovers(), {})
  }
})
