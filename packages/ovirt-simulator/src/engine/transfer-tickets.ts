/** The tickets of image transfers: one at the daemon of the host, one at the proxy (CONTRACT §5.5, §6.9). @module */
import { randomUUID } from 'node:crypto'
import { GranaryError } from '@granary/core'
import type { WriteBackDisk } from '../imageio/write-back-disk.ts'
import type { Transfer } from '../model/state.ts'
import type { ImageHosts } from './image-hosts.ts'
import type { TransferImage } from './transfer-image.ts'

/** ImageTransferClientTicketValidityInSeconds. */
const TICKET_SECONDS = 300

interface Ticket {
  readonly hostId: string
  readonly ticketId: string
  /** What the daemon opens it by. */
  readonly url: string
  readonly cache: WriteBackDisk | undefined
}

export interface TicketUrls {
  readonly transferUrl: string
  readonly proxyUrl: string
}

/** How a ticket is used. */
export interface TicketUse {
  /** Whether a request runs, here or through the proxy. */
  readonly isActive: boolean
  readonly idleSeconds: number
  readonly transferredBytes: number | undefined
}

export class TransferTickets {
  readonly #hosts: ImageHosts
  /** By transfer. */
  readonly #tickets = new Map<string, Ticket>()

  constructor(hosts: ImageHosts) {
    this.#hosts = hosts
  }

  /** @throws GranaryError when the transfer has no host */
  async open(
    transfer: Transfer,
    { image, isSparse }: { readonly image: TransferImage; readonly isSparse: boolean },
  ): Promise<void> {
    const { hostId } = transfer
    if (hostId === undefined) throw new GranaryError('GRANARY_NOT_FOUND', 'there is no host')
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
      sparse: isSparse,
      dirty: image.isDirty,
      inactivity_timeout: transfer.inactivityTimeoutS,
    }
    const daemon = await this.#hosts.daemonOf(hostId)
    daemon.addTicket({ ...ticket, url })
    const proxy = await this.#hosts.proxy()
    proxy.addTicket({ ...ticket, url: daemon.innerUrlOf(ticketId) })
    this.#tickets.set(transfer.id, { hostId, ticketId, url, cache: backend.cache })
  }

  async urlsOf(transfer: Transfer): Promise<TicketUrls | undefined> {
    const ticket = this.#tickets.get(transfer.id)
    if (ticket === undefined) return undefined
    const transferUrl = (await this.#hosts.daemonOf(ticket.hostId)).urlOf(ticket.ticketId)
    return { transferUrl, proxyUrl: (await this.#hosts.proxy()).urlOf(ticket.ticketId) }
  }

  /** Undefined when the ticket is gone. */
  async use(transfer: Transfer): Promise<TicketUse | undefined> {
    const ticket = this.#tickets.get(transfer.id)
    if (ticket === undefined) return undefined
    const direct = (await this.#hosts.daemonOf(ticket.hostId)).ticketInfo(ticket.ticketId)
    if (direct === undefined) return undefined
    const proxied = (await this.#hosts.proxy()).ticketInfo(ticket.ticketId)
    return {
      isActive: direct['active'] === true || proxied?.['active'] === true,
      idleSeconds: Number(direct['idle_time']),
      transferredBytes: direct['transferred'] as number | undefined,
    }
  }

  async renew(transfer: Transfer): Promise<void> {
    const ticket = this.#tickets.get(transfer.id)
    if (ticket === undefined) return
    for (const daemon of [await this.#hosts.daemonOf(ticket.hostId), await this.#hosts.proxy()])
      daemon.extendTicket(ticket.ticketId, TICKET_SECONDS)
  }

  /** Removes a ticket from the daemons. @returns false while requests still run: the next tick tries again (imageio #208) */
  async remove(transfer: Transfer): Promise<boolean> {
    const ticket = this.#tickets.get(transfer.id)
    if (ticket === undefined) return true
    for (const daemon of [await this.#hosts.proxy(), await this.#hosts.daemonOf(ticket.hostId)]) {
      const isActive = daemon.ticketInfo(ticket.ticketId)?.['active'] === true
      // Nothing waits for the minute that vdsm gives requests to end: the ticket is cancelled, a later tick sees it unused.
      if (!isActive) await daemon.removeTicket(ticket.ticketId)
      else {
        daemon.removeTicket(ticket.ticketId).catch(() => undefined)
        return false
      }
    }
    return true
  }

  /** Removes a ticket for good. @returns false as `remove` */
  async close(transfer: Transfer): Promise<boolean> {
    if (!(await this.remove(transfer))) return false
    const ticket = this.#tickets.get(transfer.id)
    this.#tickets.delete(transfer.id)
    if (ticket !== undefined) this.#hosts.forget(ticket.url)
    return true
  }

  /** What a host's daemon was given and did not flush is lost, and all its tickets. */
  async crashHost(hostId: string): Promise<void> {
    for (const ticket of this.#tickets.values()) if (ticket.hostId === hostId) ticket.cache?.crash()
    await (await this.#hosts.daemonOf(hostId)).restart()
  }
}
