/**
 * The fault matrix of restores: what is done to one, and what must come of it in each flow. A fault without a cell for a flow is an
 * error of the compiler.
 *
 * @module
 */
import type { RestoreSite } from './restore-site.ts'

export type RestoreFlow = 'new machine' | 'in place'

/**
 * `completes` by itself; `undone`: fails, and after the next start nothing of it is left; `resumable`: fails, and goes on when the
 * fault is mended.
 */
export type RestoreOutcome = 'completes' | 'undone' | 'resumable' | 'does not apply'

export interface RestoreScene {
  readonly site: RestoreSite
  /** Runs once, when the first upload may begin. */
  readonly atUpload: (strike: (diskId: string) => unknown) => void
}

export interface RestoreFault {
  readonly arm: (scene: RestoreScene) => unknown
  readonly mend?: (scene: RestoreScene) => unknown
  readonly outcomes: Readonly<Record<RestoreFlow, RestoreOutcome>>
}

const MINUTE_MS = 60_000
const both = (outcome: RestoreOutcome): Record<RestoreFlow, RestoreOutcome> => ({
  'new machine': outcome,
  'in place': outcome,
})

const onEachHost = async ({ simulator }: RestoreSite, act: (hostId: string) => Promise<unknown>): Promise<void> => {
  for (const hostId of simulator.site.hostIds) await act(hostId)
}

const firstDomain = ({ simulator }: RestoreSite): RestoreSite['simulator']['site']['storageDomains'][number] => {
  const [domain] = simulator.site.storageDomains
  if (domain === undefined) throw new Error('a site has a storage domain')
  return domain
}

/** Bytes of a storage domain that a fault took. */
const taken = new WeakMap<RestoreSite, number>()

export const RESTORE_FAULTS = {
  'the engine is not reached for 6 minutes': {
    arm: ({ site, atUpload }) => atUpload(() => site.simulator.faults.engineAway(6 * MINUTE_MS, 'network')),
    outcomes: both('completes'),
  },
  'the engine is down for 6 minutes': {
    arm: ({ site, atUpload }) => atUpload(() => site.simulator.faults.engineAway(6 * MINUTE_MS, 'down')),
    outcomes: both('completes'),
  },
  'the engine is not reached for 40 minutes, longer than it is waited for': {
    arm: ({ site, atUpload }) => atUpload(() => site.simulator.faults.engineAway(40 * MINUTE_MS, 'network')),
    mend: ({ site }) => site.simulator.faults.http.clear(),
    // Nothing was written yet.
    outcomes: both('undone'),
  },
  '503 for a minute': {
    arm: ({ site, atUpload }) =>
      atUpload(() => site.simulator.faults.http.add({ kind: 'status', status: 503, forMs: MINUTE_MS })),
    outcomes: both('completes'),
  },
  'the session ends (401)': {
    arm: ({ site, atUpload }) => atUpload(() => site.simulator.endSessions()),
    outcomes: both('completes'),
  },
  '409 for two minutes when disks are attached': {
    arm: ({ site }) =>
      site.simulator.faults.http.add({
        kind: 'refuse',
        status: 409,
        detail: 'not now',
        method: 'POST',
        path: '*/diskattachments',
        times: 4,
      }),
    outcomes: { 'new machine': 'completes', 'in place': 'does not apply' },
  },
  '409 for a while at each transfer': {
    arm: ({ site }) =>
      site.simulator.faults.http.add({
        kind: 'refuse',
        status: 409,
        detail: 'locked',
        method: 'POST',
        path: '*/imagetransfers',
        times: 4,
      }),
    outcomes: both('completes'),
  },
  'imageio drops connections': {
    arm: async ({ site }) =>
      await onEachHost(
        site,
        async id =>
          await site.simulator.faults.imageio(id, { effect: { kind: 'drop', afterBytes: 4096 }, after: 3, times: 2 }),
      ),
    outcomes: both('completes'),
  },
  'imageio loses answers': {
    arm: async ({ site }) =>
      await onEachHost(
        site,
        async id => await site.simulator.faults.imageio(id, { effect: { kind: 'lose-answer' }, after: 2, times: 2 }),
      ),
    outcomes: both('completes'),
  },
  'imageio fails with 500: what was not flushed may be lost': {
    arm: async ({ site }) =>
      await onEachHost(
        site,
        async id =>
          await site.simulator.faults.imageio(id, { effect: { kind: 'status', status: 500 }, after: 3, times: 1 }),
      ),
    outcomes: both('completes'),
  },
  'a ticket expires': {
    arm: async ({ site }) =>
      await onEachHost(
        site,
        async id => await site.simulator.faults.imageio(id, { effect: { kind: 'expire' }, after: 3, times: 1 }),
      ),
    outcomes: both('completes'),
  },
  'imageio is restarted: all tickets are gone': {
    arm: ({ site, atUpload }) =>
      atUpload(async () => await onEachHost(site, async id => await site.simulator.faults.restartImageio(id))),
    outcomes: both('completes'),
  },
  'the hosts are not reached, the proxy is': {
    arm: async ({ site }) => {
      site.connectTimeoutMs = 500
      await onEachHost(site, async id => await site.simulator.faults.hideHost(id))
    },
    outcomes: both('completes'),
  },
  'the engine rejects a disk after its upload, and removes it': {
    arm: ({ site, atUpload }) => atUpload(diskId => site.simulator.faults.failVerification(diskId)),
    // A disk that was there before is lost by that: no restore can prevent it.
    outcomes: { 'new machine': 'completes', 'in place': 'does not apply' },
  },
  'extents take ten minutes': {
    arm: async ({ site }) =>
      await onEachHost(
        site,
        async id =>
          await site.simulator.faults.imageio(id, {
            effect: { kind: 'delay', ms: 10 * MINUTE_MS },
            when: ({ resource }) => resource === 'extents',
          }),
      ),
    outcomes: both('completes'),
  },
  'the storage domain is full': {
    arm: ({ site, atUpload }) =>
      atUpload(() => {
        const { space } = firstDomain(site)
        taken.set(site, space.availableBytes)
        space.take(space.availableBytes)
      }),
    mend: ({ site }) => firstDomain(site).space.give(taken.get(site) ?? 0),
    // In place it writes where there was data, which needs no more room.
    outcomes: { 'new machine': 'resumable', 'in place': 'completes' },
  },
  'the power of the host fails for a moment: what was not flushed is lost': {
    arm: async ({ site }) => {
      const { simulator } = site
      let writes = 0
      await onEachHost(
        site,
        async id =>
          await simulator.faults.imageio(id, {
            effect: { kind: 'drop', afterBytes: 4096 },
            when: ({ method }) => {
              if (method !== 'PUT' || ++writes !== 3) return false
              void simulator.crashHost(id).then(() => simulator.recoverHost(id))
              return true
            },
          }),
      )
    },
    outcomes: { 'new machine': 'completes', 'in place': 'completes' },
  },
  'the account may no longer do it (403)': {
    arm: ({ site }) =>
      site.simulator.faults.http.add({
        kind: 'refuse',
        status: 403,
        detail: 'not authorized',
        method: 'POST',
        path: '*/imagetransfers',
      }),
    mend: ({ site }) => site.simulator.faults.http.clear(),
    outcomes: both('undone'),
  },
} as const satisfies Record<string, RestoreFault>
