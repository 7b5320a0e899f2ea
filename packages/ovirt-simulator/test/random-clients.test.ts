/** Whatever clients, guests and power failures do in whatever order: once all is ended, nothing is locked, open or orphaned. */
import { test } from 'tap'
import { setUp } from './client.ts'
import type { Client } from './client.ts'
import { MIB, addMachine, idsOf, image } from './flows.ts'
import type { Machine } from './flows.ts'

const RUNS = process.env['GRANARY_TEST_LONG'] === undefined ? 8 : 200
const STEPS = 40
const HOUR_MS = 3_600_000

/** Numbers from 0 up to 1, the same for the same seed. */
const seeded = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31
  }
}

interface Play {
  readonly client: Client
  readonly machine: Machine
  readonly random: () => number
}

const pick = <T>(random: () => number, items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)]

const openTransfers = async ({ client }: Play): Promise<any[]> =>
  ((await client.get('imagetransfers')).json.image_transfer ?? []).filter(
    (one: any) => !one.phase.startsWith('finished'),
  )

const backupsOf = async ({ client, machine }: Play): Promise<any[]> =>
  (await client.get(`vms/${machine.vm.id}/backups`)).json.backup ?? []

/** What may happen; refusals are as good as anything. */
const STEPS_OF: Readonly<Record<string, (play: Play) => Promise<unknown>>> = {
  async backup({ client, machine, random }) {
    const checkpoints = (await client.get(`vms/${machine.vm.id}/checkpoints`)).json.checkpoint ?? []
    const from = pick(random, [undefined, ...checkpoints])
    const query = pick(random, ['', '?legacy=true', '?require_consistency=true&legacy=true'])
    await client.post(`vms/${machine.vm.id}/backups${query}`, {
      disks: idsOf(machine.diskIds),
      ...(from !== undefined && { from_checkpoint_id: from.id }),
    })
  },
  async finalizeBackup(play) {
    const backup = pick(play.random, await backupsOf(play))
    if (backup !== undefined) await play.client.post(`vms/${play.machine.vm.id}/backups/${backup.id}/finalize`, {})
  },
  async transfer(play) {
    const backup = pick(play.random, [undefined, ...(await backupsOf(play))])
    await play.client.post('imagetransfers', {
      disk: { id: pick(play.random, play.machine.diskIds) },
      direction: 'download',
      format: 'raw',
      ...(backup !== undefined && { backup: { id: backup.id } }),
    })
  },
  async act(play) {
    const transfer = pick(play.random, await openTransfers(play))
    const action = pick(play.random, ['finalize', 'cancel', 'pause', 'resume'])
    if (transfer !== undefined) await play.client.post(`imagetransfers/${transfer.id}/${action}`, {})
  },
  async read(play) {
    const transfer = pick(play.random, await openTransfers(play))
    if (transfer?.transfer_url !== undefined)
      await image(play.client, 'GET', transfer.transfer_url).catch(() => undefined)
  },
  async write({ client, machine, random }) {
    const guest = client.simulator.guest(machine.vm.id, pick(random, machine.diskIds) ?? '')
    await guest
      .write(Math.floor(random() * 3 * MIB), new Uint8Array(65_536).fill(random() * 256))
      .catch(() => undefined)
  },
  snapshot: async ({ client, machine }) =>
    await client.post(`vms/${machine.vm.id}/snapshots`, { description: 'x', persist_memorystate: false }),
  async removeSnapshot({ client, machine, random }) {
    const snapshot = pick(random, (await client.get(`vms/${machine.vm.id}/snapshots`)).json.snapshot as any[])
    await client.send('DELETE', `vms/${machine.vm.id}/snapshots/${snapshot.id}`)
  },
  async power({ client, machine, random }) {
    const action = pick(random, ['start', 'stop', 'shutdown', 'migrate', 'start'])
    await client.post(`vms/${machine.vm.id}/${action}`, {})
  },
  async deleteCheckpoint({ client, machine, random }) {
    const checkpoint = pick(random, (await client.get(`vms/${machine.vm.id}/checkpoints`)).json.checkpoint ?? []) as any
    if (checkpoint !== undefined) await client.send('DELETE', `vms/${machine.vm.id}/checkpoints/${checkpoint.id}`)
  },
  async crash({ client, random }) {
    const { simulator } = client
    const hostId = pick(random, simulator.site.hostIds) ?? ''
    await simulator.crashHost(hostId)
    simulator.recoverHost(hostId)
  },
  async lose({ client, random }) {
    if (random() < 0.3) await client.simulator.faults.loseBackups()
  },
  wait: async ({ client, random }) => await client.simulator.clock.sleep(random() * 60_000),
}

/** Ends what is still open, as a careful client does. */
const endAll = async (play: Play): Promise<void> => {
  const { client, machine } = play
  for (let n = 0; n < 60; n++) {
    for (const { id } of await openTransfers(play)) await client.post(`imagetransfers/${id}/cancel`, {})
    for (const { id } of await backupsOf(play)) await client.post(`vms/${machine.vm.id}/backups/${id}/finalize`, {})
    await client.simulator.clock.sleep(30_000)
    const state = client.simulator.state()
    if (state.openBackups.length + state.openTransfers.length === 0) return
  }
}

/** Codes of all events of all runs. */
const happened = new Set<string>()

for (let seed = 1; seed <= RUNS; seed++)
  test(`random clients, seed ${seed} of ${RUNS}`, async t => {
    const random = seeded(seed * 7919)
    const client = await setUp(t, { clusterLevel: random() < 0.5 ? '4.6' : '4.7' })
    const play = { client, machine: await addMachine(client, { disks: 2 }), random }
    const names = Object.keys(STEPS_OF)
    for (let n = 0; n < STEPS; n++) {
      await STEPS_OF[pick(random, names) ?? '']?.(play)
      if (random() < 0.3) await client.simulator.clock.sleep(random() * 20_000)
      if (n % 10 === 9) await client.signIn()
    }
    await endAll(play)
    await client.signIn()
    await STEPS_OF['deleteCheckpoint']?.(play)
    await client.simulator.clock.sleep(HOUR_MS)
    t.match(client.simulator.state(), {
      lockedDisks: [],
      illegalDisks: [],
      lockedVms: [],
      openBackups: [],
      openTransfers: [],
      scratchDisks: [],
      backupSnapshots: [],
      runningJobs: [],
    })
    await client.signIn()
    for (const { code } of (await client.get('events')).json.event) happened.add(code)
    // Checkpoints and bitmaps belong together: what is listed can be a base.
    const left = client.simulator.vm(play.machine.vm.id).checkpoints.map(({ id }) => id)
    for (const diskId of play.machine.diskIds) {
      const known = client.simulator.disk(diskId).volume?.bitmaps.checkpointIds ?? []
      t.same(
        left.filter(id => !known.includes(id)),
        [],
        'no checkpoint without its bitmap',
      )
      t.same(
        known.filter(id => !left.includes(id)),
        [],
        'no bitmap without its checkpoint',
      )
    }
  })

test('all that matters happened in these runs', async t => {
  for (const [code, what] of [
    ['10790', 'a backup began'],
    ['10793', 'was ready'],
    ['10794', 'was finalized'],
    ['10792', 'failed'],
    ['10797', 'a checkpoint was deleted'],
    ['10814', 'the engine lost a backup'],
    ['1032', 'a transfer succeeded'],
    ['1033', 'failed'],
    ['119', 'a guest crashed'],
  ] as const)
    t.ok(happened.has(code), `${what}: event ${code}`)
})
