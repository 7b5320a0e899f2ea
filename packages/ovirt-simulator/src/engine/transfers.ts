/**
 * Image transfers, phase by phase, as the engine's ticks see them.
 *
 * @see CONTRACT §5.2 to §5.5
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import { operationFailed } from '../http/api-error.ts'
import type { MomentName } from '../model/moments.ts'
import type { Transfer, TransferPhase } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import { removeDisk } from './create-disk.ts'
import { EVENT, addEvent } from './events.ts'
import type { ImageHosts } from './image-hosts.ts'
import { TICK_MS, after, purgeAfter } from './ticker.ts'
import { openTransferImage } from './transfer-image.ts'
import type { TransferImage } from './transfer-image.ts'
import { TransferTickets } from './transfer-tickets.ts'
import type { TicketUrls } from './transfer-tickets.ts'

const START_MS = 2_000
/** Ticks begin soon after a change and become rarer up to the usual rate. */
const FIRST_TICK_MS = 2_000
const KEEP_MS = { success: 15 * 60_000, failure: 30 * 60_000 } as const
/** Ticks in a row that must see a download complete and idle. */
const AUTO_FINALIZE_TICKS = 2

const ANY_DISK = '*'

/** Runs the transfers of one installation. */
export class Transfers {
  readonly #world: World
  readonly #tickets: TransferTickets
  /** What is behind the tickets, by transfer; it outlives a pause. */
  readonly #images = new Map<string, TransferImage>()
  readonly #failingVerifications = new Set<string>()

  constructor(world: World, hosts: ImageHosts) {
    this.#world = world
    this.#tickets = new TransferTickets(hosts)
  }

  /** Begins a transfer that was checked; its disk's locks are taken by the caller. */
  begin(transfer: Transfer): void {
    this.#world.transfers.set(transfer.id, transfer)
    after(this.#world, START_MS, async () => await this.#start(transfer))
  }

  /** Addresses for clients, while there is a ticket. */
  async urlsOf(transfer: Transfer): Promise<TicketUrls | undefined> {
    return await this.#tickets.urlsOf(transfer)
  }

  /** The user's finalize or cancel; what is over stays as it is. Other transitions are not checked by the engine either. */
  request(transfer: Transfer, phase: 'finalizing_success' | 'cancelled_user'): void {
    if (transfer.phase.startsWith('finished')) return
    transfer.phase = phase
  }

  /** @throws ApiError 400 for a download */
  pause(transfer: Transfer): void {
    if (transfer.direction === 'download')
      throw operationFailed(400, 'Cannot pause image transfer. Pausing a download is not supported.')
    if (transfer.phase === 'transferring') transfer.phase = 'paused_user'
  }

  /** @throws ApiError 409 when it is not paused */
  resume(transfer: Transfer): void {
    if (!transfer.phase.startsWith('paused'))
      throw operationFailed(409, 'Cannot resume image transfer. The transfer is not paused.')
    transfer.phase = 'resuming'
  }

  /** Lets the verification of the next upload to a disk fail, or of the next one at all. */
  failVerification(diskId: string | undefined): void {
    this.#failingVerifications.add(diskId ?? ANY_DISK)
  }

  /** A host crashed: what its daemon was given and did not flush is lost. */
  async crashHost(hostId: string): Promise<void> {
    await this.#tickets.crashHost(hostId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const image of this.#images.values()) await image.close()
    this.#images.clear()
  }

  async #start(transfer: Transfer): Promise<void> {
    // It may have been cancelled meanwhile.
    if (transfer.phase === 'initializing' && !(await this.#open(transfer))) this.#stop(transfer)
    this.#tickIn(transfer, FIRST_TICK_MS)
  }

  /** Opens what is transferred, and a ticket for it. @returns false when that cannot be */
  async #open(transfer: Transfer): Promise<boolean> {
    try {
      const image = this.#images.get(transfer.id) ?? (await this.#openImage(transfer))
      this.#images.set(transfer.id, image)
      const isSparse = this.#world.disks.get(transfer.diskId)?.config['sparse'] === true
      await this.#tickets.open(transfer, { image, isSparse })
      transfer.phase = 'transferring'
      await this.#reach(transfer, 'transfer-ready')
      return true
    } catch (error) {
      if (isGranaryError(error)) return false
      throw error
    }
  }

  async #openImage(transfer: Transfer): Promise<TransferImage> {
    const disk = this.#world.disks.get(transfer.diskId)
    if (disk?.volume === undefined) throw new GranaryError('GRANARY_NOT_FOUND', 'the disk is gone')
    const vm = this.#world.vms.get(transfer.vmId ?? '')
    const part = vm?.backups.get(transfer.backupId ?? '')?.disks.find(one => one.diskId === disk.id)
    const source = { transfer, disk, image: disk.volume, ...(part !== undefined && { part }) }
    return await openTransferImage(this.#world, source)
  }

  #tickIn(transfer: Transfer, ms: number): void {
    after(this.#world, ms, async () => await this.#tick(transfer, Math.min(ms * 2, TICK_MS)))
  }

  async #tick(transfer: Transfer, nextMs: number): Promise<void> {
    const before = transfer.phase
    await this.#step(transfer)
    if (transfer.phase.startsWith('finished_success') || transfer.phase.startsWith('finished_failure')) return
    this.#tickIn(transfer, transfer.phase === before ? nextMs : FIRST_TICK_MS)
  }

  /** One look at a transfer. */
  async #step(transfer: Transfer): Promise<void> {
    switch (transfer.phase) {
      case 'transferring':
        return await this.#watch(transfer)
      case 'resuming':
        return await this.#resume(transfer)
      case 'paused_user':
      case 'paused_system':
        return void (await this.#tickets.close(transfer))
      case 'cancelled_system':
        transfer.phase = 'finalizing_failure'
        return
      case 'cancelled_user':
        transfer.phase = 'finalizing_cleanup'
        return
      case 'finalizing_success':
        return await this.#finalize(transfer)
      case 'finalizing_failure':
      case 'finalizing_cleanup':
        if (await this.#tickets.close(transfer)) await this.#giveUp(transfer)
        return
      case 'finished_cleanup':
        return await this.#end(transfer, 'finished_failure')
      case 'initializing':
      case 'finished_success':
      case 'finished_failure':
    }
  }

  /** Looks at the ticket: is it still there, is it used, is all read? Renews it. */
  async #watch(transfer: Transfer): Promise<void> {
    const use = await this.#tickets.use(transfer)
    if (use === undefined) return this.#stop(transfer)
    const { isActive, idleSeconds, transferredBytes } = use
    transfer.isActive = isActive
    transfer.transferredBytes = transferredBytes
    const limit = transfer.inactivityTimeoutS
    if (!isActive && limit > 0 && idleSeconds > limit) return this.#expire(transfer)
    await this.#tickets.renew(transfer)
    const isRead = transfer.direction === 'download' && transferredBytes === this.#images.get(transfer.id)?.sizeBytes
    transfer.idleTicks = isRead && !isActive ? transfer.idleTicks + 1 : 0
    if (transfer.idleTicks >= AUTO_FINALIZE_TICKS) transfer.phase = 'finalizing_success'
  }

  /** Nobody has used the ticket for too long. */
  #expire(transfer: Transfer): void {
    const isPausing =
      transfer.timeoutPolicy === 'pause' || (transfer.timeoutPolicy === 'legacy' && transfer.direction === 'upload')
    transfer.phase = isPausing ? 'paused_system' : 'cancelled_system'
  }

  /** It cannot begin, or its ticket is gone: a restarted daemon, a crashed host. */
  #stop(transfer: Transfer): void {
    transfer.phase = transfer.direction === 'upload' ? 'paused_system' : 'cancelled_system'
  }

  async #resume(transfer: Transfer): Promise<void> {
    if ((await this.#tickets.close(transfer)) && !(await this.#open(transfer))) transfer.phase = 'paused_system'
  }

  async #finalize(transfer: Transfer): Promise<void> {
    await this.#reach(transfer, 'transfer-finalizing')
    if (!(await this.#tickets.remove(transfer))) return
    if (transfer.direction === 'upload') {
      const isFailing = [transfer.diskId, ANY_DISK].some(id => this.#failingVerifications.delete(id))
      const isGood = !isFailing && (await verified(this.#images.get(transfer.id)))
      if (!isGood) {
        const disk = this.#world.disks.get(transfer.diskId)
        if (disk !== undefined) disk.isIllegal = true
        transfer.phase = 'finalizing_failure'
        return
      }
    }
    await this.#tickets.close(transfer)
    await this.#end(transfer, 'finished_success')
  }

  /** What was not transferred: an upload takes its disk with it. */
  async #giveUp(transfer: Transfer): Promise<void> {
    const disk = this.#world.disks.get(transfer.diskId)
    if (transfer.direction === 'upload' && disk !== undefined) {
      await removeDisk(this.#world, disk)
      addEvent(
        this.#world,
        EVENT.uploadRemoved,
        'warning',
        `Disk ${String(disk.config['alias'])} was removed: its upload failed or was cancelled.`,
      )
    }
    if (transfer.phase === 'finalizing_cleanup') transfer.phase = 'finished_cleanup'
    else await this.#end(transfer, 'finished_failure')
  }

  async #end(transfer: Transfer, phase: TransferPhase & `finished_${string}`): Promise<void> {
    transfer.phase = phase
    transfer.isActive = false
    await this.#images.get(transfer.id)?.close()
    this.#images.delete(transfer.id)
    const { transfers, disks, profile } = this.#world
    disks.get(transfer.diskId)?.locks.delete(`transfer ${transfer.id}`)
    const isSuccess = phase === 'finished_success'
    const text = `Image ${transfer.direction} of disk ${transfer.diskId} ${isSuccess ? 'succeeded' : 'failed'}.`
    addEvent(
      this.#world,
      isSuccess ? EVENT.transferFinished : EVENT.transferFailed,
      isSuccess ? 'normal' : 'error',
      text,
    )
    // Before 4.4.7 a transfer that is over is gone.
    if (!isAtLeast(profile, 4, 4, 7)) transfers.delete(transfer.id)
    else purgeAfter(this.#world, isSuccess ? KEEP_MS.success : KEEP_MS.failure, () => transfers.delete(transfer.id))
    await this.#reach(transfer, 'transfer-ended')
  }

  async #reach(transfer: Transfer, name: MomentName): Promise<void> {
    const { vmId, diskId, backupId, id } = transfer
    await this.#world.moments.reach({ name, vmId, diskId, backupId, transferId: id })
  }
}

const verified = async (image: TransferImage | undefined): Promise<boolean> => {
  try {
    await image?.verify()
    return image !== undefined
  } catch (error) {
    if (isGranaryError(error)) return false
    throw error
  }
}
