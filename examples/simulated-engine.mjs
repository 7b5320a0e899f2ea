// An oVirt engine to test a client against: a machine whose guest writes, a backup, an answer that is lost, an hour that
// takes no time. Run it with `node examples/simulated-engine.mjs FOLDER`.
import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { createSimulator } from '@granary/ovirt-simulator'

const [folder = '/tmp/simulated-engine'] = process.argv.slice(2)
const simulator = await createSimulator({ dir: folder, profile: 'ovirt-4.5', clusterLevel: '4.6' })
const { clock, faults, inventory, site, url, ca, credentials } = simulator
const auth = `${credentials.username}:${credentials.password}`
const agent = new Agent({ ca, keepAlive: true })

/** Any client does, here the plainest: what it waits with must be the simulator's clock. */
const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', 'content-type': 'application/json' }
    const outgoing = request(`${url}/${path}`, { method, auth, agent, headers }, response => {
      text(response).then(body => resolve(JSON.parse(body)), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body && JSON.stringify(body))
  })

const until = async (path, phase) => {
  for (;;) {
    const entity = await call('GET', path)
    if (entity.phase === phase) return entity
    await clock.sleep(2_000)
  }
}

const vm = await inventory.addVm({
  name: 'web',
  clusterId: site.clusterId,
  disks: [{ sizeBytes: 64 * 1024 ** 2, storageDomainId: site.storageDomains[0].id }],
})
const [diskId] = vm.attachments.keys()
simulator.moments.on('backup-ready', async () => {
  await simulator.guest(vm.id, diskId).write(0, new Uint8Array(65_536).fill(1))
  console.log('the guest writes while the backup is open')
})

const beginMs = clock.now()
const backups = `vms/${vm.id}/backups`
const id = '123e4567-e89b-42d3-a456-426614174000'
faults.http.add({ kind: 'lose-answer', method: 'POST', path: '*/backups', times: 1 })
await call('POST', backups, { id, disks: { disk: [{ id: diskId }] } }).catch(error =>
  console.log(`POST: ${error.code}`),
)
const backup = await until(`${backups}/${id}`, 'ready')
console.log(
  `ready after ${(clock.now() - beginMs) / 1000} s, checkpoint ${backup.to_checkpoint_id === undefined ? 'none' : 'made'}`,
)
console.log(`open: ${simulator.state().openBackups.length} backup, ${simulator.state().lockedDisks.length} locked disk`)
await call('POST', `${backups}/${id}/finalize`, {})
await until(`${backups}/${id}`, 'succeeded')
await clock.sleep(3_600_000)
console.log(`an hour later: ${JSON.stringify(await call('GET', backups))}`)
agent.destroy()
await simulator[Symbol.asyncDispose]()
