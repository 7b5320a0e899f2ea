import t from 'tap'
import { PROFILES } from '@granary/ovirt-simulator'
import { World, MIB, pattern } from './world.ts'

/** Every profile, level and state of the machine; by default each profile and each level once. */
const allCases = [...PROFILES.values()].flatMap(({ name, clusterLevels }) =>
  clusterLevels.flatMap(level => ['up', 'down'].map(status => ({ profile: name, level, status }))),
)
const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const highest = (profile: string): string | undefined => PROFILES.get(profile)?.clusterLevels.at(-1)
const cases = allCases.filter(({ profile, level, status }, i) => {
  if (isLong) return true
  const isLevelSample = profile === 'ovirt-4.5'
  return isLevelSample || (level === highest(profile) && (status === 'up') === i % 4 < 2)
})
t.setTimeout(isLong ? 3_600_000 : 290_000)
t.comment(`${cases.length} of ${allCases.length} platforms, levels and states`)

/** Checkpoints, and so incremental backups, are offered from this level on. */
const hasCheckpoints = (level: string): boolean => Number(level.split('.')[1]) >= 5

for (const { profile, level, status } of cases) {
  t.test(
    `${profile}, level ${level}, ${status}: full, incremental twice, differential, bit-exact`,
    { timeout: 120_000 },
    async t => {
      await using world = await World.open({ profile, clusterLevel: level })
      const vmId = await world.addVm('web', [{}, { sizeBytes: 8 * MIB + 512 }], [5 * MIB, MIB])
      world.simulator.vm(vmId).status = status
      if (status === 'down') world.simulator.vm(vmId).hostId = undefined
      const [root = '', data = ''] = world.diskIds(vmId)
      const write = async (offset: number, bytes: number, seed: number): Promise<void> => {
        await world.simulator.image(root).write(offset, pattern(bytes, seed))
        await world.simulator.image(data).write(offset % MIB, pattern(4096, seed))
      }
      const isOffered = hasCheckpoints(level)
      const kinds = ['full', 'incremental', 'incremental', 'differential'] as const
      for (const [round, kind] of kinds.entries()) {
        const report = await world.backUp(vmId, { kind })
        t.equal(report.snapshot.backupKind, isOffered ? kind : 'full', `${round}: ${kind}`)
        t.strictSame(await world.differing(report), [], 'bit-exact')
        const warned = isOffered || round === 0 ? [] : [/made no checkpoint|no full backup/]
        t.equal(report.warnings.length, warned.length, report.warnings.join('; '))
        if (warned[0] !== undefined) t.match(report.warnings[0], warned[0])
        if (isOffered && round > 0) {
          const read = report.snapshot.disks.reduce((sum, disk) => sum + disk.stats.readBytes, 0)
          t.ok(read < 6 * MIB, `${read} bytes`)
        }
        await write(2 * MIB + round * 300_000, 100_000, 100 + round)
      }
      t.strictSame(world.leftovers(), {})
      const kept = world.simulator.vm(vmId).checkpoints.length
      t.ok(isOffered ? kept >= 1 && kept <= 4 : kept === 0, `${kept} checkpoints`)
    },
  )
}
