/** Which handler answers. @module */
import { getChecksum, listAlgorithms } from './checksum-handler.ts'
import { deleteTicket, getTicket, patchTicket, putTicket } from './control-handler.ts'
import type { ControlContext } from './control-handler.ts'
import { IMAGEIO_VERSION } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import { getExtents } from './extents-handler.ts'
import type { ImageioRequest } from './faults.ts'
import { HttpFailure } from './http-failure.ts'
import { getImage, optionsOfImage, patchImage, putImage } from './images-handler.ts'
import type { ImagesContext } from './images-handler.ts'

type Handler = (exchange: Exchange, id: string) => Promise<void> | void

export interface Route {
  readonly pattern: RegExp
  /** What faults call it; undefined where they do not strike. */
  readonly resource?: ImageioRequest['resource']
  readonly methods: Readonly<Record<string, Handler>>
}

/** What is served to clients. */
export const imageRoutes = (context: ImagesContext): readonly Route[] => [
  {
    pattern: /^\/images\/(.*)\/extents$/,
    resource: 'extents',
    methods: { GET: (exchange, id) => getExtents(context.authorize, exchange, id) },
  },
  { pattern: /^\/images\/(.*)\/checksum\/algorithms$/, methods: { GET: exchange => listAlgorithms(exchange) } },
  {
    pattern: /^\/images\/(.*)\/checksum$/,
    resource: 'checksum',
    methods: { GET: (exchange, id) => getChecksum(context.authorize, exchange, id) },
  },
  {
    pattern: /^\/images\/(.*)$/,
    resource: 'image',
    methods: {
      OPTIONS: (exchange, id) => optionsOfImage(context, exchange, id),
      GET: (exchange, id) => getImage(context, exchange, id),
      PUT: (exchange, id) => putImage(context, exchange, id),
      PATCH: (exchange, id) => patchImage(context, exchange, id),
    },
  },
  { pattern: /^\/info\/()$/, methods: { GET: exchange => exchange.sendJson({ version: IMAGEIO_VERSION }) } },
]

/** What is served on the control socket. */
export const controlRoutes = (context: ControlContext): readonly Route[] => [
  {
    pattern: /^\/tickets\/(.*)$/,
    methods: {
      GET: (exchange, id) => getTicket(context, exchange, id),
      PUT: exchange => putTicket(context, exchange),
      PATCH: (exchange, id) => patchTicket(context, exchange, id),
      DELETE: (exchange, id) => deleteTicket(context, exchange, id),
    },
  },
]

/** @throws HttpFailure 404, 405, 400 */
export const findRoute = (
  routes: readonly Route[],
  { request, path }: Exchange,
): { handler: Handler; id: string; resource: ImageioRequest['resource'] | undefined } => {
  for (const { pattern, methods, resource } of routes) {
    const match = pattern.exec(path)
    if (match === null) continue
    const handler = methods[request.method ?? '']
    if (handler === undefined) throw new HttpFailure(405, `Method '${request.method}' not defined for '${path}'`)
    const id = match[1] ?? ''
    if (id === '' && !path.startsWith('/info/')) throw new HttpFailure(400, 'Ticket id is required')
    return { handler, id, resource }
  }
  throw new HttpFailure(404, `No handler for '${path}'`)
}
