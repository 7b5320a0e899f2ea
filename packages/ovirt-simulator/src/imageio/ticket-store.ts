/** The tickets of a daemon, as the control API adds and removes them. CONTRACT §6.9 @module */
import { HttpFailure, forbidden } from './http-failure.ts'
import { pythonRepr } from './python-text.ts'
import { Ticket } from './ticket.ts'
import type { TicketFields } from './ticket.ts'

const SCHEMES = ['file', 'http', 'https', 'nbd']
const DEFAULT_INACTIVITY_SECONDS = 60

export class TicketStore {
  readonly #tickets = new Map<string, Ticket>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** Adds a ticket, or puts it in the place of one of the same id. @throws HttpFailure 400 */
  add(ticket: Readonly<Record<string, unknown>>): Ticket {
    const added = new Ticket(ticketFields(ticket), this.#now)
    this.#tickets.set(added.fields.uuid, added)
    return added
  }

  get(id: string): Ticket | undefined {
    return this.#tickets.get(id)
  }

  remove(id: string): void {
    this.#tickets.delete(id)
  }

  get all(): readonly Ticket[] {
    return [...this.#tickets.values()]
  }

  /** @throws HttpFailure 403 */
  authorize(id: string, op: 'read' | 'write'): Ticket {
    const ticket = this.#tickets.get(id)
    if (ticket === undefined) throw forbidden(`No such ticket ${id}`)
    ticket.authorize(op)
    return ticket
  }
}

const ticketFields = (ticket: Readonly<Record<string, unknown>>): TicketFields => {
  const uuid = required(ticket, 'uuid', 'string') as string
  const size = required(ticket, 'size', 'number') as number
  const ops = required(ticket, 'ops', 'object')
  const timeout = required(ticket, 'timeout', 'number') as number
  const url = required(ticket, 'url', 'string') as string
  const scheme = /^([^:]*):/.exec(url)?.[1] ?? ''
  if (!SCHEMES.includes(scheme)) throw invalid('url', url, `Unsupported url scheme: ${scheme}`)
  if (!Array.isArray(ops) || ops.some(op => op !== 'read' && op !== 'write'))
    throw invalid('ops', ops, "expecting a list of 'read' and 'write'")
  return {
    uuid,
    size,
    ops: ops as ('read' | 'write')[],
    timeout,
    url,
    transferId: optional(ticket, 'transfer_id', 'string', `(ticket/${uuid})`) as string,
    filename: optional(ticket, 'filename', 'string', undefined) as string | undefined,
    isSparse: optional(ticket, 'sparse', 'boolean', false) as boolean,
    isDirty: optional(ticket, 'dirty', 'boolean', false) as boolean,
    inactivityTimeout: optional(ticket, 'inactivity_timeout', 'number', DEFAULT_INACTIVITY_SECONDS) as number,
  }
}

const PYTHON_TYPES = { string: 'str', number: 'int', boolean: 'bool', object: 'list' } as const
type TypeName = keyof typeof PYTHON_TYPES

const required = (ticket: Readonly<Record<string, unknown>>, name: string, type: TypeName): unknown => {
  if (!(name in ticket)) throw new HttpFailure(400, `Invalid ticket: Required ticket parameter is missing: ${name}`)
  return checked(name, ticket[name], type)
}

const optional = (
  ticket: Readonly<Record<string, unknown>>,
  name: string,
  type: TypeName,
  fallback: unknown,
): unknown => (name in ticket ? checked(name, ticket[name], type) : fallback)

const checked = (name: string, value: unknown, type: TypeName): unknown => {
  const isRight = type === 'number' ? Number.isSafeInteger(value) : typeof value === type
  if (!isRight) throw invalid(name, value, `expecting a <class '${PYTHON_TYPES[type]}'> value`)
  return value
}

const invalid = (name: string, value: unknown, reason: string): HttpFailure =>
  new HttpFailure(400, `Invalid ticket: Invalid value for ${pythonRepr(name)}: ${pythonRepr(value)}: ${reason}`)
