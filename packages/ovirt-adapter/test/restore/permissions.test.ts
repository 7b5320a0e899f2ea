import t from 'tap'
import { readGrants } from '../../src/engine/resources/grants.ts'
import { readVm } from '../../src/engine/resources/vms.ts'
import {
  Engine,
  planInPlace,
  planRestore,
  readInPlaceTarget,
  readRestoreTarget,
  restoreMachine,
} from '../../src/index.ts'
import type { ReadableSource, RestoreChoices } from '../../src/index.ts'
import { addMachine, compare, openSite, sourceOf } from './restore-site.ts'
import type { RestoreSite } from './restore-site.ts'
import { sampleSource, sampleTarget } from './sample-target.ts'

/** Logs in with permits of its own. @param permits `PERMIT` or `PERMIT@id` */
const loginWith = ({ simulator }: RestoreSite, permits: readonly string[]): Engine => {
  simulator.inventory.addAccount('clerk@internal', 'x', permits)
  const { url, ca: apiCa, clock } = simulator
  return new Engine({ url, apiCa, username: 'clerk@internal', password: 'x', clock })
}

const problemsOf = async (
  engine: Engine,
  source: ReadableSource,
  choices: RestoreChoices = {},
): Promise<readonly string[]> => {
  const result = planRestore(source, await readRestoreTarget(engine, { name: 'web' }), choices)
  return result.kind === 'problems' ? result.problems : []
}

t.test('what the account may not do is said before anything is made', async t => {
  await using site = await openSite()
  const vmId = await addMachine(site)
  const source = await sourceOf(site, vmId)
  const { clusterId, dataCenterId, storageDomains } = site.simulator.site
  const [nfs] = storageDomains
  const before = site.simulator.requests.length
  for (const [permits, expected] of [
    [
      [`EDIT_VM_PROPERTIES@${vmId}`],
      [
        /may not make machines in cluster "Default": it needs the permit create_vm/,
        /may not make disks in storage domain "nfs-data"/,
        /begin transfers and not end them/,
      ],
    ],
    [[`CREATE_VM@${clusterId}`, `CREATE_DISK@${nfs?.id}`], [/begin transfers and not end them.*whole system/]],
    [[`CREATE_VM@${dataCenterId}`, `CREATE_DISK@${dataCenterId}`], [/begin transfers and not end them/]],
    [['CREATE_DISK'], [/may not make machines/]],
    [['CREATE_DISK', 'CREATE_VM'], []],
  ] as const) {
    await using engine = loginWith(site, permits)
    t.match(await problemsOf(engine, source), expected, permits.join())
    t.equal((await problemsOf(engine, source)).length, expected.length)
    const disksOnly = expected.filter(text => !text.source.includes('make machines'))
    t.match(await problemsOf(engine, source, { disksOnly: true }), disksOnly, `${permits.join()}: disks only`)
    const inPlace = planInPlace(source, await readInPlaceTarget(engine, await readVm(site.engine, vmId), {}))
    t.equal(inPlace.kind, permits.some(permit => permit === 'CREATE_DISK') ? 'plan' : 'problems')
  }
  const changes = site.simulator.requests.slice(before).filter(({ method }) => method !== 'GET')
  t.ok(
    changes.every(({ url }) => /\/sso[-/]/.test(url)),
    'nothing was made',
  )
})

t.test('an account with just what is needed restores', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site))
  const { clusterId } = site.simulator.site
  // What a machine's and a disk's maker is given by the engine, the simulator is told here.
  const permits = [`CREATE_VM@${clusterId}`, 'CREATE_DISK', 'EDIT_VM_PROPERTIES', 'EDIT_DISK_PROPERTIES']
  await using engine = loginWith(site, permits)
  await using journal = await site.openJournal()
  const result = planRestore(source, await readRestoreTarget(engine, { name: 'web' }), {})
  if (result.kind === 'problems') return t.fail(result.problems.join('; '))
  const report = await restoreMachine(site.context(journal, { engine }), source, result.plan)
  await compare(t, site, source, report)
})

t.test('where the engine does not tell, that is a warning', async t => {
  await using site = await openSite()
  const { http } = site.simulator.faults
  const fault = { kind: 'refuse', detail: '[Not for you.]', method: 'GET', times: 1 } as const
  for (const [status, path] of [
    [403, '*/users/*/permissions'],
    [404, '*/users/*/permissions'],
    [403, '*/roles/*/permits'],
    [404, '*/roles/*/permits'],
  ] as const) {
    http.add({ ...fault, status, path })
    t.equal(await readGrants(site.engine), undefined, `${status} ${path}`)
  }
  t.match(await readGrants(site.engine), [{ objectId: undefined }])
  const result = planRestore(sampleSource(), sampleTarget({ grants: undefined }), {})
  t.match(result, { kind: 'plan', plan: { warnings: [/permissions are not checked/] } })
})
