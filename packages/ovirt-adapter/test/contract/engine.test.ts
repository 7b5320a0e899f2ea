/** What a client must make of the engine's answers. CONTRACT §0 to §5 */
import t from 'tap'
import { Engine } from '../../src/index.ts'
import { MIB, World } from '../backup/world.ts'

t.setTimeout(240_000)

t.test('§1.3 two trust anchors: a custom certificate at the engine, the internal authority on the hosts', async t => {
  await using world = await World.open({ hasCustomCertificate: true, clusterLevel: '4.6' })
  const { simulator, engine } = world
  t.equal(await engine.imageioCa(), simulator.internalCa)
  t.not(simulator.ca, simulator.internalCa)
  const vm = await world.addVm('web', [{}], [MIB])
  const direct = await world.backUp(vm)
  t.strictSame(await world.differing(direct), [])
  for (const host of simulator.site.hostIds) await simulator.faults.hideHost(host)
  const [diskId = ''] = world.diskIds(vm)
  await simulator.image(diskId).write(2 * MIB, new Uint8Array(MIB).fill(7))
  const proxied = await world.backUp(vm)
  t.equal(proxied.snapshot.backupKind, 'incremental')
  t.strictSame(await world.differing(proxied), [], 'the proxy has the certificate of the web server')
  t.strictSame(world.leftovers(), {})
})

t.test('§0.2 409 is "not now", whatever the messages say; several come as one text', async t => {
  await using world = await World.open()
  const { simulator, engine } = world
  simulator.faults.http.add({
    kind: 'refuse',
    path: '*/api/vms',
    status: 409,
    detail: 'Nicht jetzt., Vielleicht später.',
    times: 2,
  })
  t.match(await engine.get('/vms', { conflictTimeoutMs: 60_000 }), {})
  simulator.faults.http.add({
    kind: 'refuse',
    path: '*/api/vms',
    status: 409,
    detail: 'Nicht jetzt., Vielleicht später.',
    times: 1,
  })
  await t.rejects(engine.get('/vms'), {
    code: 'GRANARY_LOCKED',
    retryable: true,
    detail: { fault: 'Operation Failed: [Nicht jetzt., Vielleicht später.]' },
  })
})

t.test('§1.1 a user of the built-in Keycloak, whose name has an @ of its own', async t => {
  await using world = await World.open()
  const { simulator } = world
  simulator.inventory.addAccount('admin@ovirt@internalsso', 'x')
  const { url, ca, clock } = simulator
  await using engine = new Engine({ url, username: 'admin@ovirt@internalsso', password: 'x', apiCa: ca, clock })
  t.match(await engine.get(''), { product_info: { name: 'oVirt Engine' } })
})

t.test('§5.6 who may start a transfer and not end it is told so; the engine ends it, the backup stands', async t => {
  await using world = await World.open({ clusterLevel: '4.6' })
  const { simulator } = world
  const vm = await world.addVm('web', [{}], [MIB])
  const permits = ['BACKUP_DISK', 'EDIT_DISK_PROPERTIES', 'EDIT_VM_PROPERTIES', 'RUN_VM'].map(name => `${name}@${vm}`)
  simulator.inventory.addAccount('operator@internal', 'x', permits)
  await world.engine[Symbol.asyncDispose]()
  const { url, ca: apiCa, clock } = simulator
  world.engine = new Engine({ url, username: 'operator@internal', password: 'x', apiCa, clock })
  const report = await world.backUp(vm)
  t.match(report.warnings, [/^transfer .*\/finalize: 403, .*not authorized/])
  t.strictSame(await world.differing(report), [], 'what was read is a backup all the same')
  t.strictSame(world.leftovers(), {})
})
