/** Ports for programs that can't be given one by the system. @module */
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that the system gives to whoever asks for any, so that nobody gets one between our look and its use. */
const FIRST_PORT = 20_000
const PORTS = 10_000

let count = 0

/** A free port of 127.0.0.1; another one each time, and in each process. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = FIRST_PORT + ((process.pid * 7 + count++) % PORTS)
    const server = createServer()
    server.listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
