import t from 'tap'
import type { Test } from 'tap'
import { PROFILES } from '@granary/ovirt-simulator'
import type { VmBackupReport } from '../../src/index.ts'
import { restoreToFiles, restoreToPlatform } from './restores.ts'
import { World, MIB, pattern } from './world.ts'

/** The engine's ways of a backup (CONTRACT §4.3); the live one is left at level 4.7 where consistency is required. */
type Way = 'live' | 'cold' | 'hybrid up' | 'hybrid down'

const waysOf = (level: string): readonly Way[] =>
  level === '4.7' ? ['hybrid up', 'hybrid down', 'live'] : ['live', 'cold']

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined

/** Every profile, each level it offers, each way that exists there; by default each profile and each level once. */
const allCases = [...PROFILES.values()].flatMap(({ name, clusterLevels }) =>
  clusterLevels.flatMap(level => waysOf(level).map(way => ({ profile: name, level, way }))),
)
const isSample = (profile: string, level: string, way: Way): boolean => {
  if (profile === 'ovirt-4.5') return level === '4.7' || (way === 'live') === (level === '4.4' || level === '4.5')
  if (level !== PROFILES.get(profile)?.clusterLevels.at(-1)) return false
  const ways = waysOf(level)
  return way === ways[[...PROFILES.keys()].indexOf(profile) % ways.length]
}
const cases = allCases.filter(({ profile, level, way }) => isLong || isSample(profile, level, way))
t.setTimeout(isLong ? 7_200_000 : 800_000)
t.comment(`${cases.length} of ${allCases.length} platforms, levels and ways`)

/** Checkpoints, and so incremental backups, are offered from this level on. */
const hasCheckpoints = (level: string): boolean => Number(level.split('.')[1]) >= 5

const KINDS = ['full', 'incremental', 'incremental', 'differential'] as const

interface Case {
  readonly profile: string
  readonly level: string
  readonly way: Way
}

const isDown = ({ way }: Case): boolean => way === 'cold' || way === 'hybrid down'

/** Two disks, in the first and the last kind of storage that the platform has. */
const addMachine = async (world: World, one: Case): Promise<string> => {
  const { storageDomains } = world.simulator.site
  const disks = [
    { sizeBytes: 16 * MIB, storageDomainId: storageDomains[0]?.id },
    { sizeBytes: 8 * MIB + 512, storageDomainId: storageDomains.at(-1)?.id },
  ]
  const vmId = await world.addVm('web', disks, [5 * MIB, MIB])
  Object.assign(world.simulator.vm(vmId), isDown(one) ? { status: 'down', hostId: undefined } : { status: 'up' })
  return vmId
}

/** One backup after the other, with writes between them. */
const backUpByKinds = async (t: Test, world: World, vmId: string, { way, level }: Case): Promise<VmBackupReport[]> => {
  const isOffered = hasCheckpoints(level)
  const reports: VmBackupReport[] = []
  for (const [round, kind] of KINDS.entries()) {
    const report = await world.backUp(vmId, { kind, requireConsistency: way === 'live' && level === '4.7' })
    reports.push(report)
    t.equal(report.method, way.split(' ')[0], 'by that way')
    t.equal(report.snapshot.backupKind, isOffered ? kind : 'full', `${round}: ${kind}`)
    t.strictSame(await world.differing(report), [], 'bit-exact')
    const warned = isOffered || round === 0 ? [] : [/made no checkpoint|no full backup/]
    t.equal(report.warnings.length, warned.length, report.warnings.join('; '))
    if (warned[0] !== undefined) t.match(report.warnings[0], warned[0])
    if (isOffered && round > 0) {
      const read = report.snapshot.disks.reduce((sum, disk) => sum + disk.stats.readBytes, 0)
      t.ok(read < 6 * MIB, `${read} bytes`)
    }
    for (const [i, disk] of world.diskIds(vmId).entries()) {
      const [offset, bytes] = i === 0 ? [2 * MIB + round * 300_000, 100_000] : [round * 300_000, 4096]
      await world.simulator.image(disk).write(offset, pattern(bytes, 100 + round))
    }
  }
  t.strictSame(world.leftovers(), {})
  const kept = world.simulator.vm(vmId).checkpoints.length
  t.ok(isOffered ? kept >= 1 && kept <= 4 : kept === 0, `${kept} checkpoints`)
  return reports
}

/** Where it was, or each disk in the domain of the other, by turns. */
const restoreAll = async (t: Test, world: World, reports: readonly VmBackupReport[], one: Case): Promise<void> => {
  const names = world.simulator.site.storageDomains.map(({ name }) => name)
  const swapped = Object.fromEntries(names.map((name, i) => [name, names.at(-1 - i) ?? name]))
  for (const [round, report] of reports.entries()) {
    const isChosen = round === 2 || (round === 3 && one.profile === 'ovirt-4.5') // The end of each chain.
    if (!isLong && !isChosen) continue
    const choices = round % 2 === Number(isDown(one)) ? {} : { map: { storage_domains: swapped } }
    const { report: restored, differing } = await restoreToPlatform(world, report, choices)
    t.strictSame(differing, [], `${round}: to the platform, to the bit`)
    t.equal(restored.disks.length, 2)
    t.strictSame(restored.notRestored, [])
    // What comes of a snapshot as files, no platform has a part in.
    if (isLong || one.profile === 'ovirt-4.5')
      t.strictSame(await restoreToFiles(world, report), [], `${round}: to files, to the bit`)
    t.strictSame(world.leftovers(), {})
  }
  t.strictSame(world.journal.pending, [])
}

for (const one of cases) {
  const { profile, level, way } = one
  t.test(
    `${profile}, level ${level}, ${way}: full, incremental twice, differential, restored and bit-exact`,
    { timeout: 600_000 },
    async t => {
      await using world = await World.open({ profile, clusterLevel: level })
      const vmId = await addMachine(world, one)
      await restoreAll(t, world, await backUpByKinds(t, world, vmId, one), one)
    },
  )
}
