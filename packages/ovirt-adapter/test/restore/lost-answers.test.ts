/** Requests that are applied, and never answered. */
import t from 'tap'
import { restoreMachine } from '../../src/index.ts'
import { addMachine, compare, openSite, sourceOf, vmNames } from './restore-site.ts'

t.test('whichever answer is lost, all is made once', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site))
  const from = site.simulator.requests.length
  {
    await using journal = await site.openJournal()
    await restoreMachine(site.context(journal), source, await site.plan(source))
  }
  const writes = site.simulator.requests.slice(from).filter(({ method }) => method !== 'GET')
  const paths = [
    ...new Set(
      writes.map(
        ({ method, url }) => `${method} ${url.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '*').split('?')[0] ?? ''}`,
      ),
    ),
  ]
  t.ok(paths.length >= 8, paths.join(', '))
  for (const [index, path] of paths.entries()) {
    const [method = '', pattern = ''] = path.split(' ')
    const disarm = site.simulator.faults.http.add({ kind: 'lose-answer', method, path: pattern, times: 1 })
    await using journal = await site.openJournal()
    const report = await restoreMachine(
      site.context(journal),
      source,
      await site.plan(source, { name: `lost${index}` }),
    )
    disarm()
    t.equal(report.name, `lost${index}`, path)
    await compare(t, site, source, report)
    t.equal(site.simulator.vm(report.vmId ?? '').nics.size, 2, path)
  }
  t.same(await vmNames(site), ['web', 'web_1', ...paths.map((_, i) => `lost${i}`)].toSorted())
})
