import { fork } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { loadNative } from '@granary/core'
import { check, listSnapshots } from '@granary/dedup-store'
import { createRealClock } from '@granary/ovirt-simulator'
import { seededRandom } from '@granary/testing'
import { recover } from '../../src/index.ts'
import { siblingOf } from '../journal/sibling.ts'
import type { KillChild } from './kill-child.ts'
import { World, MIB, pattern } from './world.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const SPEED = 200
/** More than a backup exchanges with the engine. */
const MOST_EXCHANGES = 60

const skip = (await loadNative()) === undefined ? 'no file locks on this system' : false
t.setTimeout(isLong ? 3_600_000 : 900_000)

/** Runs a backup in a process of its own, and kills it after so many exchanges. @returns false when it ended before */
const runAndKill = async (job: KillChild, exchanges: number): Promise<boolean> => {
  const child = fork(siblingOf(import.meta.url, 'kill-child'), [JSON.stringify(job)], { stdio: 'ignore' })
  let seen = 0
  child.on('message', () => {
    if (seen++ === exchanges) child.kill('SIGKILL')
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code === null
}

/** What is left, but for a machine that the engine locks while it removes a checkpoint: nothing can end that sooner. */
const leftBehind = (world: World, vmId: string): Record<string, readonly string[]> => {
  const { lockedVms = [], ...others } = world.leftovers()
  const isRemoval = [...world.simulator.vm(vmId).locks].every(lock => lock.startsWith('checkpoint '))
  return isRemoval ? others : { ...others, lockedVms }
}

for (const { level, runs } of [
  { level: '4.7', runs: isLong ? 100 : 4 },
  { level: '4.6', runs: isLong ? 100 : 4 },
]) {
  t.test(
    `killed at ${runs} random moments, level ${level}: the next start leaves nothing, every snapshot is right`,
    { skip, timeout: isLong ? 3_600_000 : 600_000 },
    async t => {
      const originMs = Date.now()
      const clock = createRealClock({ speed: SPEED, originMs })
      await using world = await World.open({ clusterLevel: level, clock, isOnDisk: true })
      const vmId = await world.addVm('web', [{ sizeBytes: 4 * MIB }, { sizeBytes: 4 * MIB }], [2 * MIB, MIB])
      const random = seededRandom(Number(level.replace('.', '')))
      const [disk = ''] = world.diskIds(vmId)
      let killed = 0
      for (let run = 0; run < runs; run++) {
        await world.simulator.guest(vmId, disk).write(random(3 * MIB), pattern(50_000, run + 1))
        const kind = run % 3 === 0 ? 'full' : 'incremental'
        const job = {
          config: world.configText,
          ca: world.simulator.ca,
          repository: world.repositoryFolder,
          vmId,
          kind,
          speed: SPEED,
          originMs,
        } as const
        if (await runAndKill(job, random(MOST_EXCHANGES))) killed++
        await world.restart()
        await recover({ engine: world.engine, journal: world.journal })
        t.strictSame(leftBehind(world, vmId), {}, `run ${run}`)
        if (run % 4 !== 3) continue
        const report = await world.backUp(vmId)
        t.strictSame(await world.differing(report), [], 'the next one is right')
        t.strictSame(world.leftovers(), {})
      }
      t.ok(killed >= runs / 2, `${killed} of ${runs} were killed in the middle`)
      for (const snapshot of await listSnapshots(world.repository.context))
        t.strictSame(await world.differing({ snapshot }), [], `snapshot ${snapshot.id} is right`)
      t.strictSame((await check(world.repository, { readData: 1 })).damages, [])
      t.ok(world.simulator.vm(vmId).checkpoints.length <= 3, 'no checkpoints pile up')
    },
  )
}
