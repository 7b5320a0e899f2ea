/** An HTTP server that answers as a test says: for answers no well-behaved engine gives. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '@granary/dedup-store'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type Answer = (seen: Seen, response: ServerResponse, count: number) => void

/** Signs everybody in; `answer` does the rest. */
export const scriptedEngine = async (
  answer: Answer,
): Promise<AsyncDisposable & { url: string; seen: Seen[]; logins: () => number }> => {
  const seen: Seen[] = []
  let logins = 0
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = []
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const path = request.url ?? ''
      if (path.endsWith('/sso/oauth/token')) {
        logins++
        return json(response, 200, { access_token: `token-${logins}`, exp: '9223372036854775807' })
      }
      if (path.includes('sso-logout')) return json(response, 200, {})
      seen.push({ method: request.method ?? '', path, headers: request.headers, body })
      answer(seen.at(-1) as Seen, response, seen.length)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    logins: () => logins,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

export const json = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const page = (response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'content-type': 'text/html' }).end('<html>no</html>')
}

/** Sleeps at once, and says how long it slept. */
export const instantClock = (): Clock & { slept: number[] } => {
  const slept: number[] = []
  let now = Date.UTC(2026, 0, 1)
  return {
    slept,
    now: () => now,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      slept.push(ms)
      now += ms
    },
  }
}
