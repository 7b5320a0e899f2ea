/**
 * The fault matrix: what is done to a backup, and what must come of it in each flow. A fault without a cell for a flow is an
 * error of the compiler.
 *
 * @module
 */
import { MIB, pattern } from './world.ts'
import type { World } from './world.ts'

export type Flow =
  | 'full live'
  | 'incremental live'
  | 'full hybrid'
  | 'incremental hybrid'
  | 'full cold'
  | 'incremental cold'

export const FLOWS: Readonly<Record<Flow, { level: string; status: 'up' | 'down'; kind: 'full' | 'incremental' }>> = {
  'full live': { level: '4.6', status: 'up', kind: 'full' },
  'incremental live': { level: '4.6', status: 'up', kind: 'incremental' },
  'full hybrid': { level: '4.7', status: 'up', kind: 'full' },
  'incremental hybrid': { level: '4.7', status: 'up', kind: 'incremental' },
  'full cold': { level: '4.6', status: 'down', kind: 'full' },
  'incremental cold': { level: '4.6', status: 'down', kind: 'incremental' },
}

/**
 * `completes` as what was asked; `as full` with a warning; `warns`: committed, and something is left for the next start; `marked`:
 * committed as inconsistent, and never a base.
 */
export type Outcome = 'completes' | 'as full' | 'warns' | 'marked' | 'fails' | 'does not apply'

export interface Scene {
  readonly world: World
  readonly vmId: string
  readonly diskIds: readonly string[]
  /** Runs once, at that moment. */
  readonly at: (moment: Parameters<World['simulator']['moments']['once']>[0], strike: () => unknown) => void
}

export interface Fault {
  /** Arms it; called after a first full backup, before the one that counts. */
  readonly arm: (scene: Scene) => unknown
  /** What mends it before the next start, as an administrator would. */
  readonly mend?: (scene: Scene) => unknown
  readonly outcomes: Readonly<Record<Flow, Outcome>>
}

const all = (outcome: Outcome, others: Partial<Record<Flow, Outcome>> = {}): Record<Flow, Outcome> => ({
  'full live': outcome,
  'incremental live': outcome,
  'full hybrid': outcome,
  'incremental hybrid': outcome,
  'full cold': outcome,
  'incremental cold': outcome,
  ...others,
})

const incrementals = (outcome: Outcome): Partial<Record<Flow, Outcome>> => ({
  'incremental live': outcome,
  'incremental hybrid': outcome,
  'incremental cold': outcome,
})

/** A machine that stops takes its live backup with it; a snapshot of the engine stays. */
const STOPPED = all('fails', {
  'full hybrid': 'completes',
  'incremental hybrid': 'completes',
  'full cold': 'does not apply',
  'incremental cold': 'does not apply',
})

const hosts = ({ world }: Scene): readonly string[] => world.simulator.site.hostIds

const onEachHost = async (
  scene: Scene,
  fault: Parameters<World['simulator']['faults']['imageio']>[1],
): Promise<void> => {
  for (const host of hosts(scene)) await scene.world.simulator.faults.imageio(host, fault)
}

const domainOf = ({ world }: Scene): string => world.simulator.site.storageDomains[0]?.id ?? ''

const MINUTE_MS = 60_000

/** What another installation writes into its backup. */
const FOREIGN = 'granary 11111111 of another installation'

const loseAnswer =
  (method: string, path: string, times = 1) =>
  ({ world }: Scene) =>
    world.simulator.faults.http.add({ kind: 'lose-answer', method, path, times })

/** Bytes of a storage domain that a fault took. */
const taken = new WeakMap<World, number>()

/** What imageio answers with errors for. */
const failing = new WeakMap<World, readonly { disarm(): void }[]>()

const powerOn = (scene: Scene): void => {
  const { world, vmId } = scene
  for (const host of hosts(scene)) world.simulator.recoverHost(host)
  const vm = world.simulator.vm(vmId)
  vm.status = 'up'
  vm.hostId = hosts(scene)[0]
}

export const FAULTS = {
  'the session ends before the transfer (401)': {
    arm: ({ at, world }) => at('backup-ready', () => world.simulator.endSessions()),
    outcomes: all('completes'),
  },
  'the session ends while data is read (401)': {
    arm: ({ at, world }) => at('backup-read', () => world.simulator.endSessions()),
    outcomes: all('completes'),
  },
  '503 for a minute': {
    arm: ({ at, world }) =>
      at('backup-ready', () => world.simulator.faults.http.add({ kind: 'status', status: 503, forMs: MINUTE_MS })),
    outcomes: all('completes'),
  },
  'the engine is deployed anew: pages with 404': {
    arm: ({ at, world }) =>
      at('transfer-ready', () => world.simulator.faults.http.add({ kind: 'status', status: 404, forMs: MINUTE_MS })),
    outcomes: all('completes'),
  },
  'the engine is not reached for a minute': {
    arm: ({ at, world }) => at('backup-read', () => world.simulator.faults.engineAway(MINUTE_MS, 'network')),
    outcomes: all('completes'),
  },
  'the engine is not reached for six minutes': {
    arm: ({ at, world }) => at('backup-read', () => world.simulator.faults.engineAway(6 * MINUTE_MS, 'network')),
    outcomes: all('completes'),
  },
  'the engine is not reached for 40 minutes, longer than it is waited for': {
    arm: ({ at, world }) => at('backup-ready', () => world.simulator.faults.engineAway(40 * MINUTE_MS, 'network')),
    mend: async ({ world }) => {
      world.simulator.faults.http.clear()
    },
    outcomes: all('fails'),
  },
  '409 for two minutes at the start': {
    arm: ({ world }) =>
      world.simulator.faults.http.add({
        kind: 'refuse',
        status: 409,
        detail: '[Related operation is in progress.]',
        method: 'POST',
        path: '*/backups',
        forMs: 2 * MINUTE_MS,
      }),
    outcomes: all('completes'),
  },
  '409 for two minutes at each transfer': {
    arm: ({ at, world }) =>
      at('backup-ready', () =>
        world.simulator.faults.http.add({
          kind: 'refuse',
          status: 409,
          detail: '[Disk is being transferred.]',
          method: 'POST',
          path: '*/imagetransfers',
          forMs: 2 * MINUTE_MS,
        }),
      ),
    outcomes: all('completes'),
  },
  'imageio drops connections': {
    arm: async scene =>
      await onEachHost(scene, {
        effect: { kind: 'drop', afterBytes: 100_000 },
        times: 3,
        when: ({ resource }) => resource === 'image',
      }),
    outcomes: all('completes'),
  },
  'imageio cuts bodies short': {
    arm: async scene =>
      await onEachHost(scene, {
        effect: { kind: 'truncate', afterBytes: 70_000 },
        times: 3,
        when: ({ resource }) => resource === 'image',
      }),
    outcomes: all('completes'),
  },
  'extents take ten minutes': {
    arm: async scene =>
      await onEachHost(scene, {
        effect: { kind: 'delay', ms: 10 * MINUTE_MS },
        when: ({ resource }) => resource === 'extents',
      }),
    outcomes: all('completes'),
  },
  'the host is not reached, the proxy is': {
    arm: async scene => {
      scene.world.connectTimeoutMs = 500
      for (const host of hosts(scene)) await scene.world.simulator.faults.hideHost(host)
    },
    outcomes: all('completes'),
  },
  'a ticket expires': {
    arm: async scene =>
      await onEachHost(scene, { effect: { kind: 'expire' }, after: 3, when: ({ resource }) => resource === 'image' }),
    outcomes: all('completes'),
  },
  'imageio is restarted: all tickets are gone': {
    arm: scene =>
      scene.at('backup-read', async () => {
        for (const host of hosts(scene)) await scene.world.simulator.faults.restartImageio(host)
      }),
    outcomes: all('completes'),
  },
  'the answer to POST backups is lost': { arm: loseAnswer('POST', '*/backups'), outcomes: all('completes') },
  'the answer to POST imagetransfers is lost': {
    arm: loseAnswer('POST', '*/imagetransfers', 2),
    outcomes: all('completes'),
  },
  'the answer to the end of transfers is lost': {
    arm: loseAnswer('POST', '*/imagetransfers/*/finalize', 2),
    outcomes: all('completes'),
  },
  'the answer to the end of the backup is lost': {
    arm: loseAnswer('POST', '*/backups/*/finalize'),
    outcomes: all('completes'),
  },
  'the answer to DELETE of a checkpoint is lost': {
    arm: loseAnswer('DELETE', '*/checkpoints/*'),
    outcomes: all('completes'),
  },
  'the checkpoints are gone': {
    arm: ({ world, vmId }) => world.simulator.faults.wipeCheckpoints(vmId),
    outcomes: all('completes', incrementals('as full')),
  },
  'the checkpoints are invalid': {
    arm: ({ world, vmId }) => {
      for (const checkpoint of world.simulator.vm(vmId).checkpoints) checkpoint.state = 'invalid'
    },
    outcomes: all('completes', incrementals('as full')),
  },
  'a bitmap is in use, since its host lost power': {
    arm: scene => {
      const { world, vmId } = scene
      const { status } = world.simulator.vm(vmId)
      for (const disk of scene.diskIds) world.simulator.disk(disk).volume?.bitmaps.crash()
      world.simulator.vm(vmId).status = status
    },
    outcomes: all('completes', incrementals('as full')),
  },
  'the power of the host fails while data is read': {
    arm: scene =>
      scene.at('backup-read', async () => {
        for (const host of hosts(scene)) await scene.world.simulator.crashHost(host)
      }),
    mend: powerOn,
    outcomes: all('fails'),
  },
  'the guest is killed while data is read': {
    arm: ({ at, world, vmId }) => at('backup-read', () => world.simulator.crashVm(vmId)),
    mend: powerOn,
    outcomes: STOPPED,
  },
  'the guest shuts itself down while data is read': {
    arm: ({ at, world, vmId }) => at('backup-read', () => world.simulator.shutDownGuest(vmId)),
    mend: powerOn,
    outcomes: STOPPED,
  },
  'the stopped machine is started while data is read': {
    // The engine would not; a host's administrator can.
    arm: ({ at, world, vmId }) => at('backup-read', () => world.simulator.faults.startVm(vmId)),
    mend: ({ world, vmId }) => world.simulator.shutDownGuest(vmId),
    outcomes: all('does not apply', { 'full cold': 'marked', 'incremental cold': 'marked' }),
  },
  'a disk is detached while it is read': {
    arm: ({ at, world, vmId, diskIds }) =>
      at('backup-read', () => world.simulator.faults.detachDisk(vmId, diskIds[0] ?? '')),
    mend: async ({ world, diskIds }) => await world.simulator.faults.removeDisk(diskIds[0] ?? ''),
    outcomes: all('completes'),
  },
  'a disk is resized while it is read': {
    arm: ({ at, world, diskIds }) =>
      at('backup-read', async () => await world.simulator.faults.resizeDisk(diskIds[0] ?? '', 256 * MIB)),
    outcomes: all('completes'),
  },
  'somebody takes a snapshot while data is read': {
    arm: ({ at, world, vmId }) => at('backup-read', () => world.simulator.faults.takeSnapshot(vmId)),
    outcomes: all('completes'),
  },
  'somebody deletes the checkpoint that it starts from while data is read': {
    arm: ({ at, world, vmId }) => at('backup-read', () => world.simulator.faults.deleteCheckpoint(vmId)),
    outcomes: all('completes'),
  },
  'a disk is removed while it is read': {
    arm: ({ at, world, diskIds }) =>
      at('backup-read', async () => await world.simulator.faults.removeDisk(diskIds[0] ?? '')),
    outcomes: all('fails'),
  },
  'the engine backs a disk up in full without a word': {
    arm: ({ world, diskIds }) => world.simulator.faults.backUpInFull(diskIds[0] ?? ''),
    outcomes: all('completes', incrementals('warns')),
  },
  'the engine is started anew and forgets its backup (event 10814)': {
    arm: ({ at, world }) => at('backup-read', async () => await world.simulator.faults.loseBackups()),
    outcomes: all('fails'),
  },
  'the engine is down for six minutes: tickets end': {
    arm: ({ at, world }) => at('backup-read', () => world.simulator.faults.engineAway(6 * MINUTE_MS, 'down')),
    outcomes: all('completes'),
  },
  'the authority of imageio is another': {
    arm: async scene => {
      for (const host of hosts(scene)) await scene.world.simulator.faults.setImageioCertificate(host, 'foreign')
    },
    mend: async scene => {
      for (const host of hosts(scene)) await scene.world.simulator.faults.setImageioCertificate(host, 'right')
    },
    outcomes: all('fails'),
  },
  'the storage domain is full while the guest writes': {
    arm: ({ at, world, vmId, diskIds }) =>
      at('backup-ready', async () => {
        const space = world.simulator.site.storageDomains[0]?.space
        taken.set(world, space?.availableBytes ?? 0)
        space?.take(space.availableBytes)
        const guest = world.simulator.guest(vmId, diskIds[0] ?? '')
        // What it overwrites must be kept for the backup, and there is no room.
        for (let i = 0; i < 16; i++) await guest.write(i * 65_536, pattern(65_536, i + 90)).catch(() => undefined)
      }),
    mend: scene => {
      scene.world.simulator.site.storageDomains[0]?.space.give(taken.get(scene.world) ?? 0)
      powerOn(scene)
    },
    outcomes: all('marked', {
      'full cold': 'does not apply',
      'incremental cold': 'does not apply',
    }),
  },
  'the storage domain is gone while data is read': {
    arm: scene =>
      scene.at('backup-read', async () => {
        scene.world.simulator.faults.setStorageDomainStatus(domainOf(scene), 'inactive')
        const fault = { effect: { kind: 'status', status: 500 }, times: 10_000 } as const
        const armed = hosts(scene).map(async host => await scene.world.simulator.faults.imageio(host, fault))
        failing.set(scene.world, await Promise.all(armed))
      }),
    mend: scene => {
      scene.world.simulator.faults.setStorageDomainStatus(domainOf(scene), 'active')
      for (const fault of failing.get(scene.world) ?? []) fault.disarm()
    },
    outcomes: all('fails'),
  },
  'the machine is migrated while data is read': {
    arm: ({ at, world, vmId }) => at('backup-read', async () => await world.engine.act(`/vms/${vmId}/migrate`)),
    // Other backups do not let it go.
    outcomes: all('does not apply', { 'full hybrid': 'completes', 'incremental hybrid': 'completes' }),
  },
  'another installation backs it up at the same time': {
    arm: async scene => {
      const { engine, simulator } = scene.world
      const backups = `/vms/${scene.vmId}/backups`
      const disk = scene.diskIds.map(id => ({ id }))
      const { id } = await engine.create(backups, { description: FOREIGN, disks: { disk } })
      void simulator.clock.sleep(2 * MINUTE_MS).then(async () => await engine.act(`${backups}/${String(id)}/finalize`))
    },
    mend: ({ world, vmId }) => {
      const { checkpoints } = world.simulator.vm(vmId)
      if (checkpoints.every(({ description }) => description !== FOREIGN)) throw new Error('what is theirs is gone')
    },
    outcomes: all('completes'),
  },
  'the merge of the snapshot fails': {
    arm: ({ world, vmId }) => world.simulator.faults.failMerges(vmId, 2),
    outcomes: all('does not apply', { 'full hybrid': 'warns', 'incremental hybrid': 'warns' }),
  },
} satisfies Record<string, Fault>

export type FaultName = keyof typeof FAULTS

/** Some data that no backup has seen. */
export const change = async ({ world, vmId, diskIds }: Scene, seed: number): Promise<void> => {
  for (const [i, disk] of diskIds.entries()) {
    if (!world.diskIds(vmId).includes(disk)) continue // It was removed.
    await world.simulator.image(disk).write(MIB + 100_000 * i, pattern(200_000, seed + i))
  }
}
