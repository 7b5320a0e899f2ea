/** Disks of one VM as they were at one moment, read on its host. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import type { DomainDisk } from './domain-xml.ts'
import type { HostJournal } from './intents.ts'
import type { Libvirt } from './libvirt.ts'
import type { ScratchOptions } from './scratch.ts'

export interface HostDisk {
  /** Name inside the domain, such as `vda`; for a stopped VM the id of the disk. */
  readonly name: string
  /** The id of the disk, where the domain tells it. */
  readonly diskId: string | undefined
  /** The file or device that was the disk when the copy began. */
  readonly path: string
  readonly disk: DiskReader
}

/** Whether the guest's file systems were frozen at that moment. */
export type Frozen = 'yes' | 'no' | 'unknown'

/** Closing it ends what it began on the host. Close it whatever happens. */
export interface HostCopy extends AsyncDisposable {
  readonly disks: readonly HostDisk[]
  readonly frozen: Frozen
  /** Aborted, with the reason, when the copy is lost: the VM stopped, or scratch space ran out. */
  readonly signal: AbortSignal
  /**
   * To be asked after the last read: what was read is the moment that was meant.
   *
   * @throws GranaryError when it is not; then nothing of it may be committed as good
   */
  verify(options?: AbortOptions): Promise<void>
}

/** What opening a copy of a running VM takes. */
export interface HostCopyOptions extends AbortOptions {
  readonly libvirt: Libvirt
  /** UUID of the domain: the id of the VM. */
  readonly domain: string
  readonly scratch: ScratchOptions
  /** Which disks: by id, or by name in the domain. @default all that can be copied */
  readonly only?: readonly string[]
  /** Fail unless the guest's file systems were frozen. @default false */
  readonly requireConsistency?: boolean
  /** How long the guest may take to freeze its file systems; one that takes longer is copied unfrozen. @default 30_000 */
  readonly freezeTimeoutMs?: number
  readonly journal: HostJournal
  readonly clock: Clock
  /** Hears of each step before it is taken. */
  readonly onStep?: (step: HostStep) => void
}

export type HostStep = 'script-before' | 'intend' | 'begin' | 'open' | 'reading' | 'end' | 'script-after' | 'settle'

/** The disks of a domain that a copy can hold: writable disks on a file or device, not shared with other VMs. */
export const copyableDisks = (
  disks: readonly DomainDisk[],
  only: readonly string[] | undefined,
): (DomainDisk & { readonly path: string })[] => {
  const found = disks.filter(
    (disk): disk is DomainDisk & { readonly path: string } =>
      disk.device === 'disk' && disk.path !== undefined && !disk.isReadOnly && !disk.isShareable,
  )
  if (only === undefined) return found
  const missing = only.filter(name => !found.some(disk => isNamed(disk, name)))
  if (missing.length > 0)
    throw new GranaryError('GRANARY_NOT_FOUND', `the domain has no disk ${missing.join(', ')} that can be copied`, {
      detail: { missing: missing.join(', '), found: found.map(disk => disk.serial ?? disk.target).join(', ') },
    })
  return found.filter(disk => only.some(name => isNamed(disk, name)))
}

/** By its name in the domain, by its serial number, or by the folder of its volumes: all but the first are the disk's id. */
export const isNamed = ({ target, serial, path }: DomainDisk, name: string): boolean =>
  target === name || serial === name || path?.split('/').includes(name) === true

/** A VM that cannot be copied here now, in words that say why. @throws GranaryError */
export const expectIdleDomain = async (
  { libvirt, domain }: Pick<HostCopyOptions, 'libvirt' | 'domain'>,
  options: AbortOptions,
): Promise<void> => {
  const state = await libvirt.state(domain, options)
  if (state !== 'running')
    throw new GranaryError('GRANARY_REMOTE', `the domain is ${state}, not running`, {
      detail: { domain, state, uri: libvirt.uri },
      hint: 'a stopped VM is read from its volumes; a paused one must be resumed or stopped first',
    })
  const job = await libvirt.job(domain, options)
  if (job.kind === 'none') return
  // Asked first: a second job would wait in libvirt for half a minute and then fail, or start when the first one ends.
  throw new GranaryError('GRANARY_LOCKED', 'another job of this VM is under way on its host', {
    detail: { domain, job: job.kind },
    retryable: true,
    hint: 'wait for it to end: virsh domjobinfo tells what it is',
  })
}

export const notFrozen = (domain: string, words: string): GranaryError =>
  new GranaryError('GRANARY_REMOTE', `the guest's file systems were not frozen: ${words}`, {
    detail: { domain },
    hint: 'start qemu-guest-agent in the guest, or do without require_consistency',
  })
