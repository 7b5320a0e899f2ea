/** `/events` (CONTRACT §10). @module */
import { addEvent } from '../engine/events.ts'
import type { Severity } from '../engine/events.ts'
import { requirePermit } from '../engine/permits.ts'
import { created, entityOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { incomplete, operationFailed } from '../http/api-error.ts'
import { integer } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import type { Route } from '../http/routes.ts'
import type { Attributes } from '../model/schema.ts'
import { API_PATH } from '../model/schema.ts'
import { found } from '../model/world.ts'
import type { World } from '../model/world.ts'
import { listed } from './collection.ts'

const EXTERNAL_CODES = { normal: 9801, warning: 9802, error: 9803, alert: 9804 } as const
/** MaxAuditLogMessageLength. */
const MAX_MESSAGE = 10_000
const MAX_INT = 2 ** 31 - 1
const ABOUT = ['vm', 'host', 'storage_domain', 'cluster', 'data_center', 'template', 'user'] as const

export const eventRoutes = (world: World): Route[] => [
  {
    method: 'GET',
    path: 'events',
    run(call) {
      const newerThan = integer(call, 'from') ?? 0
      const newestFirst = world.events.filter(event => Number(event['index']) > newerThan).toReversed()
      return listed(world, call, { name: 'events', type: 'Event', entities: newestFirst })
    },
  },
  {
    method: 'GET',
    path: 'events/:event',
    run: ({ ids }) =>
      entityOf('Event', found(new Map(world.events.map(one => [String(one['id']), one])), ids['event'])),
  },
  { method: 'POST', path: 'events', body: 'Event', run: call => add(world, call) },
]

const add = (world: World, { body, user, parameters }: Call): Answer => {
  const { origin, severity, custom_id: customId, description } = body
  for (const name of ['origin', 'severity', 'custom_id', 'description'])
    if (body[name] === undefined) throw incomplete(`Event [origin, severity, customId, description] required for add`)
  const about = Object.fromEntries(ABOUT.flatMap(name => (body[name] === undefined ? [] : [[name, body[name]]])))
  requirePermit(
    world,
    user,
    'INJECT_EXTERNAL_EVENTS',
    ...Object.values(about).map(link => String((link as Attributes)['id'])),
  )
  if (String(origin).toLowerCase() === 'ovirt')
    throw operationFailed(400, 'Cannot add External Event. Illegal Origin for External Event: oVirt.')
  if (typeof customId !== 'number' || Math.abs(customId) > MAX_INT)
    throw operationFailed(400, `Cannot add External Event. Invalid custom id ${String(customId)}.`)
  if (world.events.some(event => event['origin'] === origin && event['custom_id'] === customId))
    throw operationFailed(400, 'Cannot add External Event. Custom Id already exists for this Origin.')
  const kind = severity as Severity
  const event = addEvent(world, EXTERNAL_CODES[kind], kind, String(description).slice(0, MAX_MESSAGE), {
    ...about,
    origin,
    custom_id: customId,
    ...(body['flood_rate'] !== undefined && { flood_rate: body['flood_rate'] }),
    ...(body['custom_data'] !== undefined && { custom_data: body['custom_data'] }),
    ...correlation(body['correlation_id'] ?? parameters.get('correlation_id')),
  })
  return created('Event', { ...event, href: `${API_PATH}/events/${String(event['id'])}` })
}

const correlation = (id: unknown): Attributes => (typeof id === 'string' ? { correlation_id: id } : {})
