/**
 * Moments at which a scenario may step in: a guest that writes, a host that crashes, an administrator who clicks.
 * The engine waits for what is done there, so that it happens exactly then.
 *
 * @module
 */

export const MOMENT_NAMES = [
  /** A backup was accepted, nothing is frozen yet. */
  'backup-posted',
  /** The content of the backup is settled from now on. */
  'backup-frozen',
  'backup-ready',
  'backup-finalizing',
  'backup-ended',
  'transfer-ready',
  'transfer-finalizing',
  'transfer-ended',
  /** Before a piece of a backup is read. */
  'backup-read',
  /** Before the engine looks at a request: what somebody else does between a client's check and its POST. */
  'engine-request',
] as const
export type MomentName = (typeof MOMENT_NAMES)[number]

/** Of which VM, disk, backup or transfer. */
export interface Moment {
  readonly name: MomentName
  readonly vmId?: string | undefined
  readonly diskId?: string | undefined
  readonly backupId?: string | undefined
  readonly transferId?: string | undefined
  /** Of an `engine-request`: method and path, such as `POST /ovirt-engine/api/vms`. */
  readonly request?: string
}

type Step = (moment: Moment) => void | Promise<void>

export class Moments {
  readonly #steps = new Map<MomentName, Set<Step>>()

  /** Runs `step` each time. @returns a function that ends it */
  on(name: MomentName, step: Step): () => void {
    const steps = this.#steps.get(name) ?? new Set()
    this.#steps.set(name, steps.add(step))
    return () => void steps.delete(step)
  }

  /** Runs `step` the next time only. */
  once(name: MomentName, step: Step): () => void {
    const end = this.on(name, async moment => {
      end()
      await step(moment)
    })
    return end
  }

  async reach(moment: Moment): Promise<void> {
    for (const step of this.#steps.get(moment.name) ?? []) await step(moment)
  }
}
