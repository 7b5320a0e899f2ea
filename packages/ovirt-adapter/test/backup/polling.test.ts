import t from 'tap'
import { World, MIB } from './world.ts'

/** Between two looks at how a backup is getting on. */
const POLL_MS = 2000

/** Of a request that makes a transfer; less than the time between two looks. */
const LONGEST_DELAY_MS = 1800

/** Where its state is needed for a decision: before the commit, and before its end. */
const DECISIONS = 2

/** Beside looking: the configuration, start and end of the backup; before, start and end of each transfer. */
const MOST_OTHERS = 32
const MOST_OTHERS_PER_DISK = 3

for (const { clusterLevel, disks, workers } of [
  { clusterLevel: '4.6', disks: 1, workers: 0 },
  { clusterLevel: '4.6', disks: 4, workers: 0 },
  { clusterLevel: '4.7', disks: 4, workers: 4 },
]) {
  t.test(`level ${clusterLevel}, ${disks} disks, ${workers} workers: one look in two seconds`, async t => {
    await using world = await World.open({ clusterLevel })
    const { simulator } = world
    const shapes = Array.from({ length: disks }, () => ({ sizeBytes: 4 * MIB }))
    const vmId = await world.addVm('web', shapes, Array(disks).fill(MIB) as number[])
    // Transfers that begin together are not ready together.
    for (const ms of [700, 1100])
      simulator.faults.http.add({ kind: 'delay', ms, method: 'POST', path: '*/imagetransfers', times: 1 })
    const before = simulator.requests.length
    const startMs = simulator.clock.now()
    await world.backUp(vmId, { workers })
    const seconds = (simulator.clock.now() - startMs) / 1000
    const requests = simulator.requests.slice(before).map(request => ({
      ...request,
      path: request.url.replace(/^\/ovirt-engine\/api/, '').replace(/\?.*/, ''),
    }))
    const posts = requests.filter(({ method, path }) => method === 'POST' && path === '/imagetransfers')
    t.equal(posts.length, disks)

    const looks = requests.filter(
      ({ method, path }) => method === 'GET' && /\/backups\/[^/]+$|^\/imagetransfers(\/|$)/.test(path),
    )
    // What others have open on a disk is listed once before a transfer is made.
    for (const { atMs } of posts) {
      const at = looks.findIndex(look => look.path === '/imagetransfers' && atMs - look.atMs <= LONGEST_DELAY_MS)
      t.ok(at >= 0, 'looked before')
      looks.splice(at, 1)
    }
    const gaps = looks.slice(1).map(({ atMs }, i) => atMs - (looks[i]?.atMs ?? 0))
    const short = gaps.filter(gap => gap < POLL_MS)
    t.ok(gaps.length > 10, `${looks.length} looks in ${seconds} s`)
    t.ok(
      short.length <= DECISIONS,
      `${short.length} come earlier than ${POLL_MS} ms after another: ${short.join(', ')}`,
    )
    t.ok(looks.length <= seconds / 2 + DECISIONS, `${looks.length} looks in ${seconds} s`)

    const others = requests.length - looks.length - posts.length
    const most = MOST_OTHERS + MOST_OTHERS_PER_DISK * disks
    t.ok(others <= most, `${others} others, at most ${most}`)
    t.strictSame(world.leftovers(), {})
  })
}
