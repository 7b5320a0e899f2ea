/** `/tickets/ID` on the control socket. CONTRACT §6.9 @module */
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import type { Exchange } from './exchange.ts'
import { HttpFailure } from './http-failure.ts'
import { pythonRepr } from './python-text.ts'
import type { TicketStore } from './ticket-store.ts'
import { jsonObject, wholeNumber } from './validate.ts'

export interface ControlContext {
  readonly tickets: TicketStore
  /** How long a removal waits for requests under way, milliseconds. */
  readonly removeTimeoutMs: number
}

export const getTicket = ({ tickets }: ControlContext, exchange: Exchange, id: string): void => {
  const ticket = tickets.get(id)
  if (ticket === undefined) throw new HttpFailure(404, `No such ticket ${pythonRepr(id)}`)
  exchange.sendJson(ticket.info())
}

export const putTicket = async ({ tickets }: ControlContext, exchange: Exchange): Promise<void> => {
  tickets.add(jsonObject(await exchange.text(), 'Ticket is not in a json format:'))
  exchange.sendEmpty(200)
}

export const patchTicket = async ({ tickets }: ControlContext, exchange: Exchange, id: string): Promise<void> => {
  const timeout = wholeNumber('timeout', jsonObject(await exchange.text(), 'Invalid patch:')['timeout'])
  const ticket = tickets.get(id)
  if (ticket === undefined) throw new HttpFailure(404, `No such ticket: ${id}`)
  ticket.extend(timeout)
  exchange.sendEmpty(200)
}

export const deleteTicket = async (context: ControlContext, exchange: Exchange, id: string): Promise<void> => {
  if (!(await removeTicket(context, id, (ms, signal) => exchange.sleep(ms, signal))))
    throw new HttpFailure(409, `Timeout cancelling transfer ${context.tickets.get(id)?.fields.transferId}`)
  exchange.sendEmpty(204)
}

/**
 * Cancels a ticket and removes it once no request uses it.
 *
 * @returns false when requests still run after the timeout: the ticket stays, cancelled
 */
export const removeTicket = async (
  { tickets, removeTimeoutMs }: ControlContext,
  id: string,
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
): Promise<boolean> => {
  const ticket = tickets.get(id)
  if (ticket === undefined) return true
  const waiting = new AbortController()
  const unused = ticket.cancel().then(() => true)
  const timeout = removeTimeoutMs === 0 ? turnOfLoop() : sleep(removeTimeoutMs, waiting.signal)
  const isUnused = await Promise.race([
    unused,
    timeout.then(
      () => false,
      () => false,
    ),
  ])
  waiting.abort()
  if (!isUnused) return false
  tickets.remove(id)
  await ticket.close()
  return true
}
