/** `/images/TICKET/extents`. CONTRACT §6.5 @module */
import { mergeExtents } from '@granary/core'
import type { Extent } from '@granary/core'
import type { Exchange } from './exchange.ts'
import { HttpFailure } from './http-failure.ts'
import type { Authorize } from './images-handler.ts'
import { oneOf } from './validate.ts'

export const getExtents = async (authorize: Authorize, exchange: Exchange, ticketId: string): Promise<void> => {
  const { ticket, backend } = await authorize(exchange, ticketId, 'read')
  const context = oneOf('context', exchange.query.get('context'), ['zero', 'dirty'], 'zero')
  if (context === 'dirty' && !ticket.fields.isDirty) throw new HttpFailure(404, 'Ticket does not support dirty extents')
  const { disk, kind } = backend
  if (kind === 'file' && context === 'zero')
    return exchange.sendJson([{ start: 0, length: disk.sizeBytes, zero: false, hole: false }])
  const rows: object[] = []
  const simplified = mergeExtents(toContext(disk.extents(), context))
  for await (const { offset, length, kind: content, dirty } of simplified) {
    const zero = content !== 'data'
    const hole = content === 'hole'
    rows.push({ start: offset, length, ...(context === 'dirty' ? { dirty: dirty === true, zero } : { zero, hole }) })
  }
  exchange.sendJson(rows)
}

/** Keeps of the extents only what the context tells, so that neighbours can be joined. */
async function* toContext(extents: AsyncIterable<Extent>, context: string): AsyncGenerator<Extent> {
  for await (const { offset, length, kind, dirty, present } of extents)
    // A cluster of zeros is no hole: it hides what lies below. Servers of NBD tell the two apart by depth alone.
    if (context === 'zero') yield { offset, length, kind: kind === 'hole' && present === true ? 'zero' : kind }
    else yield { offset, length, kind: kind === 'data' ? 'data' : 'zero', dirty: dirty ?? true }
}
