/** HTTP as it stands on the wire: what curl would send, and every byte of the answer. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'

export interface RawAnswer {
  /** Status line and header lines, informational answers first. */
  readonly head: string[]
  readonly status: number
  readonly body: Buffer
}

export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly headers?: readonly string[]
  readonly body?: Uint8Array | undefined
  /** Sent as it stands, with no length. */
  readonly isChunked?: boolean
}

/** Connects by TLS to a port of localhost, or to a unix socket. */
export const rawConnect = async (where: { port: number; ca: string } | { path: string }): Promise<Socket> => {
  const socket = 'path' in where ? connect(where) : tlsConnect({ host: 'localhost', servername: 'localhost', ...where })
  await once(socket, 'path' in where ? 'connect' : 'secureConnect')
  return socket.on('error', () => undefined) // Readers see the end.
}

export const writeRequest = (socket: Socket, { method, path, headers = [], body, isChunked }: RawRequest): void => {
  const length = body === undefined || isChunked === true ? [] : [`Content-Length: ${body.length}`]
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost:54322', 'User-Agent: curl/7.88.1', 'Accept: */*']
  socket.write([...lines, ...headers, ...length, '', ''].join('\r\n'))
  if (body !== undefined) socket.write(body)
}

/** Reads one answer; stops where the connection ends. */
export const readAnswer = async (socket: Socket, method: string): Promise<RawAnswer> => {
  let bytes: Buffer = Buffer.alloc(0)
  const head: string[] = []
  const more = async (): Promise<Buffer> => {
    for (;;) {
      const chunk = socket.read() as Buffer | null
      if (chunk !== null) return chunk
      if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended')
      const waiting = new AbortController() // Takes the listeners of the events that did not come away.
      const { signal } = waiting
      await Promise.race(['readable', 'end', 'close'].map(async event => await once(socket, event, { signal })))
      waiting.abort()
    }
  }
  const readHead = async (): Promise<string[]> => {
    while (bytes.indexOf('\r\n\r\n') < 0) bytes = Buffer.concat([bytes, await more()])
    const end = bytes.indexOf('\r\n\r\n')
    const lines = bytes.subarray(0, end).toString('latin1').split('\r\n')
    bytes = bytes.subarray(end + 4)
    return lines
  }
  let lines = await readHead()
  while (lines[0]?.startsWith('HTTP/1.1 100')) {
    head.push(...lines)
    lines = await readHead()
  }
  head.push(...lines)
  const declared = Number(lines.find(line => /^content-length:/i.test(line))?.split(':')[1] ?? 0)
  const length = method === 'HEAD' ? 0 : declared
  const parts: Buffer[] = [bytes]
  let received = bytes.length
  try {
    for (; received < length; received += parts.at(-1)?.length ?? 0) parts.push(await more())
  } catch {
    // Cut: the caller counts.
  }
  return { head, status: Number(lines[0]?.split(' ')[1]), body: Buffer.concat(parts).subarray(0, length) }
}

/** One request on a connection of its own. */
export const rawExchange = async (
  where: { port: number; ca: string } | { path: string },
  request: RawRequest,
): Promise<RawAnswer> => {
  const socket = await rawConnect(where)
  try {
    writeRequest(socket, request)
    return await readAnswer(socket, request.method)
  } finally {
    socket.destroy()
  }
}
