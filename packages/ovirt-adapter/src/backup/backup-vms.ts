/** Backs up many machines, within bounds: at once in all, on one host, in one storage domain. One that fails fails alone. @module */
import { Semaphore, isGranaryError } from '@granary/core'
import type { AbortOptions, GranaryError } from '@granary/core'
import { listSnapshots } from '@granary/dedup-store'
import type { DiskProgress } from '@granary/dedup-store'
import type { Engine } from '../engine/engine.ts'
import { listAttachments } from '../engine/resources/disks.ts'
import type { Vm } from '../engine/resources/vms.ts'
import type { BackupStep } from './backup-vm.ts'
import { limitRate } from './bandwidth.ts'
import type { VmBackupReport } from './report.ts'
import type { BackupContext, BackupVmOptions } from './settings.ts'
import { backupMachine } from '../host/backup-machine.ts'
import type { ScriptReport } from '../host/guest-scripts.ts'

export interface BackupVmsOptions extends BackupVmOptions, AbortOptions {
  readonly vms: readonly Vm[]
  readonly onStep?: (vm: Vm, step: BackupStep) => void
  readonly onProgress?: (vm: Vm, progress: DiskProgress) => void
  /** Called when a script in the guest has ended, or could not be run. */
  readonly onScript?: (vm: Vm, report: ScriptReport) => void
  /** Called as soon as a machine is done. */
  readonly onResult?: (result: VmResult) => void
}

export type VmResult =
  | { readonly vm: Vm; readonly report: VmBackupReport }
  | { readonly vm: Vm; readonly error: GranaryError }

/** @returns one result for each machine, in their order. @throws only the signal's reason, and bugs */
export const backupVms = async (context: BackupContext, options: BackupVmsOptions): Promise<readonly VmResult[]> => {
  const { engine, repository, settings } = context
  const { vms, signal, onResult } = options
  const { limits } = settings
  const snapshots = await listSnapshots(repository.context, { signal, onDamaged: () => undefined })
  const slots = new Slots(engine, limits)
  const limit =
    limits.bandwidthBytesPerSecond === undefined ? undefined : limitRate(limits.bandwidthBytesPerSecond, engine.clock)
  const one = async (vm: Vm): Promise<VmResult> => {
    const result = await resultOf(vm, async () => {
      const release = await slots.acquire(vm, { signal })
      try {
        return await backupMachine(context, vm.id, { ...callOf(vm, options), snapshots, limit, signal })
      } finally {
        release()
      }
    })
    signal?.throwIfAborted()
    onResult?.(result)
    return result
  }
  const settled = await Promise.allSettled(vms.map(one))
  return settled.map(result => {
    if (result.status === 'fulfilled') return result.value
    throw result.reason
  })
}

const resultOf = async (vm: Vm, work: () => Promise<VmBackupReport>): Promise<VmResult> => {
  try {
    return { vm, report: await work() }
  } catch (error) {
    if (isGranaryError(error)) return { vm, error }
    throw error
  }
}

const callOf = (
  vm: Vm,
  { onStep, onProgress, onScript, vms: _vms, onResult: _onResult, ...options }: BackupVmsOptions,
): BackupVmOptions & MachineHandlers => ({
  ...options,
  ...(onScript === undefined ? {} : { onScript: report => onScript(vm, report) }),
  ...(onStep === undefined ? {} : { onStep: step => onStep(vm, step) }),
  ...(onProgress === undefined ? {} : { onProgress: progress => onProgress(vm, progress) }),
})

interface MachineHandlers {
  readonly onStep?: (step: BackupStep) => void
  readonly onProgress?: (progress: DiskProgress) => void
  readonly onScript?: (report: ScriptReport) => void
}

/** Bounds by place. Slots are taken in one order (host, domains by id, all), so nobody waits in a circle. */
class Slots {
  readonly #engine: Engine
  readonly #limits: BackupContext['settings']['limits']
  readonly #all: Semaphore
  readonly #places = new Map<string, Semaphore>()

  constructor(engine: Engine, limits: BackupContext['settings']['limits']) {
    this.#engine = engine
    this.#limits = limits
    this.#all = new Semaphore(limits.vmsAtOnce)
  }

  async acquire(vm: Vm, { signal }: AbortOptions): Promise<() => void> {
    const releases: (() => void)[] = []
    const release = (): void => releases.toReversed().forEach(give => give())
    try {
      for (const place of await this.#placesOf(vm, { signal })) releases.push(await place.acquire(1, { signal }))
      return release
    } catch (error) {
      release()
      throw error
    }
  }

  /** Scarce places first: whoever waits for a host or a domain holds none of the slots that all share. */
  async #placesOf(vm: Vm, { signal }: AbortOptions): Promise<readonly Semaphore[]> {
    const attachments = await listAttachments(this.#engine, vm.id, { signal })
    const domains = new Set(attachments.flatMap(({ disk }) => disk.storageDomainId ?? []))
    const { vmsPerHost, vmsPerStorageDomain } = this.#limits
    return [
      ...(vm.hostId === undefined ? [] : [this.#place(`host ${vm.hostId}`, vmsPerHost)]),
      ...[...domains].toSorted().map(id => this.#place(`domain ${id}`, vmsPerStorageDomain)),
      this.#all,
    ]
  }

  #place(name: string, capacity: number): Semaphore {
    const known = this.#places.get(name) ?? new Semaphore(capacity)
    this.#places.set(name, known)
    return known
  }
}
