/** What passes is no end of a restore. */
import t from 'tap'
import { restoreMachine } from '../../src/index.ts'
import { addMachine, compare, openSite, sourceOf } from './restore-site.ts'

t.test('what passes is no end', async t => {
  await using site = await openSite()
  const { simulator } = site
  const source = await sourceOf(site, await addMachine(site))
  const [hostId = ''] = simulator.site.hostIds
  const otherId = simulator.site.hostIds[1] ?? ''
  const onBoth = async (arm: (hostId: string) => Promise<unknown>): Promise<void> => {
    await arm(hostId)
    await arm(otherId)
  }
  const faults: Record<string, () => unknown> = {
    'the engine is away for 6 minutes': () => simulator.faults.engineAway(360_000, 'network'),
    'the engine restarts, 6 minutes': () => simulator.faults.engineAway(360_000, 'down'),
    '503 for a minute': () => simulator.faults.http.add({ kind: 'status', status: 503, forMs: 60_000 }),
    'sessions end': () => simulator.endSessions(),
    'a storm of 409, two minutes': () =>
      simulator.faults.http.add({
        kind: 'refuse',
        status: 409,
        detail: 'not now',
        method: 'POST',
        path: '*/diskattachments',
        forMs: 120_000,
      }),
    'imageio restarts: all tickets are gone': async () =>
      await onBoth(async id => await simulator.faults.restartImageio(id)),
    'the hosts cannot be reached, the proxy can': async () =>
      await onBoth(async id => await simulator.faults.hideHost(id)),
  }
  for (const [name, strike] of Object.entries(faults)) {
    let isStruck = false
    const end = simulator.moments.on('transfer-ready', async () => {
      if (isStruck) return
      isStruck = true
      await strike()
    })
    await using journal = await site.openJournal()
    const report = await restoreMachine(site.context(journal), source, await site.plan(source))
    end()
    t.ok(isStruck, name)
    await compare(t, site, source, report)
    simulator.faults.http.clear()
    await onBoth(async id => await simulator.faults.showHost(id))
  }
})
