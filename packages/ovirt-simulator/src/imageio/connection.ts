/** A client's connection: which tickets it uses, and when it has been idle for too long. CONTRACT §6.8 @module */
import type { Socket } from 'node:net'
import type { SimulatorClock } from '../clock/clock.ts'
import type { Ticket } from './ticket.ts'

/** Seconds of silence that are allowed before a connection has used a ticket. */
const UNAUTHORIZED_SECONDS = 60

export class Connection {
  readonly #socket: Socket
  readonly #clock: SimulatorClock
  readonly #leave = new Map<Ticket, () => void>()
  #timeoutSeconds = UNAUTHORIZED_SECONDS
  #cancelTimer: (() => void) | undefined

  constructor(socket: Socket, clock: SimulatorClock) {
    this.#socket = socket
    this.#clock = clock
    socket.once('close', () => this.#close())
    this.waitForClient()
  }

  /** From now on the ticket's own timeout holds here. */
  use(ticket: Ticket): void {
    if (!this.#leave.has(ticket)) this.#leave.set(ticket, ticket.connect(this))
    this.#timeoutSeconds = ticket.fields.inactivityTimeout
  }

  /** With a timeout of 0 the daemon's sockets do not block: what is not there at once is an error (§5.5). */
  get isNonBlocking(): boolean {
    return this.#timeoutSeconds === 0
  }

  /** From now on it is the client's turn: to read, to send, or to ask for more. The time it has for that begins anew. */
  waitForClient(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#clock.schedule(Math.max(0, this.#timeoutSeconds) * 1000, () => this.#socket.destroy())
  }

  /** It is the daemon's turn, which may take as long as it wants. */
  work(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #close(): void {
    this.#cancelTimer?.()
    for (const leave of this.#leave.values()) leave()
    this.#leave.clear()
  }
}
