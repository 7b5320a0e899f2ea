/**
 * Image transfers, phase by phase, as the engine's ticks see them.
 *
 * @see CONTRACT §5.2 to §5.5
 * @module
 */
import { randomUUID } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import { operationFailed } from '../http/api-error.ts'
import type { MomentName } from '../model/moments.ts'
import type { Disk, Transfer, TransferPhase } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { isAtLeast } from '../profiles.ts'
import { removeDisk } from './create-disk.ts'
import { EVENT, addEvent } from './events.ts'
import type { ImageHosts } from './image-hosts.ts'
import { TICK_MS, after, purgeAfter } from './ticker.ts'
import { openTransferImage } from './transfer-image.ts'
import type { SimulatedDisk } from '../volumes/simulated-disk.ts'
import type { WriteBackDisk } from '../imageio/write-back-disk.ts'
import type { TransferImage } from './transfer-image.ts'

const START_MS = 2_000
/** Ticks begin soon after a change and become rarer up to the usual rate. */
const FIRST_TICK_MS = 2_000
/** ImageTransferClientTicketValidityInSeconds, and how the engine renews it. */
const TICKET_SECONDS = 300
const KEEP_MS = { success: 15 * 60_000, failure: 30 * 60_000 } as const
/** Ticks in a row that must see a download complete and idle. */
const AUTO_FINALIZE_TICKS = 2

const ANY_DISK = '*'

interface Session {
  readonly hostId: string
  readonly ticketId: string
  readonly url: string
  readonly cache: WriteBackDisk | undefined
}

/** Runs the transfers of one installation. */
export class Transfers {
  readonly #world: World
  readonly #hosts: ImageHosts
  /** Tickets, and what is behind them, which outlives a pause; both by transfer. */
  readonly #sessions = new Map<string, Session>()
  readonly #images = new Map<string, TransferImage>()
  readonly #failingVerifications = new Set<string>()

  constructor(world: World, hosts: ImageHosts) {
    this.#world = world
    this.#hosts = hosts
  }

  /** Begins a transfer that was checked; its disk's locks are taken by the caller. */
  begin(transfer: Transfer): void {
    this.#world.transfers.set(transfer.id, transfer)
    after(this.#world, START_MS, async () => await this.#start(transfer))
  }

  /** Addresses for clients, while there is a ticket. */
  async urlsOf(transfer: Transfer): Promise<{ transferUrl: string; proxyUrl: string } | undefined> {
    const session = this.#sessions.get(transfer.id)
    if (session === undefined) return undefined
    const transferUrl = (await this.#hosts.daemonOf(session.hostId)).urlOf(session.ticketId)
    return { transferUrl, proxyUrl: (await this.#hosts.proxy()).urlOf(session.ticketId) }
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
    for (const session of this.#sessions.values()) if (session.hostId === hostId) session.cache?.crash()
    await (await this.#hosts.daemonOf(hostId)).restart()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const image of this.#images.values()) await image.close()
    this.#images.clear()
  }

  async #start(transfer: Transfer): Promise<void> {
    if (transfer.phase !== 'initializing' && transfer.phase !== 'resuming') return this.#tickIn(transfer, FIRST_TICK_MS)
    try {
      await this.#open(transfer)
      transfer.phase = 'transferring'
      await this.#reach(transfer, 'transfer-ready')
    } catch (error) {
      if (!isGranaryError(error)) throw error
      transfer.phase = transfer.direction === 'upload' ? 'paused_system' : 'cancelled_system'
    }
    this.#tickIn(transfer, FIRST_TICK_MS)
  }

  async #open(transfer: Transfer): Promise<void> {
    const disk = this.#world.disks.get(transfer.diskId)
    const hostId = transfer.hostId
    if (disk?.volume === undefined || hostId === undefined)
      throw new GranaryError('GRANARY_NOT_FOUND', 'the disk is gone')
    const image = this.#images.get(transfer.id) ?? (await this.#openImage(transfer, disk, disk.volume))
    this.#images.set(transfer.id, image)
    const ticketId = randomUUID()
    const url = `nbd:unix:/run/vdsm/nbd/${transfer.id}.sock`
    const backend = image.open()
    this.#hosts.register(url, { open: async () => backend })
    const ticket = {
      uuid: ticketId,
      size: image.sizeBytes,
      ops: [transfer.direction === 'upload' ? 'write' : 'read'],
      timeout: TICKET_SECONDS,
      transfer_id: transfer.id,
      sparse: disk.config['sparse'] === true,
      dirty: image.isDirty,
      inactivity_timeout: transfer.inactivityTimeoutS,
    }
    const daemon = await this.#hosts.daemonOf(hostId)
    daemon.addTicket({ ...ticket, url })
    const proxy = await this.#hosts.proxy()
    proxy.addTicket({ ...ticket, url: daemon.innerUrlOf(ticketId) })
    transfer.ticketId = ticketId
    this.#sessions.set(transfer.id, { hostId, ticketId, url, cache: backend.cache })
  }

  async #openImage(transfer: Transfer, disk: Disk, image: SimulatedDisk): Promise<TransferImage> {
    const vm = this.#world.vms.get(transfer.vmId ?? '')
    const part = vm?.backups.get(transfer.backupId ?? '')?.disks.find(one => one.diskId === disk.id)
    return await openTransferImage(this.#world, { transfer, disk, image, ...(part !== undefined && { part }) })
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
        return void (await this.#close(transfer))
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
        if (await this.#close(transfer)) await this.#giveUp(transfer)
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
    const session = this.#sessions.get(transfer.id)
    const daemon = session === undefined ? undefined : await this.#hosts.daemonOf(session.hostId)
    const [direct, proxied] = [daemon, await this.#hosts.proxy()].map(one => one?.ticketInfo(session?.ticketId ?? ''))
    if (session === undefined || daemon === undefined || direct === undefined) return this.#stop(transfer)
    transfer.isActive = direct['active'] === true || proxied?.['active'] === true
    transfer.transferredBytes = direct['transferred'] as number | undefined
    const idleSeconds = Number(direct['idle_time'])
    const limit = transfer.inactivityTimeoutS
    if (!transfer.isActive && limit > 0 && idleSeconds > limit) return this.#expire(transfer)
    daemon.extendTicket(session.ticketId, TICKET_SECONDS)
    ;(await this.#hosts.proxy()).extendTicket(session.ticketId, TICKET_SECONDS)
    const isRead =
      transfer.direction === 'download' && transfer.transferredBytes === this.#images.get(transfer.id)?.sizeBytes
    transfer.idleTicks = isRead && !transfer.isActive ? transfer.idleTicks + 1 : 0
    if (transfer.idleTicks >= AUTO_FINALIZE_TICKS) transfer.phase = 'finalizing_success'
  }

  /** Nobody has used the ticket for too long. */
  #expire(transfer: Transfer): void {
    const isPausing =
      transfer.timeoutPolicy === 'pause' || (transfer.timeoutPolicy === 'legacy' && transfer.direction === 'upload')
    transfer.phase = isPausing ? 'paused_system' : 'cancelled_system'
  }

  /** The ticket is gone: a restarted daemon, a crashed host. */
  #stop(transfer: Transfer): void {
    transfer.phase = transfer.direction === 'upload' ? 'paused_system' : 'cancelled_system'
  }

  async #resume(transfer: Transfer): Promise<void> {
    if (!(await this.#close(transfer))) return
    try {
      await this.#open(transfer)
      transfer.phase = 'transferring'
      await this.#reach(transfer, 'transfer-ready')
    } catch (error) {
      if (!isGranaryError(error)) throw error
      transfer.phase = 'paused_system'
    }
  }

  async #finalize(transfer: Transfer): Promise<void> {
    await this.#reach(transfer, 'transfer-finalizing')
    if (!(await this.#removeTicket(transfer))) return
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
    await this.#close(transfer)
    await this.#end(transfer, 'finished_success')
  }

  /** Removes the tickets. @returns false while requests still run: the next tick tries again (imageio #208) */
  async #removeTicket(transfer: Transfer): Promise<boolean> {
    const session = this.#sessions.get(transfer.id)
    if (session === undefined) return true
    for (const daemon of [await this.#hosts.proxy(), await this.#hosts.daemonOf(session.hostId)]) {
      const isActive = daemon.ticketInfo(session.ticketId)?.['active'] === true
      // Nothing waits for the minute that vdsm gives requests to end: the ticket is cancelled, a later tick sees it unused.
      if (!isActive) await daemon.removeTicket(session.ticketId)
      else {
        daemon.removeTicket(session.ticketId).catch(() => undefined)
        return false
      }
    }
    return true
  }

  async #close(transfer: Transfer): Promise<boolean> {
    if (!(await this.#removeTicket(transfer))) return false
    const session = this.#sessions.get(transfer.id)
    this.#sessions.delete(transfer.id)
    transfer.ticketId = undefined
    if (session !== undefined) this.#hosts.forget(session.url)
    return true
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

/** Names of disks that other transfers may share: downloads only. */
export const isSharedByDownloads = (world: World, disk: Disk): boolean =>
  [...disk.locks].every(lock => {
    const [what, id = ''] = lock.split(' ')
    return what === 'transfer' && world.transfers.get(id)?.direction === 'download'
  })
