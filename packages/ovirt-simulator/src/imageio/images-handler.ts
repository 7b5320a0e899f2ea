/** `/images/TICKET`: reading, writing, zeroing. CONTRACT §6.1-§6.4 @module */
import type { Bytes, DiskWriter } from '@granary/core'
import { MAX_CONNECTIONS } from './backend.ts'
import type { ImageBackend } from './backend.ts'
import type { Exchange } from './exchange.ts'
import { HttpFailure } from './http-failure.ts'
import type { Operation, Ticket } from './ticket.ts'
import { allowedRange, jsonObject, oneOf, parseContentRange, parseRange, truth, wholeNumber } from './validate.ts'

/** Bytes read or written at once; two such buffers are in use a request. */
const BUFFER_BYTES = 1024 * 1024

/** Finds a ticket that allows an operation, and its image. @throws HttpFailure 403 */
export type Authorize = (
  exchange: Exchange,
  ticketId: string,
  op: 'read' | 'write',
) => Promise<{ ticket: Ticket; backend: ImageBackend }>

export interface ImagesContext {
  readonly authorize: Authorize
  /** Told to clients by OPTIONS. */
  readonly unixSocket: string | undefined
}

const READ_FEATURES = ['checksum', 'extents']
const WRITE_FEATURES = ['checksum', 'extents', 'flush', 'zero']

export const optionsOfImage = async (
  { authorize, unixSocket }: ImagesContext,
  exchange: Exchange,
  ticketId: string,
): Promise<void> => {
  allowOrigins(exchange, 'OPTIONS,GET,PUT')
  if (ticketId === '*') {
    exchange.header('allow', 'OPTIONS,GET,PUT,PATCH')
    return exchange.sendJson({ unix_socket: unixSocket, features: WRITE_FEATURES })
  }
  const { ticket, backend } = await authorize(exchange, ticketId, 'read')
  ticket.touch()
  const isWritable = ticket.may('write')
  exchange.header('allow', isWritable ? 'OPTIONS,GET,PUT,PATCH' : 'OPTIONS,GET')
  exchange.sendJson({
    unix_socket: unixSocket,
    features: isWritable ? WRITE_FEATURES : READ_FEATURES,
    max_readers: MAX_CONNECTIONS,
    max_writers: backend.kind === 'file' ? 1 : MAX_CONNECTIONS,
  })
}

export const getImage = async ({ authorize }: ImagesContext, exchange: Exchange, ticketId: string): Promise<void> => {
  allowOrigins(exchange, '*')
  if (exchange.query.get('close') === 'y') exchange.close()
  const header = exchange.request.headers.range
  const range = header === undefined ? undefined : parseRange(header)
  const { ticket, backend } = await authorize(exchange, ticketId, 'read')
  const { size, filename } = ticket.fields
  const offset = range?.first ?? 0
  if (range?.last !== undefined) allowedRange(offset, range.last - offset + 1, size)
  const available = Math.min(size, backend.disk.sizeBytes)
  const length = range?.last === undefined ? available - offset : range.last - offset + 1
  if (length < 0) allowedRange(offset, 0, size)
  if (offset + length > available)
    throw new HttpFailure(416, `Requested more bytes than available: ${offset + length} > ${available}`, {
      contentRange: `bytes */${available}`,
    })
  await ticket.run(offset, async operation => {
    const begin = (): void => {
      exchange.header('content-type', 'application/octet-stream')
      exchange.header('content-disposition', `attachment${filename === undefined ? '' : `; filename=${filename}`}`)
      if (range !== undefined) exchange.header('content-range', `bytes ${offset}-${offset + length - 1}/${size}`)
      exchange.begin(range === undefined ? 200 : 206, length)
    }
    await sendRange(exchange, { backend, offset, length, begin }, operation)
  })
}

interface SendOptions {
  readonly backend: ImageBackend
  readonly offset: number
  readonly length: number
  readonly begin: () => void
}

/** Reads the next piece while the last one is being sent. The first is read before the answer begins, so that its failure can be told. */
const sendRange = async (
  exchange: Exchange,
  { backend, offset, length, begin }: SendOptions,
  operation: Operation,
): Promise<void> => {
  const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(Math.min(BUFFER_BYTES, length)))
  const read = async (at: number, turn: number): Promise<Bytes> => {
    const part = (buffers[turn % 2] as Buffer).subarray(0, Math.min(BUFFER_BYTES, offset + length - at))
    await backend.disk.read(at, part, { signal: operation.signal })
    return part
  }
  let next = read(offset, 0)
  await next
  operation.signal.throwIfAborted()
  begin()
  for (let at = offset, turn = 1; at < offset + length; turn++) {
    const part = await next
    at += part.length
    next = at < offset + length ? read(at, turn) : Promise.resolve(part)
    next.catch(() => undefined) // Thrown where it is awaited, unless sending fails first.
    await exchange.write(part)
    operation.doneBytes += part.length
    operation.signal.throwIfAborted()
  }
  exchange.end()
}

export const putImage = async ({ authorize }: ImagesContext, exchange: Exchange, ticketId: string): Promise<void> => {
  allowOrigins(exchange, '*')
  if (exchange.query.get('close') === 'y') exchange.close()
  const length = exchange.contentLength
  if (length === undefined) throw new HttpFailure(400, 'Content-Length header is required')
  const header = exchange.request.headers['content-range']
  const offset = header === undefined ? 0 : parseContentRange(header)
  const flush = oneOf('flush', exchange.query.get('flush'), ['y', 'n'], 'y')
  const { ticket, backend } = await authorize(exchange, ticketId, 'write')
  allowedRange(offset, length, ticket.fields.size)
  const disk = writable(backend)
  await ticket.run(offset, async operation => {
    await receive(exchange, { disk, offset, length }, operation)
    if (flush === 'y') await disk.flush()
  })
  exchange.sendEmpty(200)
}

interface ReceiveOptions {
  readonly disk: DiskWriter
  readonly offset: number
  readonly length: number
}

/** What has come before a connection ends is written, as the real daemon does (captures r84, r85). */
const receive = async (
  exchange: Exchange,
  { disk, offset, length }: ReceiveOptions,
  operation: Operation,
): Promise<void> => {
  const buffer = Buffer.allocUnsafeSlow(Math.min(BUFFER_BYTES, length))
  let filled = 0
  const write = async (): Promise<void> => {
    if (filled > 0) await disk.write(offset + operation.doneBytes, buffer.subarray(0, filled))
    operation.doneBytes += filled
    filled = 0
  }
  try {
    for await (const chunk of exchange.body()) {
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + buffer.length - filled)
        buffer.set(part, filled)
        filled += part.length
        at += part.length
        if (filled === buffer.length) await write()
      }
      operation.signal.throwIfAborted()
    }
  } finally {
    await write()
  }
  if (operation.doneBytes < length)
    throw new HttpFailure(400, `Requested ${length} bytes, available ${operation.doneBytes} bytes`)
}

export const patchImage = async ({ authorize }: ImagesContext, exchange: Exchange, ticketId: string): Promise<void> => {
  const message = jsonObject(await exchange.text(), 'Invalid JSON message')
  const op = oneOf('op', message['op'], ['zero', 'flush'])
  const length = op === 'zero' ? wholeNumber('size', message['size']) : 0
  const offset = op === 'zero' ? wholeNumber('offset', message['offset'], 0) : 0
  const flush = op === 'flush' || truth(message['flush'], false)
  const { ticket, backend } = await authorize(exchange, ticketId, 'write')
  allowedRange(offset, length, ticket.fields.size)
  const disk = writable(backend)
  await ticket.run(offset, async operation => {
    if (length > 0) await disk.zero(offset, length, { punch: ticket.fields.isSparse })
    operation.doneBytes = length
    if (flush) await disk.flush()
  })
  exchange.sendEmpty(200)
}

const writable = ({ disk }: ImageBackend): DiskWriter => {
  if (disk.write === undefined || disk.zero === undefined || disk.flush === undefined)
    throw new Error('the image behind this ticket cannot be written')
  return disk as DiskWriter
}

/** Browsers ask first whether a page of the engine may talk to a host. */
const allowOrigins = (exchange: Exchange, methods: string): void => {
  const { headers } = exchange.request
  const asked = {
    'access-control-allow-origin': headers.origin === undefined ? undefined : '*',
    'access-control-allow-headers': headers['access-control-request-headers'] === undefined ? undefined : '*',
    'access-control-allow-methods': headers['access-control-request-method'] === undefined ? undefined : methods,
  }
  const answers = Object.entries(asked).filter(([, value]) => value !== undefined)
  for (const [name, value] of answers) exchange.header(name, value as string)
  if (answers.length > 0) exchange.header('access-control-max-age', '86400')
}
